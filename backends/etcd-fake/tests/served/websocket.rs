//! WebSocket connections at the gateway's paths, which browsers use.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use fake_harness::real::{Real, binaries};

use crate::{Served, profile};

/// How long a server may be silent before the next message is sent.
const SILENCE: Duration = Duration::from_millis(500);

const WATCH: &[u8] = br#"{"create_request":{"key":"YQ=="}}"#;
const PUT: &[u8] = br#"{"key":"YQ==","value":"YQ=="}"#;

/// A path, headers, and what is sent: kinds of frames and their payloads.
type Case = (&'static str, &'static str, &'static [(u8, &'static [u8])]);

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

#[test]
fn a_websocket_is_answered_as_by_the_real_servers() {
    let upgrade = "Upgrade: websocket\r\n";
    let bearer = "Upgrade: websocket\r\nSec-WebSocket-Protocol: Bearer, foo\r\n";
    let cases: &[Case] = &[
        (
            "/v3/watch",
            upgrade,
            &[
                (TEXT, WATCH),
                (BINARY, WATCH),
                (PING, b"hi"),
                (TEXT, b"{"),
                (TEXT, WATCH),
            ],
        ),
        (
            "/v3/watch?method=PUT",
            upgrade,
            &[(TEXT, WATCH), (CLOSE, b"\x03\xe8")],
        ),
        ("/v3/watch", bearer, &[(TEXT, WATCH)]),
        ("/v3/kv/put", upgrade, &[(TEXT, PUT), (TEXT, PUT)]),
        ("/v3/kv/put", bearer, &[(BINARY, b"{}")]),
        ("/v3beta/kv/range", upgrade, &[(TEXT, br#"{"key":"YQ=="}"#)]),
        (
            "/v3/lease/keepalive",
            upgrade,
            &[(TEXT, br#"{"ID":"1"}"#), (TEXT, br#"{"ID":2}"#)],
        ),
        (
            "/v3/election/observe",
            upgrade,
            &[(TEXT, br#"{"name":"YQ=="}"#)],
        ),
        ("/v3/nothing", upgrade, &[]),
        ("/v3/kv/put", "", &[]),
        ("/version", upgrade, &[]),
        ("/v2/keys/none", upgrade, &[]),
    ];
    for binary in binaries() {
        let real = Real::start(&binary);
        let served = Served::start(&["--profile", profile(&real.version)]);
        for (path, headers, messages) in cases {
            let [expected, seen] = [&real.client_url, &served.url].map(|url| {
                let mut socket = Socket::open(url, path, headers);
                let mut reply = vec![socket.head()];
                for (kind, message) in *messages {
                    socket.send(*kind, message);
                    reply.push(socket.reply());
                }
                if messages.is_empty() {
                    reply.push(socket.reply());
                }
                reply
            });
            assert_eq!(seen, expected, "{}: {path} {headers}", real.version);
        }
    }
}

#[test]
fn a_handshake_that_is_none_is_refused_as_by_the_real_servers() {
    let line = "GET /v3/watch HTTP/1.1\r\n";
    let asked = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases: &[&[&str]] = &[
        &[line, asked, version],
        &[line, asked, version, "Sec-WebSocket-Key: \r\n"],
        &[line, asked, version, "Sec-WebSocket-Key: short\r\n"],
        &[line, asked, key],
        &[line, asked, key, "Sec-WebSocket-Version: 8\r\n"],
        &[line, asked, key, "Sec-WebSocket-Version: 8, 13\r\n"],
        &[
            line,
            asked,
            key,
            "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13\r\n",
        ],
        &[line, "Connection: Upgrade\r\n", version, key],
        &[line, "Upgrade: websocket\r\n", version, key],
        &[
            line,
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            version,
            key,
        ],
        &[
            "POST /v3/kv/range HTTP/1.1\r\nContent-Length: 14\r\n",
            asked,
            version,
            key,
            "\r\n{\"key\":\"YQ==\"}",
        ],
        &["HEAD /v3/watch HTTP/1.1\r\n", asked, version, key],
        &[
            line,
            asked,
            version,
            key,
            "Origin: http://elsewhere.example\r\n",
        ],
        &["GET /v3 HTTP/1.1\r\n", asked, version, key],
        &["GET /v3beta/nothing HTTP/1.1\r\n", asked, version],
    ];
    for binary in binaries() {
        let real = Real::start(&binary);
        let served = Served::start(&["--profile", profile(&real.version)]);
        for parts in cases {
            let head = parts.concat();
            let [expected, seen] = [&real.client_url, &served.url].map(|url| {
                let mut socket = Socket::connect(url);
                let (line, rest) = head.split_once("\r\n").unwrap();
                let has_body = rest.contains("\r\n\r\n");
                let end = if has_body { "" } else { "\r\n" };
                socket.write(&format!("{line}\r\nHost: etcd\r\n{rest}{end}"));
                (socket.head(), socket.reply())
            });
            assert_eq!(seen, expected, "{}: {head}", real.version);
        }
    }
}

#[test]
fn a_websocket_that_is_open_ends_with_the_server() {
    let served = Served::start(&[]);
    let mut socket = Socket::open(&served.url, "/v3/watch", "Upgrade: websocket\r\n");
    assert!(socket.head().starts_with("HTTP/1.1 101"));
    socket.send(TEXT, WATCH);
    assert!(socket.reply().contains("created"));
    drop(served);
    assert_eq!(socket.reply(), "end");
}

struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
    has_ended: bool,
}

impl Socket {
    fn open(url: &str, path: &str, headers: &str) -> Self {
        let mut socket = Self::connect(url);
        socket.write(&format!(
            "GET {path} HTTP/1.1\r\nHost: etcd\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        ));
        socket
    }

    fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        Self {
            stream,
            read: Vec::new(),
            has_ended: false,
        }
    }

    fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The head of the response, without its date, in order.
    fn head(&mut self) -> String {
        let end = b"\r\n\r\n";
        while !self.read.windows(4).any(|bytes| bytes == end) && self.receive() {}
        let at = self.read.windows(4).position(|bytes| bytes == end).unwrap();
        let head = String::from_utf8(self.read.drain(..at + 4).collect()).unwrap();
        let (status, headers) = head.trim_end().split_once("\r\n").unwrap();
        let mut headers: Vec<_> = headers
            .lines()
            .filter(|line| {
                !["date", "x-etcd", "x-raft", "content-length"]
                    .iter()
                    .any(|name| line.to_ascii_lowercase().starts_with(name))
            })
            .map(str::to_ascii_lowercase)
            .collect();
        headers.sort();
        format!("{status} {headers:?}")
    }

    /// What else arrives, until the server is silent: frames, without the ids of the server.
    fn reply(&mut self) -> String {
        while self.receive() {}
        let mut reply = Vec::new();
        while let Some((kind, message)) = self.frame() {
            reply.push(format!("{kind:x} {}", without_ids(&message)));
        }
        if self.has_ended {
            reply.push("end".to_owned());
        }
        reply.join("\n")
    }

    fn receive(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.has_ended = true,
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.has_ended = true,
        }
        false
    }

    /// A frame: its first byte and its payload. What is none is shown as it is.
    fn frame(&mut self) -> Option<(u8, String)> {
        let (&[first, length], rest) = self.read.split_first_chunk()?;
        if first & 0x80 == 0 {
            return Some((
                0,
                String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned(),
            ));
        }
        let (length, rest) = match (length, rest) {
            (126, &[high, low, ref rest @ ..]) => (usize::from(high) << 8 | usize::from(low), rest),
            _ => (usize::from(length), rest),
        };
        let message = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.read = rest[length..].to_vec();
        Some((first, message))
    }

    /// Sends a frame. It is masked with zeros.
    fn send(&mut self, kind: u8, message: &[u8]) {
        let mut frame = vec![
            0x80 | kind,
            0x80 | u8::try_from(message.len()).unwrap(),
            0,
            0,
            0,
            0,
        ];
        frame.extend_from_slice(message);
        // The server may have closed the connection.
        let _ = self.stream.write_all(&frame);
    }
}

/// A text with zeros in place of long numbers.
fn without_ids(text: &str) -> String {
    let parts = text.split('"').map(|part| {
        let is_id = part.len() > 15 && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_id { "0" } else { part }
    });
    parts.collect::<Vec<_>>().join("\"")
}
