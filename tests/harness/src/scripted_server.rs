//! A server that sends the bytes that a case tells it to send, and records the requests that it receives.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

/// A scripted HTTP/1.1 server on a port of its own. It takes one request for each connection, and ends when dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl ScriptedServer {
    /// Responds to request number `n`, counted from 0, with `answer(n, stream)`.
    pub fn start(
        answer: impl Fn(usize, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scripted = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            ended: Arc::default(),
        };
        let (requests, ended) = (Arc::clone(&scripted.requests), Arc::clone(&scripted.ended));
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Relaxed) {
                    return;
                }
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                // A client may close the connection at any time.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &requests, &*answer)));
            }
        });
        scripted
    }

    /// Responds to every request with these bytes.
    pub fn always(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| stream.write_all(&bytes))
    }

    /// Where it listens, such as `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first lines of the requests, such as `GET /v2/keys/a`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// A complete response.
pub fn answer(status: &str, content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    // etcd's keys API tells the index of its store with every response.
    let index = if content_type == "application/json" {
        "X-Etcd-Index: 7\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{index}\
         Connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A complete response as the keys API sends it.
pub fn json(body: &str) -> Vec<u8> {
    answer("200 OK", "application/json", body)
}

fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<String>>,
    answer: impl Fn(usize, &mut TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(());
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    let number = {
        let mut requests = requests.lock().unwrap();
        let line = first.trim_end().trim_end_matches(" HTTP/1.1");
        requests.push(line.to_owned());
        requests.len() - 1
    };
    answer(number, &mut stream)
}
