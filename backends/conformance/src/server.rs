//! A scripted HTTP/1.1 server: it sends exactly the bytes of its script, and records what it receives.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use etcd_transport::http::Uri;

/// A server on `127.0.0.1` that runs a script for each connection, on a thread of its own.
///
/// Dropping it closes all connections and waits for all threads.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    received: Mutex<Vec<Received>>,
    streams: Mutex<Vec<TcpStream>>,
}

/// A request as the server read it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Received {
    /// The method of the request line.
    pub method: String,
    /// Path and query of the request line, byte for byte.
    pub target: String,
    /// The headers in their order, with names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

/// A connection that a script reads and writes. When the script returns, the connection is closed.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server that runs `script` for each connection. An error ends the script and closes the connection.
    pub fn start(
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of 127.0.0.1");
        let address = listener.local_addr().expect("the address it is bound to");
        let shared = Arc::new(Shared::default());
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            let script = Arc::new(script);
            move || accept(&listener, &shared, &script)
        });
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Starts a server that responds to every request with `response`, on connections that stay open.
    pub fn responding(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |connection| {
            loop {
                connection.read_request()?;
                connection.write(&response)?;
            }
        })
    }

    /// Returns scheme and authority of this server's URIs.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns an absolute URI of this server.
    pub fn uri(&self, path_and_query: &str) -> Uri {
        let uri = format!("{}{path_and_query}", self.origin());
        uri.parse().expect("a URI of this server")
    }

    /// Returns how many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Returns how many scripts have seen the client close the connection (see [`Connection::wait_until_closed`]).
    pub fn closed(&self) -> usize {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// Returns all requests whose head was read so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received().clone()
    }

    /// Returns the only request.
    ///
    /// # Panics
    /// If there was none, or more than one.
    pub fn only_request(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "one request: {received:?}");
        received.remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees that it is to stop.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            // An error means that the acceptor panicked: it has ended, too.
            let _ = acceptor.join();
        }
    }
}

impl Connection {
    /// Reads a request, head and body, and returns its number: 1 for the first that this server received.
    ///
    /// # Errors
    /// If the client closes or resets the connection.
    pub fn read_request(&mut self) -> io::Result<usize> {
        let number = self.read_head()?;
        self.read_body(number)?;
        Ok(number)
    }

    /// Reads the head of a request and returns its number.
    ///
    /// # Errors
    /// As [`read_request`](Self::read_request).
    pub fn read_head(&mut self) -> io::Result<usize> {
        let start = self.read_line()?;
        let mut words = start.split(|byte| *byte == b' ').map(text);
        let mut request = Received {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            ..Received::default()
        };
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or(io::ErrorKind::InvalidData)?);
            let name = text(name).to_ascii_lowercase();
            request
                .headers
                .push((name, value[1..].trim_ascii().to_vec()));
        }
        Ok(self.record(request))
    }

    /// Adds a request to those that the server has received, and returns its number.
    pub(crate) fn record(&mut self, request: Received) -> usize {
        let mut received = self.shared.received();
        received.push(request);
        received.len()
    }

    /// Fills the buffer.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer)
    }

    /// Reads the body of the request of this number, whose head was read before.
    ///
    /// # Errors
    /// As [`read_request`](Self::read_request).
    pub fn read_body(&mut self, number: usize) -> io::Result<()> {
        let request = self.shared.received()[number - 1].clone();
        let mut body = Vec::new();
        if let Some(length) = request.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            body.resize(length, 0);
            self.stream.read_exact(&mut body)?;
        } else if request.header("transfer-encoding").is_some() {
            while self.read_chunk(&mut body)? != 0 {}
        }
        self.shared.received()[number - 1].body = body;
        Ok(())
    }

    /// Reads one chunk of a chunked body (or its end, trailers included), appends it, and returns its length.
    ///
    /// # Errors
    /// As [`read_request`](Self::read_request).
    pub fn read_chunk(&mut self, body: &mut Vec<u8>) -> io::Result<usize> {
        let line = text(&self.read_line()?);
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        if size == 0 {
            while !self.read_line()?.is_empty() {}
            return Ok(0);
        }
        let start = body.len();
        body.resize(start + size, 0);
        self.stream.read_exact(&mut body[start..])?;
        self.read_line()?;
        Ok(size)
    }

    /// Returns path and query of the request of this number.
    pub fn target(&self, number: usize) -> String {
        self.shared.received()[number - 1].target.clone()
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// If the client has closed the connection.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends one chunk of a chunked body.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_chunk(&mut self, data: &str) -> io::Result<()> {
        self.write(format!("{:x}\r\n{data}\r\n", data.len()))
    }

    /// Waits until the first byte of a request has arrived, and leaves it unread.
    ///
    /// # Errors
    /// As [`read_request`](Self::read_request).
    pub fn wait_for_a_byte(&mut self) -> io::Result<()> {
        match self.stream.fill_buf()? {
            [] => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the client closes the connection, and counts that.
    ///
    /// # Errors
    /// Never; a script can end with it.
    pub fn wait_until_closed(&mut self) -> io::Result<()> {
        let mut rest = [0; 4096];
        while matches!(self.stream.read(&mut rest), Ok(1..)) {}
        self.shared.closed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Resets the connection (RST), as a killed server or a firewall does.
    ///
    /// # Errors
    /// If the system refuses the socket option; a script can end with it.
    pub fn reset(&mut self) -> io::Result<()> {
        socket2::SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO))?;
        self.shared.forget(self.stream.get_ref());
        Ok(())
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(line.to_vec()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Received {
    /// Returns the first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).first().map(|value| text(value))
    }

    /// Returns all values of a header, by its name in lower case.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.headers.iter().filter(|header| header.0 == name);
        named.map(|header| &*header.1).collect()
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the second handle of this connection, so that dropping the other one closes it.
    fn forget(&self, stream: &TcpStream) {
        let client = stream.peer_addr().ok();
        self.streams()
            .retain(|other| other.peer_addr().ok() != client);
    }
}

fn accept<S>(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<S>)
where
    S: Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
{
    let mut scripts = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopped.load(Ordering::SeqCst) {
            break;
        }
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        // Each chunk is to be sent when it is written.
        let (Ok(()), Ok(second)) = (stream.set_nodelay(true), stream.try_clone()) else {
            continue;
        };
        shared.streams().push(second);
        let (shared, script) = (Arc::clone(shared), Arc::clone(script));
        scripts.push(thread::spawn(move || {
            let mut connection = Connection {
                stream: BufReader::new(stream),
                shared,
            };
            // An error means that the client is gone, which the tests see in what the server counts.
            let _ = script(&mut connection);
            connection.shared.forget(connection.stream.get_ref());
        }));
    }
    for stream in shared.streams().drain(..) {
        // An error means that it is closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
    for script in scripts {
        // An error means that the script panicked: it has ended, too.
        let _ = script.join();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
