//! A minimal HTTP client, for health checks on this machine.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// The status and the body of a response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends `GET path` to `port` of 127.0.0.1.
pub(crate) fn get(port: u16, path: &str, timeout: Duration) -> io::Result<Response> {
    send(port, &format!("GET {path} HTTP/1.0\r\n\r\n"), timeout)
}

/// Sends `POST path` with a JSON body to `port` of 127.0.0.1.
pub(crate) fn post(port: u16, path: &str, json: &str, timeout: Duration) -> io::Result<Response> {
    let length = json.len();
    let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
    send(port, &(head + json), timeout)
}

/// Uses HTTP/1.0, where the body is not chunked and ends with the connection.
fn send(port: u16, request: &str, timeout: Duration) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(MAX_RESPONSE_SIZE).read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("not an HTTP response"))
}

fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some(Response {
        status,
        body: body.to_owned(),
    })
}

const MAX_RESPONSE_SIZE: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_parsed() {
        let response =
            parse("HTTP/1.0 503 Service Unavailable\r\nX: y\r\n\r\n{\"health\":\"false\"}")
                .unwrap();
        assert_eq!(
            (response.status, response.body.as_str()),
            (503, "{\"health\":\"false\"}")
        );
        assert!(parse("SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert!(parse("HTTP/1.0 200 OK").is_none());
    }
}
