//! Bad connections, and many of them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use fake_harness::{
    Request, Watching,
    raw::{Connection, RawWatch},
};

use crate::Served;

fn stats(connection: &mut Connection) -> serde_json::Value {
    connection
        .ask(&Request::new("GET", "/v2/stats/store"))
        .json()
}

/// Waits until this many watches are open.
fn wait_for_watchers(connection: &mut Connection, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while stats(connection)["watchers"] != count {
        assert!(Instant::now() < deadline, "{}", stats(connection));
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn health_is_up_at_once() {
    let served = Served::start(&[]);
    let reply = Connection::new(served.address()).ask(&Request::new("GET", "/health"));
    assert_eq!(reply.text(), "{\"health\":\"true\",\"reason\":\"\"}");
}

#[test]
fn etcds_own_flags_are_taken() {
    let served = Served::start(&[
        "-name=infra7",
        "--advertise-client-urls",
        "http://example:2379",
        "--enable-v2",
        "--data-dir",
        "/nowhere",
        "--initial-cluster=infra7=http://x:2380",
        "--unsafe-no-fsync",
    ]);
    let reply = Connection::new(served.address()).ask(&Request::new("GET", "/v2/members"));
    let member = &reply.json()["members"][0];
    assert_eq!(
        (&member["name"], &member["clientURLs"][0]),
        (&"infra7".into(), &"http://example:2379".into())
    );
    let served = Served::start(&["--enable-v2=false"]);
    assert_eq!(
        Connection::new(served.address())
            .ask(&Request::new("GET", "/v2/keys"))
            .status,
        404
    );
    let output = Command::new(env!("CARGO_BIN_EXE_etcd-fake"))
        .arg("--nonsense=1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unexpected argument '--nonsense'"));
}

#[test]
fn keys_expire_in_real_time() {
    let served = Served::start(&[]);
    let mut connection = Connection::new(served.address());
    connection.ask(&Request::new("PUT", "/v2/keys/a?value=x&ttl=1"));
    let (_, mut watch) = RawWatch::open(
        served.address(),
        &Request::new("GET", "/v2/keys/a?wait=true"),
    );
    let line = watch.line().unwrap();
    assert!(line.starts_with("{\"action\":\"expire\""), "{line}");
    assert_eq!(watch.line(), None);
}

#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    let served = Served::start(&[]);
    let mut stream = TcpStream::connect(served.address()).unwrap();
    let mut requests = String::new();
    for number in 0..50 {
        requests.push_str(&format!(
            "PUT /v2/keys/k{number}?value={number} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        ));
    }
    requests.push_str("GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let places: Vec<usize> = (0..50)
        .map(|number| {
            answers
                .find(&format!("\"key\":\"/k{number}\",\"value\":\"{number}\""))
                .unwrap()
        })
        .collect();
    assert!(places.is_sorted());
    assert!(answers.contains("etcdserver"));
}

/// Reads until the response has this text.
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let so_far = String::from_utf8_lossy(&response).into_owned();
        if so_far.contains(text) {
            return so_far;
        }
        let read = stream.read(&mut buffer);
        let read = read.unwrap_or_else(|error| panic!("{text}: {error} after {so_far:?}"));
        assert_ne!(read, 0, "{text}: the connection ends after {so_far:?}");
        response.extend_from_slice(&buffer[..read]);
    }
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn bytes_behind_a_request_do_not_withhold_its_response() {
    let served = Served::start(&[]);
    let range = post("/v3/kv/range", r#"{"key":"YQ=="}"#);
    let watch = post("/v3/watch", r#"{"create_request":{"key":"YQ=="}}"#);
    let mut put = Connection::new(served.address());
    for behind in ["\r\n", "GET /version HT", "no HTTP\r\n\r\n", &*range] {
        let mut stream = TcpStream::connect(served.address()).unwrap();
        stream
            .write_all(format!("{range}{behind}").as_bytes())
            .unwrap();
        read_until(&mut stream, "\"revision\"");
        let mut stream = TcpStream::connect(served.address()).unwrap();
        stream
            .write_all(format!("{watch}{behind}").as_bytes())
            .unwrap();
        read_until(&mut stream, "\"created\":true");
        put.ask(&Request::new("POST", "/v3/kv/put").json(r#"{"key":"YQ=="}"#));
        read_until(&mut stream, "\"events\"");
    }
}

#[test]
fn a_head_is_as_large_as_in_etcd() {
    let served = Served::start(&[]);
    let mut connection = Connection::new(served.address());
    let request = Request::new("GET", "/version");
    let large = request.clone().header("x", &"y".repeat(900_000));
    assert_eq!(connection.ask(&large).status, 200);
    let many = (0..900).fold(request, |request, number| {
        request.header(&format!("x{number}"), "y")
    });
    assert_eq!(connection.ask(&many).status, 200);
}

#[test]
fn a_request_with_a_head_that_etcd_refuses_has_no_effect() {
    let served = Served::start(&[]);
    let body = r#"{"key":"YQ=="}"#;
    let length = body.len();
    for (fields, refusal) in [
        ("", "400 Bad Request: missing required Host header"),
        ("Host: x\r\nHost: x\r\n", "400 Bad Request"),
        ("Host: x y\r\n", "400 Bad Request: malformed Host header"),
        ("Host: x\r\nExpect: y\r\n", "417 Expectation Failed"),
        (
            "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
            "501 Not Implemented",
        ),
    ] {
        let mut stream = TcpStream::connect(served.address()).unwrap();
        let body = if fields.contains("chunked") {
            format!("\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        } else {
            format!("Content-Length: {length}\r\n\r\n{body}")
        };
        let request = format!("POST /v3/kv/put HTTP/1.1\r\n{fields}{body}");
        stream.write_all(request.as_bytes()).unwrap();
        read_until(&mut stream, &format!("HTTP/1.1 {refusal}\r\n"));
    }
    let mut connection = Connection::new(served.address());
    let range = connection.ask(&Request::new("POST", "/v3/kv/range").json(body));
    assert_eq!(range.json()["header"]["revision"], "1");
}

#[test]
fn a_watch_ends_with_its_client() {
    let served = Served::start(&[]);
    let mut connection = Connection::new(served.address());
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream
        .write_all(b"GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    wait_for_watchers(&mut connection, 1);
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    wait_for_watchers(&mut connection, 0);
}

#[test]
fn slow_and_broken_clients_do_not_affect_others() {
    let served = Served::start(&[]);
    let mut open = Vec::new();
    for bytes in [
        &b""[..],
        b"GET /v2/keys/a HT",
        b"PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nvalue=",
        b"\x16\x03\x01\x02\x00nonsense\r\n\r\n",
        b"GET /v2/keys/a HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(served.address()).unwrap();
        stream.write_all(bytes).unwrap();
        open.push(stream);
    }
    let mut connection = Connection::new(served.address());
    let reply = connection.ask(&Request::new("GET", "/v2/keys/a"));
    assert_eq!(
        (reply.status, reply.index()),
        (404, 3),
        "half a request is none"
    );
    // A byte at a time is a request too.
    let mut slow = TcpStream::connect(served.address()).unwrap();
    for byte in b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
        slow.write_all(&[*byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn thousands_of_idle_watches_do_not_block_others() {
    // Limited by the number of open files of a process.
    let limit = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limit
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let limit = limit
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(1024);
    let count = 3_000.min(limit / 2);
    let served = Served::start(&[]);
    let mut connection = Connection::new(served.address());
    let mut watches: Vec<RawWatch> = (0..count)
        .map(|number| {
            let request = Request::new("GET", &format!("/v2/keys/w{number}?wait=true"));
            RawWatch::open(served.address(), &request).1
        })
        .collect();
    wait_for_watchers(&mut connection, count);
    for number in [0, count / 2, count - 1] {
        connection.ask(&Request::new("PUT", &format!("/v2/keys/w{number}?value=x")));
        let line = watches[usize::try_from(number).unwrap()].line().unwrap();
        assert!(line.contains(&format!("/w{number}\"")), "{line}");
    }
    drop(watches);
    wait_for_watchers(&mut connection, 0);
}
