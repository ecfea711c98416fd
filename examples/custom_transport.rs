//! A complete transport on `std::net`: HTTP/1.1 written by hand, without a runtime or an HTTP crate, with a thread for
//! each exchange.
//!
//! ```text
//! cargo run  --example custom_transport --features server [-- --endpoint URL]
//! cargo test --example custom_transport --features server      # the contract's conformance suite
//! ```
//!
//! It keeps the contract of [`Transport`] with two limits: it rejects HTTP/2, and opens a connection for each request.
//! One for production would reuse connections, use an event loop instead of threads, have one timer for all sleeps,
//! read while it still writes, try the addresses of a host concurrently and within a time limit, and support TLS.

mod common;

use std::{
    error::Error,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Arc, OnceLock, mpsc as blocking},
    thread,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait,
        bytes::Bytes,
        http::{self, HeaderMap, Method, Version, header, request, response},
        http_body::Frame,
    },
};
use futures::{
    SinkExt, StreamExt,
    channel::{mpsc, oneshot},
    executor::block_on,
};
use http_body_util::StreamBody;

fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::new(StdTransport, [&etcd.url])?;
    block_on(async {
        let set = client.v2().set("/custom-transport", "by hand").await?;
        println!("set at index {}", set.index());
        let deleted = client.v2().delete("/custom-transport").await?;
        println!("it was {:?}", deleted.prev_node.and_then(|node| node.value));
        Ok(())
    })
}

/// Sends requests over [`std::net`].
#[derive(Debug)]
struct StdTransport;

#[async_trait]
impl Transport for StdTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (head, content) = request.into_parts();
        // Requests that cannot be sent are rejected.
        let host = match head.uri.authority() {
            Some(host) if head.uri.scheme_str() == Some("http") => host.clone(),
            _ => return Err(TransportError::rejected("not an absolute http:// URI")),
        };
        if head.version == Version::HTTP_2 {
            return Err(TransportError::rejected("this transport has no HTTP/2"));
        }
        let hang_up = HangUp::default();
        let connection = Arc::clone(&hang_up.0);
        // A small buffer: a slow reader of the body blocks the server instead of filling the memory.
        let (mut frames, body) = mpsc::channel(1);
        let (answer, answered) = oneshot::channel();
        thread::spawn(move || {
            let address = (host.host(), host.port_u16().unwrap_or(80));
            let stream = match connect(address, &connection) {
                Ok(stream) => stream,
                // This kind of error promises that the server saw nothing.
                Err(error) => return drop(answer.send(Err(TransportError::connect(error)))),
            };
            if answer.is_canceled() {
                return; // Dropped while we connected, when there was nothing to hang up.
            }
            let mut stream = BufReader::new(stream);
            let sent = write_request(stream.get_mut(), &head, content);
            let answered = match sent.and_then(|()| read_head(&mut stream)) {
                Ok(answered) => answered,
                Err(error) => return drop(answer.send(Err(TransportError::interrupted(error)))),
            };
            // The receiver may have been dropped.
            _ = answer.send(Ok(answered.clone()));
            if let Err(error) = pass_on_body(&mut stream, &head.method, &answered, &mut frames) {
                _ = block_on(frames.send(Err(TransportError::interrupted(error))));
            }
        });
        let head = answered.await.map_err(TransportError::interrupted)??;
        let body = body.inspect(move |_| _ = &hang_up);
        Ok(Response::from_parts(
            head,
            Body::stream(StreamBody::new(body)),
        ))
    }

    async fn sleep(&self, duration: Duration) {
        let (_dropped_with_us, nothing) = blocking::channel::<()>();
        let (wake, awake) = oneshot::channel();
        thread::spawn(move || {
            // Ends when the time is up or the future is dropped. Nothing is ever sent on the channel.
            _ = nothing.recv_timeout(duration);
            _ = wake.send(());
        });
        _ = awake.await;
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Owned by the future of an exchange, then by its body. Dropping it cancels the exchange: it wakes the thread that
/// reads.
#[derive(Default)]
struct HangUp(Arc<OnceLock<TcpStream>>);

impl Drop for HangUp {
    fn drop(&mut self) {
        if let Some(stream) = self.0.get() {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn connect(address: (&str, u16), connection: &OnceLock<TcpStream>) -> io::Result<TcpStream> {
    let host = address.0.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, address.1))?;
    stream.set_nodelay(true)?;
    _ = connection.set(stream.try_clone()?);
    Ok(stream)
}

fn write_request(stream: &mut TcpStream, head: &request::Parts, body: Body) -> io::Result<()> {
    let uri = &head.uri;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map_or("", |host| host.as_str());
    let mut text = format!("{} {target} HTTP/1.1\r\nhost: {host}\r\n", head.method).into_bytes();
    text.extend(b"connection: close\r\n");
    for (name, value) in &head.headers {
        let name = name.as_str().as_bytes();
        text.extend([name, b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let mut body = match body.try_into_bytes() {
        Ok(body) => {
            text.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            text.extend(body);
            return stream.write_all(&text);
        }
        Err(streamed) => streamed,
    };
    text.extend(b"transfer-encoding: chunked\r\n\r\n");
    stream.write_all(&text)?;
    // A body that breaks off leaves the request without its last chunk, and therefore incomplete.
    while let Some(frame) = block_on(body.frame()) {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data()
            && !data.is_empty()
        {
            let size = format!("{:x}\r\n", data.len());
            stream.write_all(&[size.as_bytes(), &data, b"\r\n"].concat())?;
        }
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Reads the head of the response. Interim responses, such as `100 Continue`, are skipped.
fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<response::Parts> {
    loop {
        let line = read_line(stream)?;
        if !line.starts_with(b"HTTP/1.") {
            return Err(io::Error::other("the response is not HTTP/1"));
        }
        let status = line.get(9..12).unwrap_or_default();
        let head = http::Response::builder().status(status).body(());
        let (mut head, ()) = head.map_err(io::Error::other)?.into_parts();
        head.headers = read_headers(stream)?;
        if !head.status.is_informational() {
            return Ok(head);
        }
    }
}

type Frames = mpsc::Sender<Result<Frame<Bytes>, TransportError>>;

/// Reads the body, frame by frame. A truncated body is an error.
fn pass_on_body(
    stream: &mut BufReader<TcpStream>,
    method: &Method,
    head: &response::Parts,
    frames: &mut Frames,
) -> io::Result<()> {
    if *method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304) {
        return Ok(());
    }
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        loop {
            let line = read_line(stream)?;
            let size = line.split(|&byte| byte == b';').next().unwrap_or_default();
            let size = number(size, 16)?;
            if size == 0 {
                break;
            }
            pass_on(stream, size, frames)?;
            if !read_line(stream)?.is_empty() {
                return Err(io::Error::other("a chunk is longer than its size"));
            }
        }
        let trailers = read_headers(stream)?;
        if trailers.is_empty() {
            return Ok(());
        }
        return block_on(frames.send(Ok(Frame::trailers(trailers)))).map_err(io::Error::other);
    }
    if let Some(length) = head.headers.get(header::CONTENT_LENGTH) {
        return pass_on(stream, number(length.as_bytes(), 10)?, frames);
    }
    loop {
        match stream.fill_buf()?.len() {
            0 => return Ok(()),
            here => pass_on(stream, here as u64, frames)?,
        }
    }
}

/// Reads this many bytes, as they arrive.
fn pass_on(
    stream: &mut BufReader<TcpStream>,
    mut left: u64,
    frames: &mut Frames,
) -> io::Result<()> {
    while left > 0 {
        let here = stream.fill_buf()?;
        let size = here.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if size == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let data = Bytes::copy_from_slice(&here[..size]);
        stream.consume(size);
        left -= size as u64;
        block_on(frames.send(Ok(Frame::data(data)))).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Reads headers or trailers, and the empty line after them.
fn read_headers(stream: &mut BufReader<TcpStream>) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
        let name = header::HeaderName::from_bytes(&line[..colon]).map_err(io::Error::other)?;
        let value = header::HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
            .map_err(io::Error::other)?;
        headers.try_append(name, value).map_err(io::Error::other)?;
    }
}

/// Reads a line, which must end with CRLF, and returns it without that.
fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    const LONGEST: u64 = 64 << 10;
    let mut line = Vec::new();
    stream.take(LONGEST).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.pop_if(|last| *last == b'\r');
    Ok(line)
}

fn number(digits: &[u8], radix: u32) -> io::Result<u64> {
    let digits = str::from_utf8(digits).map_err(io::Error::other)?;
    u64::from_str_radix(digits.trim(), radix).map_err(io::Error::other)
}

/// The conformance suite of the contract.
#[cfg(test)]
mod tests {
    use etcd_transport_conformance::Limits;

    use super::{StdTransport, block_on};

    const LIMITS: Limits = Limits::strict().fresh_connections().refuses_http2();

    etcd_transport_conformance::test_suite!(StdTransport, block_on, LIMITS);
}
