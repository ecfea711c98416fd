//! Responses that etcd does not send, and truncated ones: each is an error with a text, and a write is never sent
//! twice.

use std::{
    error::Error as _,
    io::{self, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use etcd_http::{
    Error, Outcome, RawResponse, Result,
    transport::{Transport, http::Method},
    v2::{Event, Watch},
};
use futures::StreamExt;
use harness::{
    case::Etcd,
    cases,
    scripted_server::{ScriptedServer, answer, json},
};

cases! {
    http {
        Nothing {
            html_with_200_is_not_what_etcd_sends,
            truncated_json_is_not_what_etcd_sends,
            wrong_types_are_not_what_etcd_sends,
            an_empty_200_is_not_what_etcd_sends,
            json_of_another_service_is_not_what_etcd_sends,
            a_keys_response_without_a_node_is_not_what_etcd_sends,
            bytes_that_are_no_utf_8_are_not_what_etcd_sends,
            json_nested_too_deep_is_refused_without_overflow,
            machines_that_are_no_urls_are_not_what_etcd_sends,
            html_with_404_is_a_server_without_the_v2_api,
            html_with_500_leaves_a_write_unknown_and_is_tried_again_for_a_read,
            json_with_an_unknown_code_is_still_etcds_error,
            a_status_that_etcd_does_not_send_is_unexpected,
            a_loop_of_redirects_is_an_error,
            a_redirect_to_another_host_is_not_followed,
            a_redirect_out_of_the_api_is_not_followed,
            a_redirect_of_a_write_is_followed_only_if_it_stays_one,
            a_response_announced_beyond_the_limit_is_not_read,
            an_endless_response_is_read_up_to_the_limit,
            a_watch_reads_up_to_the_limit_too,
            a_body_that_stops_half_way_leaves_a_write_unknown,
            a_body_that_never_ends_is_a_timeout,
            headers_of_a_megabyte_do_no_harm,
            a_response_that_is_not_http_leaves_a_write_unknown,
            a_connection_that_closes_at_once_leaves_a_write_unknown,
        }
    }
}

const HTML: &str = "<html><body>Log in to the network</body></html>";

/// What the text of an error ends with whose outcome is unknown.
const DOUBT: &str = " (the write may have been applied)";

/// The error of a write, which was sent once; in the text, `URL` stands for the server's.
async fn failed_write<T: Transport>(etcd: &Etcd<T>, server: &ScriptedServer) -> (Error, String) {
    let client = etcd.client_of(server.url());
    let error = client.v2().set("/a", "1").await.unwrap_err();
    assert_eq!(server.requests(), ["PUT /v2/keys/a"]);
    let text = error.to_string().replace(&server.url(), "URL");
    (error, text)
}

/// A write and a read whose responses are successes that cannot be decoded.
async fn assert_meaningless<T: Transport>(etcd: Etcd<T>, body: impl AsRef<[u8]>, text: &str) {
    let server = ScriptedServer::always(answer("200 OK", "application/json", body));
    let (error, write_text) = failed_write(&etcd, &server).await;
    assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
    // The write was accepted.
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(write_text, format!("v2.keys.set at URL: {text}{DOUBT}"));
    let client = etcd.client_of(server.url());
    let error = client.v2().get("/a").await.unwrap_err();
    let read_text = error.to_string().replace(&server.url(), "URL");
    assert_eq!(read_text, format!("v2.keys.get at URL: {text}"));
    // Another attempt would get the same response.
    assert_eq!(server.requests().len(), 2);
}

async fn html_with_200_is_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let text = format!("the response is not what etcd's keys API sends: {HTML:?}");
    assert_meaningless(etcd, HTML, &text).await;
}

async fn truncated_json_is_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let text = r#"the response is not what etcd's keys API sends: "{\"action\":\"set\",\"node\":{\"key\":""#;
    assert_meaningless(etcd, r#"{"action":"set","node":{"key":"#, text).await;
}

async fn wrong_types_are_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always(json(r#"{"action":"set","node":{"key":5}}"#));
    let (error, text) = failed_write(&etcd, &server).await;
    assert_eq!(
        text,
        format!(
            r#"v2.keys.set at URL: the response is not what etcd's keys API sends: "{{\"action\":\"set\",\"node\":{{\"key\":5}}}}"{DOUBT}"#
        )
    );
    let source = error.source().unwrap().to_string();
    assert!(
        source.starts_with("invalid type: integer `5`, expected a string"),
        "{source}"
    );
    for body in [
        r#"{"action":"set","node":{"key":"/a","value":1}}"#,
        r#"{"action":"set","node":{"key":"/a","modifiedIndex":"4"}}"#,
        r#"{"action":"set","node":{"key":"/a","modifiedIndex":-4}}"#,
        r#"{"action":"set","node":{"key":"/a","modifiedIndex":18446744073709551616}}"#,
        r#"{"action":"set","node":{"key":"/a","expiration":"soon"}}"#,
        r#"{"action":"set","node":[{"key":"/a"}]}"#,
        r#"{"action":["set"],"node":{"key":"/a"}}"#,
    ] {
        let server = ScriptedServer::always(json(body));
        let (error, _) = failed_write(&etcd, &server).await;
        assert!(matches!(error, Error::Unexpected(_)), "{body}: {error:?}");
    }
}

async fn an_empty_200_is_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    assert_meaningless(etcd, "", "the response is not what etcd's keys API sends").await;
}

async fn json_of_another_service_is_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let text = r#"the response is not what etcd's keys API sends: "{\"status\":\"ok\"}""#;
    assert_meaningless(etcd, r#"{"status":"ok"}"#, text).await;
}

async fn a_keys_response_without_a_node_is_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let text = r#"the response has no node: "{\"action\":\"set\"}""#;
    assert_meaningless(etcd, r#"{"action":"set"}"#, text).await;
}

async fn bytes_that_are_no_utf_8_are_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let text = "the response is not what etcd's keys API sends: \"\u{fffd}\u{fffd}\\u{1}\"";
    assert_meaningless(etcd, b"\xff\xfe\x01", text).await;
}

async fn json_nested_too_deep_is_refused_without_overflow<T: Transport>(etcd: Etcd<T>) {
    let dir = r#"{"key":"/a","dir":true,"nodes":["#;
    let body = format!(r#"{{"action":"get","node":{}"#, dir.repeat(100_000));
    let lists = format!(r#"{{"action":"get","node":{}"#, "[".repeat(100_000));
    for body in [body, lists] {
        let server = ScriptedServer::always(json(&body));
        let client = etcd.client_of(server.url());
        let error = client.v2().get("/a").await.unwrap_err();
        assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
    }
}

async fn machines_that_are_no_urls_are_not_what_etcd_sends<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always(answer("200 OK", "text/plain", "hello, world"));
    let client = etcd.client_of(server.url());
    let error = client.v2().list_machines().await.unwrap_err();
    assert_eq!(
        error.to_string().replace(&server.url(), "URL"),
        "v2.machines at URL: the response is not a list of URLs: \"hello, world\""
    );
    for error in [
        client.v2().list_members().await.unwrap_err(),
        client.v2().get_store_stats().await.unwrap_err(),
        client.v2().list_users().await.unwrap_err(),
        client.version().await.unwrap_err(),
        client.health().await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.ends_with("the response is not what etcd sends: \"hello, world\""),
            "{text}"
        );
    }
}

async fn html_with_404_is_a_server_without_the_v2_api<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always(answer("404 Not Found", "text/html", HTML));
    let (error, text) = failed_write(&etcd, &server).await;
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(
        text,
        format!(
            "v2.keys.set at URL: this is not etcd's v2 API: is the path of this endpoint wrong?: {HTML:?}"
        )
    );
}

async fn html_with_500_leaves_a_write_unknown_and_is_tried_again_for_a_read<T: Transport>(
    etcd: Etcd<T>,
) {
    let server = ScriptedServer::always(answer("500 Internal Server Error", "text/html", HTML));
    let (error, text) = failed_write(&etcd, &server).await;
    assert!(matches!(error, Error::Http(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(
        text,
        format!(
            "v2.keys.set at URL: HTTP status 500 Internal Server Error, not an etcd error response: \
             {HTML:?}{DOUBT}"
        )
    );
    let client = etcd.client_of(server.url());
    let error = client.v2().get("/a").await.unwrap_err();
    let text = error.to_string().replace(&server.url(), "URL");
    assert!(
        text.starts_with("v2.keys.get at URL (attempt 5): HTTP status 500"),
        "{text}"
    );
    assert_eq!(server.requests().len(), 1 + 5);
}

async fn json_with_an_unknown_code_is_still_etcds_error<T: Transport>(etcd: Etcd<T>) {
    let body = r#"{"errorCode":999,"message":"New","cause":"why","index":7}"#;
    let server = ScriptedServer::always(answer("418 I'm a teapot", "application/json", body));
    let (error, text) = failed_write(&etcd, &server).await;
    let kind = etcd_http::EtcdErrorKind::Other(999);
    assert_eq!(error.etcd_kind(), Some(kind));
    assert_eq!(text, "v2.keys.set at URL: New: why (code 999, index 7)");
    // JSON, but not etcd's.
    let other = answer("418 I'm a teapot", "application/json", r#"{"error":"no"}"#);
    let server = ScriptedServer::always(other);
    let (error, text) = failed_write(&etcd, &server).await;
    assert!(matches!(error, Error::Http(_)), "{error:?}");
    assert_eq!(
        text,
        r#"v2.keys.set at URL: HTTP status 418 I'm a teapot, not an etcd error response: "{\"error\":\"no\"}""#
    );
}

async fn a_status_that_etcd_does_not_send_is_unexpected<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always(answer("304 Not Modified", "text/plain", ""));
    let (error, text) = failed_write(&etcd, &server).await;
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(
        text,
        format!("v2.keys.set at URL: a status that etcd does not send: 304 Not Modified{DOUBT}")
    );
}

fn redirect(status: &str, location: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

async fn failed_read<T: Transport>(etcd: &Etcd<T>, server: &ScriptedServer) -> String {
    let client = etcd.client_of(server.url());
    let error = client.v2().get("/a").await.unwrap_err();
    assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
    error.to_string().replace(&server.url(), "URL")
}

async fn a_loop_of_redirects_is_an_error<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always(redirect("301 Moved Permanently", "/v2/keys/a"));
    assert_eq!(
        failed_read(&etcd, &server).await,
        "v2.keys.get at URL: redirected to \"/v2/keys/a\", one redirect too many"
    );
    assert_eq!(server.requests().len(), 4);
}

async fn a_redirect_to_another_host_is_not_followed<T: Transport>(etcd: Etcd<T>) {
    let other = ScriptedServer::always(json("{}"));
    let location = format!("{}/v2/keys/a", other.url());
    let server = ScriptedServer::always(redirect("307 Temporary Redirect", &location));
    assert_eq!(
        failed_read(&etcd, &server).await,
        format!(
            "v2.keys.get at URL: redirected to {location:?}, which is not one of the client's endpoints"
        )
    );
    assert_eq!(server.requests().len(), 1);
    assert!(other.requests().is_empty());
}

async fn a_redirect_out_of_the_api_is_not_followed<T: Transport>(etcd: Etcd<T>) {
    for location in ["/login", "/v2/../login", "/v3/kv/range", "/v2/%2e%2e/login"] {
        let server = ScriptedServer::always(redirect("301 Moved Permanently", location));
        assert_eq!(
            failed_read(&etcd, &server).await,
            format!(
                "v2.keys.get at URL: redirected to {location:?}, which is outside the API of the call"
            )
        );
        assert_eq!(server.requests().len(), 1);
    }
}

async fn a_redirect_of_a_write_is_followed_only_if_it_stays_one<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always(redirect("301 Moved Permanently", "/v2/keys/b"));
    let (error, text) = failed_write(&etcd, &server).await;
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(
        text,
        "v2.keys.set at URL: redirected to \"/v2/keys/b\", which is not followed for a write"
    );
    let server = ScriptedServer::start(|n, stream| {
        stream.write_all(&if n == 0 {
            redirect("307 Temporary Redirect", "/v2/keys/b")
        } else {
            json(r#"{"action":"set","node":{"key":"/b","modifiedIndex":4,"createdIndex":4}}"#)
        })
    });
    let client = etcd.client_of(server.url());
    client.v2().set("/a", "1").await.unwrap();
    assert_eq!(server.requests(), ["PUT /v2/keys/a", "PUT /v2/keys/b"]);
}

/// Sends 100 MiB of spaces after a head, until the client closes the connection, and counts the bytes.
fn flood(head: &'static str, chunked: bool) -> (ScriptedServer, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let send = move |_: usize, stream: &mut TcpStream| -> io::Result<()> {
        stream.write_all(head.as_bytes())?;
        let block = [b' '; 1 << 16];
        for _ in 0..(100 << 20) / block.len() {
            if chunked {
                stream.write_all(b"10000\r\n")?;
            }
            stream.write_all(&block)?;
            if chunked {
                stream.write_all(b"\r\n")?;
            }
            counter.fetch_add(block.len(), Relaxed);
        }
        Ok(())
    };
    (ScriptedServer::start(send), sent)
}

const MIB: usize = 1 << 20;

/// What sockets buffer on both sides, and a transport reads ahead, before the limit applies.
const READ_AHEAD: usize = 24 * MIB;

const ANNOUNCED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn assert_limited<T: Transport>(etcd: Etcd<T>, head: &'static str, chunked: bool) {
    let (server, sent) = flood(head, chunked);
    let client = etcd
        .builder_of(server.url())
        .max_response_size(MIB)
        .build()
        .unwrap();
    let too_large = "the response is larger than the client's limit of 1048576 bytes: \
                     raise `max_response_size`, or ask for less";
    let read = client.v2().get("/a").await.unwrap_err();
    assert_eq!(
        read.to_string().replace(&server.url(), "URL"),
        format!("v2.keys.get at URL: {too_large}")
    );
    let write = client.v2().set("/a", "1").await.unwrap_err();
    assert_eq!(write.outcome(), Outcome::Unknown);
    assert_eq!(
        write.to_string().replace(&server.url(), "URL"),
        format!("v2.keys.set at URL: {too_large}{DOUBT}")
    );
    assert_eq!(server.requests(), ["GET /v2/keys/a", "PUT /v2/keys/a"]);
    assert!(sent.load(Relaxed) < READ_AHEAD, "{sent:?} bytes");
}

async fn a_response_announced_beyond_the_limit_is_not_read<T: Transport>(etcd: Etcd<T>) {
    assert_limited(etcd, ANNOUNCED, false).await;
}

async fn an_endless_response_is_read_up_to_the_limit<T: Transport>(etcd: Etcd<T>) {
    assert_limited(etcd, CHUNKED, true).await;
}

async fn a_watch_reads_up_to_the_limit_too<T: Transport>(etcd: Etcd<T>) {
    for (head, chunked) in [(ANNOUNCED, false), (CHUNKED, true)] {
        let (server, sent) = flood(head, chunked);
        let client = etcd
            .builder_of(server.url())
            .max_response_size(MIB)
            .build()
            .unwrap();
        let mut events = client.open(Watch::new("/a").from_index(5));
        let error = events.next().await.unwrap().unwrap_err();
        assert_eq!(
            error.to_string().replace(&server.url(), "URL"),
            "v2.keys.watch at URL: the response is larger than the client's limit of 1048576 bytes: \
             raise `max_response_size`, or ask for less"
        );
        assert!(events.next().await.is_none());
        assert!(sent.load(Relaxed) < READ_AHEAD, "{sent:?} bytes");
    }
}

/// A write whose exchange broke: the stack's own message follows.
async fn assert_broken<T: Transport>(etcd: &Etcd<T>, server: &ScriptedServer) {
    let (error, text) = failed_write(etcd, server).await;
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(text.starts_with("v2.keys.set at URL: "), "{text}");
}

async fn a_body_that_stops_half_way_leaves_a_write_unknown<T: Transport>(etcd: Etcd<T>) {
    let whole = json(r#"{"action":"set","node":{"key":"/a","value":"1"}}"#);
    let half = whole[..whole.len() - 10].to_vec();
    assert_broken(&etcd, &ScriptedServer::always(half)).await;
    let mut chunked = CHUNKED.as_bytes().to_vec();
    chunked.extend_from_slice(b"5\r\n{\"act\r\n");
    assert_broken(&etcd, &ScriptedServer::always(chunked)).await;

    // A read is retried.
    let half = whole[..whole.len() - 10].to_vec();
    let server = ScriptedServer::start(move |n, stream| {
        stream.write_all(if n == 0 { &half } else { &whole })
    });
    let client = etcd.client_of(server.url());
    let read: Result<Event> = client.v2().get("/a").await;
    assert_eq!(read.unwrap().node.key, "/a");
    assert_eq!(server.requests().len(), 2);
}

async fn a_body_that_never_ends_is_a_timeout<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::start(|_, stream| {
        stream.write_all(CHUNKED.as_bytes())?;
        stream.write_all(b"5\r\n{\"act\r\n")?;
        // Until the client closes the connection, or the test is over.
        std::thread::sleep(Duration::from_secs(5));
        Ok(())
    });
    let client = etcd
        .builder_of(server.url())
        .timeout(Duration::from_millis(300));
    let error = client
        .build()
        .unwrap()
        .v2()
        .set("/a", "1")
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(
        error.to_string().replace(&server.url(), "URL"),
        format!("v2.keys.set at URL: no response within 300ms{DOUBT}")
    );
    assert_eq!(server.requests().len(), 1);
}

/// Some stacks accept them, some do not.
async fn headers_of_a_megabyte_do_no_harm<T: Transport>(etcd: Etcd<T>) {
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    let body = r#"{"action":"set","node":{"key":"/a","value":"1","modifiedIndex":4}}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
        body.len(),
        line.repeat(1000)
    );
    let server = ScriptedServer::always(head + body);
    let client = etcd.client_of(server.url());
    match client.v2().set("/a", "1").await {
        Ok(set) => assert_eq!(set.index(), 4),
        Err(error) => {
            assert!(matches!(error, Error::Transport(_)), "{error:?}");
            assert_eq!(error.outcome(), Outcome::Unknown);
        }
    }
    assert_eq!(server.requests().len(), 1);
}

async fn a_response_that_is_not_http_leaves_a_write_unknown<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always("SSH-2.0-OpenSSH_9.2\r\n\r\n".repeat(10));
    assert_broken(&etcd, &server).await;
}

async fn a_connection_that_closes_at_once_leaves_a_write_unknown<T: Transport>(etcd: Etcd<T>) {
    let server = ScriptedServer::always("");
    assert_broken(&etcd, &server).await;
    // A raw request is not sent twice either.
    let client = etcd.client_of(server.url());
    let post = client
        .request(Method::POST, "/v2/keys/q")
        .form("value", "1");
    let answer: Result<RawResponse> = client.send(post).await;
    assert_eq!(answer.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(server.requests().len(), 2);
}
