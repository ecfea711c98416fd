//! The log of requests, dumps, and copies.

use etcd_http_fake::{FakeEtcd, Outcome, When};
use etcd_transport::{Body, Transport, http};
use futures::{FutureExt, executor::block_on};

fn send(etcd: &FakeEtcd, method: &str, target: &str, form: &'static str) -> String {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://localhost:2379{target}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Authorization", "Basic c2VjcmV0OnNlY3JldA==")
        .body(Body::from(form))
        .unwrap();
    let response = etcd.send(request).now_or_never().unwrap().unwrap();
    let body = block_on(response.into_body().collect(1 << 30)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn filled() -> FakeEtcd {
    let etcd = FakeEtcd::new();
    send(&etcd, "PUT", "/v2/keys/dir/a", "value=1&ttl=100");
    send(&etcd, "PUT", "/v2/keys/dir/_b?dir=true", "");
    send(&etcd, "PUT", "/v2/keys/bytes%ff", "value=%ff%00");
    send(&etcd, "PUT", "/v2/keys/text", "value=%22%3C%0a");
    etcd
}

#[test]
fn requests_are_logged_decoded_and_in_order() {
    let etcd = FakeEtcd::new();
    send(&etcd, "PUT", "/v2/keys/a%20b?ttl=5", "value=x+y");
    send(&etcd, "GET", "/v2/keys/none?recursive=true&sorted=true", "");
    etcd.assert_lines(&[
        "PUT /v2/keys/a b ttl=5 value=x y",
        "GET /v2/keys/none recursive=true sorted=true",
    ]);
    let log = etcd.log();
    assert_eq!(log[0].outcome(), Outcome::Answered(201));
    assert_eq!(log[1].outcome(), Outcome::Answered(404));
    assert_eq!(log[0].parameter("value").as_deref(), Some("x y"));
    assert_eq!(log[0].target(), "/v2/keys/a%20b?ttl=5");
    etcd.assert_count(&When::method("GET"), 1);
    etcd.assert_count(&When::any().path("/v2/keys/*"), 2);
    etcd.clear_log();
    etcd.assert_lines(&[]);
}

#[test]
#[should_panic(expected = "> ")]
fn an_assertion_says_where_the_requests_differ() {
    let etcd = FakeEtcd::new();
    send(&etcd, "GET", "/v2/keys/a", "");
    etcd.assert_lines(&["GET /v2/keys/b"]);
}

#[test]
fn the_log_shows_no_credentials() {
    let etcd = FakeEtcd::new();
    send(
        &etcd,
        "PUT",
        "/v2/auth/users/root",
        r#"{"user":"root","password":"hunter2"}"#,
    );
    let shown = format!(
        "{:?}{}{:?}{}",
        etcd.log(),
        etcd.log_text(),
        etcd,
        etcd.dump()
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("c2Vj"),
        "{shown}"
    );
    assert!(etcd.log()[0].has_credentials());
}

#[test]
fn the_log_keeps_the_latest() {
    let etcd = FakeEtcd::builder().log_capacity(2).build();
    for key in ["a", "b", "c"] {
        send(&etcd, "GET", &format!("/v2/keys/{key}"), "");
    }
    etcd.assert_lines(&["GET /v2/keys/b", "GET /v2/keys/c"]);
    assert_eq!(etcd.log()[1].outcome(), Outcome::Answered(404));
}

#[test]
fn keys_and_values_can_be_read() {
    let etcd = filled();
    assert_eq!(
        etcd.keys(),
        ["/bytes\u{fffd}", "/dir/", "/dir/_b/", "/dir/a", "/text"]
    );
    assert_eq!(etcd.value("/dir/a").unwrap(), b"1");
    assert_eq!(etcd.value("dir"), None);
    assert_eq!(etcd.index(), 7);
}

#[test]
fn a_dump_can_be_loaded() {
    let etcd = filled();
    let dump = etcd.dump();
    let other = FakeEtcd::new();
    send(&other, "PUT", "/v2/keys/gone", "value=x");
    other.load(&dump).unwrap();
    assert_eq!(other.dump(), dump);
    let listing = "/v2/keys?recursive=true&sorted=true";
    assert_eq!(
        send(&other, "GET", listing, ""),
        send(&etcd, "GET", listing, "")
    );
    let old = send(&other, "GET", "/v2/keys/text?wait=true&waitIndex=7", "");
    assert!(old.contains("\"errorCode\":401"), "{old}");
    send(&other, "PUT", "/v2/keys/text", "value=new");
    let event = send(&other, "GET", "/v2/keys/text?wait=true&waitIndex=8", "");
    assert!(event.contains("\"value\":\"new\""), "{event}");
}

#[test]
fn an_invalid_dump_changes_nothing() {
    let etcd = filled();
    let before = etcd.dump();
    for (text, error) in [
        ("", "line 1 of the dump: the dump is empty"),
        ("{}", "line 1 of the dump: the first line has no index"),
        (
            "{\"index\":9}\n{\"key\":\"a\"}",
            "line 2 of the dump: not a key, a lease or a change",
        ),
    ] {
        assert_eq!(etcd.load(text).unwrap_err().to_string(), error);
    }
    assert_eq!(etcd.dump(), before);
}

#[test]
fn a_fork_is_independent() {
    let etcd = filled();
    etcd.advance(std::time::Duration::from_secs(50));
    let fork = etcd.fork();
    assert_eq!(fork.elapsed(), etcd.elapsed());
    send(&fork, "PUT", "/v2/keys/text", "value=other");
    fork.advance(std::time::Duration::from_secs(60));
    assert_eq!(etcd.value("text").unwrap(), b"\"<\n");
    assert_eq!(fork.value("text").unwrap(), b"other");
    assert!(
        etcd.value("dir/a").is_some(),
        "its time has come in the fork alone"
    );
    assert!(fork.value("dir/a").is_none());
    fork.assert_count(&When::any(), 1);
}

#[test]
fn unsorted_listings_follow_the_seed() {
    let order = |seed| {
        let etcd = FakeEtcd::builder().seed(seed).build();
        for key in 0..20 {
            send(&etcd, "PUT", &format!("/v2/keys/{key}"), "value=x");
        }
        send(&etcd, "GET", "/v2/keys", "")
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn very_deep_keys_are_listed_and_removed() {
    let etcd = FakeEtcd::new();
    let path = "/d".repeat(5_000);
    send(&etcd, "PUT", &format!("/v2/keys{path}"), "value=x");
    let listing = send(&etcd, "GET", "/v2/keys?recursive=true", "");
    assert_eq!(listing.matches("\"nodes\":[").count(), 5_000);
    assert_eq!(etcd.fork().dump(), etcd.dump());
    send(&etcd, "DELETE", "/v2/keys/d?recursive=true", "");
    assert_eq!(etcd.keys(), Vec::<String>::new());
}
