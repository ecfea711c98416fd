//! A server that reads requests and sends the same bytes as the response to each.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{KEY, VALUE};

/// The responses of etcd 3.4 to reads and writes of [`KEY`].
pub struct Canned {
    address: SocketAddr,
}

impl Canned {
    /// The name of its threads.
    pub const THREAD: &str = "canned";

    /// Serves on a free port of 127.0.0.1, until this process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        spawn(move || {
            for stream in listener.incoming().flatten() {
                // A closed connection is not an error.
                spawn(move || serve(stream).unwrap_or_default());
            }
        });
        Self { address }
    }

    /// Returns the URL where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn spawn(serve: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(Canned::THREAD.to_owned());
    thread.spawn(serve).expect("a thread");
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let responses = Responses::new();
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    loop {
        line.clear();
        if requests.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let response = responses.to(&line);
        let mut length = 0;
        loop {
            line.clear();
            requests.read_line(&mut line)?;
            // Nothing is allocated here: the allocations of this process are counted.
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
                None => break,
            }
        }
        std::io::copy(&mut (&mut requests).take(length), &mut std::io::sink())?;
        stream.write_all(response.as_bytes())?;
    }
}

struct Responses {
    v2: String,
    put: String,
    range: String,
}

impl Responses {
    fn new() -> Self {
        let node =
            format!(r#"{{"key":"{KEY}","value":"{VALUE}","modifiedIndex":7,"createdIndex":7}}"#);
        let v2 = format!(r#"{{"action":"set","node":{node},"prevNode":{node}}}"#) + "\n";
        let header = r#""header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"7","raft_term":"2"}"#;
        let [key, value] = [KEY, VALUE].map(|it| BASE64_STANDARD.encode(it));
        let kv = format!(
            r#"{{"key":"{key}","create_revision":"2","mod_revision":"7","version":"6","value":"{value}"}}"#
        );
        let put = format!("{{{header}}}");
        let range = format!(r#"{{{header},"kvs":[{kv}],"count":"1"}}"#);
        let of_v2 = "X-Etcd-Cluster-Id: cdf818194e3a8c32\r\nX-Etcd-Index: 7\r\nX-Raft-Index: 12\r\nX-Raft-Term: 2\r\n";
        Self {
            v2: response(of_v2, &v2),
            put: response("", &put),
            range: response("", &range),
        }
    }

    fn to(&self, request_line: &str) -> &str {
        if request_line.contains("/v3/kv/put") {
            &self.put
        } else if request_line.contains("/v3/kv/range") {
            &self.range
        } else {
            &self.v2
        }
    }
}

fn response(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Date: Sun, 01 Jan 2023 00:00:00 GMT\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
