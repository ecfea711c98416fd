//! The few bytes of HTTP it takes to ask an etcd on this machine how it is.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// An answer: its status and its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// GETs `path` from `port` of 127.0.0.1.
pub(super) fn get(port: u16, path: &str, timeout: Duration) -> io::Result<Answer> {
    exchange(port, &format!("GET {path} HTTP/1.0\r\n\r\n"), timeout)
}

/// POSTs `json` to `path` at `port` of 127.0.0.1.
pub(super) fn post(port: u16, path: &str, json: &str, timeout: Duration) -> io::Result<Answer> {
    let length = json.len();
    let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
    exchange(port, &(head + json), timeout)
}

/// It speaks HTTP/1.0, in which the body is plain and ends with the connection. It need not be more: for anything but
/// loopback and a question about health, use a real client.
fn exchange(port: u16, request: &str, timeout: Duration) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LIMIT).read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("the answer is no HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

const LIMIT: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            parse("HTTP/1.0 503 Service Unavailable\r\nX: y\r\n\r\n{\"health\":\"false\"}")
                .unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (503, "{\"health\":\"false\"}")
        );
        assert!(parse("SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert!(parse("HTTP/1.0 200 OK").is_none());
    }
}
