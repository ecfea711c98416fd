//! HTTP/1.1 by hand, to compare what a library would hide, too.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::{Request, Response, TRAILER, Watching};

/// A real server that does not respond within this time hangs.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A connection that is kept alive, and opened again when the server closes it.
pub struct Connection {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// Connects to this host and port when the first request is made.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stream: None,
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request; returns its whole response.
    ///
    /// # Panics
    /// If the connection fails.
    pub fn ask(&mut self, request: &Request) -> Response {
        self.try_ask(request)
            .unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    /// Sends a request; returns its whole response, or why the connection failed.
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.address)?,
        };
        write_request(&mut stream, &self.address, request)?;
        let mut reply = read_head(&mut stream)?;
        let has_body = request.method != "HEAD" && reply.status != 204;
        let mut keep = true;
        if has_body {
            if reply.header("transfer-encoding") == Some("chunked") {
                while let Some(chunk) = read_chunk_or_end(&mut stream)? {
                    reply.body.extend(chunk);
                }
                for (name, value) in read_headers(&mut stream)? {
                    reply.headers.push((format!("{TRAILER}{name}"), value));
                }
            } else if let Some(length) = reply.header("content-length") {
                reply.body = vec![0; length.parse().map_err(io::Error::other)?];
                stream.read_exact(&mut reply.body)?;
            } else {
                stream.read_to_end(&mut reply.body)?;
                keep = false;
            }
        }
        if keep && reply.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(reply)
    }
}

/// A watch on a connection of its own.
pub struct RawWatch {
    stream: BufReader<TcpStream>,
    is_over: bool,
}

impl RawWatch {
    /// Sends a request; returns the head of the response, and its body if it has one in one piece.
    pub fn open(address: &str, request: &Request) -> (Response, Self) {
        let mut stream = connect(address).unwrap();
        write_request(&mut stream, address, request).unwrap();
        let mut reply = read_head(&mut stream).unwrap();
        let is_over = reply.header("transfer-encoding") != Some("chunked");
        if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut reply.body).unwrap();
        }
        (reply, Self { stream, is_over })
    }
}

impl Watching for RawWatch {
    fn line(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        // A long line comes in several chunks.
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            match read_chunk(&mut self.stream).expect("the watch is silent") {
                Some(chunk) => line.extend(chunk),
                None => {
                    self.is_over = true;
                    break;
                }
            }
        }
        (!line.is_empty()).then(|| String::from_utf8(line).unwrap())
    }

    fn is_silent(&mut self) -> bool {
        let timeout = Duration::from_millis(3);
        self.stream
            .get_ref()
            .set_read_timeout(Some(timeout))
            .unwrap();
        let silent = match self.stream.fill_buf() {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.stream
            .get_ref()
            .set_read_timeout(Some(TIME_LIMIT))
            .unwrap();
        silent
    }
}

fn connect(address: &str) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    Ok(BufReader::new(stream))
}

fn write_request(
    stream: &mut BufReader<TcpStream>,
    host: &str,
    request: &Request,
) -> io::Result<()> {
    let mut bytes = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\n",
        request.method, request.target
    );
    for (name, value) in &request.headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    if !request.body.is_empty() || matches!(&*request.method, "PUT" | "POST") {
        bytes.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(&request.body);
    stream.get_mut().write_all(&bytes)
}

fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Response> {
    let status = read_line(stream)?;
    let status = status
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status line"))?;
    Ok(Response {
        status,
        headers: read_headers(stream)?,
        body: Vec::new(),
    })
}

/// Header lines, or trailers, up to the empty line.
fn read_headers(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    headers.sort();
    Ok(headers)
}

fn read_chunk(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let chunk = read_chunk_or_end(stream)?;
    if chunk.is_none() {
        read_headers(stream)?;
    }
    Ok(chunk)
}

/// The next chunk; `None` for the last one, which trailers follow.
fn read_chunk_or_end(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let size = read_line(stream)?;
    let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
    if size == 0 {
        return Ok(None);
    }
    let mut chunk = vec![0; size];
    stream.read_exact(&mut chunk)?;
    read_line(stream)?;
    Ok(Some(chunk))
}

fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
