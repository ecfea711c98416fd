//! A server that reads requests and sends the same bytes as the response to each.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::{KEY, VALUE};

/// A response of etcd 3.4 to a get or a set of [`KEY`].
pub struct Canned {
    address: SocketAddr,
}

impl Canned {
    /// Serves on a free port of 127.0.0.1, until this process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A closed connection is not an error.
                thread::spawn(move || serve(stream).ok());
            }
        });
        Self { address }
    }

    /// Returns the URL where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let node = format!(r#"{{"key":"{KEY}","value":"{VALUE}","modifiedIndex":7,"createdIndex":7}}"#);
    let body = format!(r#"{{"action":"set","node":{node},"prevNode":{node}}}"#) + "\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Etcd-Cluster-Id: cdf818194e3a8c32\r\n\
         X-Etcd-Index: 7\r\nX-Raft-Index: 12\r\nX-Raft-Term: 2\r\nDate: Sun, 01 Jan 2023 00:00:00 GMT\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            // Nothing is allocated here: the allocations of this process are counted.
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        std::io::copy(&mut (&mut requests).take(length), &mut std::io::sink())?;
        stream.write_all(answer.as_bytes())?;
    }
}
