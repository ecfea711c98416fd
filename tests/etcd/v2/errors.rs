//! etcd's errors: every code, its text, and the outcome of a write.

use std::time::Duration;

use etcd_http::{
    Error, EtcdErrorKind, Outcome, RetryPolicy,
    transport::{Transport, http::Method},
    v2::{Exists, Get, Set},
};
use harness::{case::Etcd, cases};

cases! {
    any {
        Shared {
            v2_90_every_code_of_the_store_has_its_kind_status_and_text,
            v2_19_every_code_of_the_parser_has_its_kind_and_cause,
            v2_10_an_error_tells_the_stores_index,
        }
        Three {
            v2_91_without_a_quorum_a_write_may_yet_be_applied,
            one_reachable_endpoint_of_several_is_enough,
        }
        Nothing {
            a_server_that_is_not_there_saw_nothing,
        }
        Alone {
            a_server_that_halts_is_a_timeout,
            a_server_that_is_killed_is_tried_again_until_it_is_back,
        }
    }
}

async fn v2_90_every_code_of_the_store_has_its_kind_status_and_text<T: Transport>(etcd: Etcd<T>) {
    let (a, d) = (etcd.key("a"), etcd.key("d"));
    etcd.v2().set(&a, "1").await.unwrap();
    etcd.v2().set(etcd.key("d/f"), "1").await.unwrap();
    let other = etcd_http::v2::Condition::value_is("2");
    let v2 = etcd.v2();
    for (refused, kind, status, text, code) in [
        (
            v2.get(etcd.key("none")).await,
            EtcdErrorKind::KeyNotFound,
            404,
            format!("v2.keys.get at URL: Key not found: {}", etcd.key("none")),
            100,
        ),
        (
            v2.compare_and_swap(&a, "3", other).await,
            EtcdErrorKind::CompareFailed,
            412,
            "v2.keys.compare_and_swap at URL: Compare failed: [2 != 1]".to_owned(),
            101,
        ),
        (
            v2.set(&d, "1").await,
            EtcdErrorKind::NotAFile,
            403,
            format!("v2.keys.set at URL: Not a file: {d}"),
            102,
        ),
        (
            v2.create(etcd.key("a/b"), "1").await,
            EtcdErrorKind::NotADirectory,
            400,
            format!("v2.keys.create at URL: Not a directory: {a}"),
            104,
        ),
        (
            v2.create(&a, "1").await,
            EtcdErrorKind::AlreadyExists,
            412,
            format!("v2.keys.create at URL: Key already exists: {a}"),
            105,
        ),
        (
            v2.delete("/").await,
            EtcdErrorKind::RootReadOnly,
            400,
            "v2.keys.delete at URL: Root is read only: /".to_owned(),
            107,
        ),
        (
            v2.delete_dir(&d).await,
            EtcdErrorKind::DirectoryNotEmpty,
            403,
            format!("v2.keys.delete_dir at URL: Directory not empty: {d}"),
            108,
        ),
    ] {
        let error = refused.unwrap_err();
        let said = error.as_etcd().unwrap();
        assert_eq!(
            (said.kind(), said.code().map(|code| code.number())),
            (kind, Some(code))
        );
        assert_eq!(said.http_status().unwrap().as_u16(), status);
        assert_eq!(said.endpoint().to_string(), etcd.url());
        let index = said.index().unwrap();
        let text = text.replace("URL", &etcd.url());
        let text = format!("{text} (code {code}, index {index})");
        assert_eq!(error.to_string(), text);
        assert_eq!(error.outcome(), Outcome::Rejected);
        assert_eq!(error.is_key_not_found(), code == 100);
        assert_eq!(error.is_compare_failed(), code == 101);
        assert_eq!(error.is_not_a_file(), code == 102);
        assert_eq!(error.is_not_a_directory(), code == 104);
        assert_eq!(error.is_already_exists(), code == 105);
        assert_eq!(error.is_directory_not_empty(), code == 108);
        assert!(!error.is_unauthorized() && !error.is_history_cleared());
    }
}

/// The operations cannot cause these errors; a raw request can.
async fn v2_19_every_code_of_the_parser_has_its_kind_and_cause<T: Transport>(etcd: Etcd<T>) {
    let put = |name, value| {
        etcd.request(Method::PUT, format!("/v2/keys{}", etcd.key("a")))
            .form(name, value)
    };
    let wait = etcd
        .request(Method::PUT, format!("/v2/keys{}", etcd.key("a")))
        .query("wait", "true");
    for (request, kind, code, cause) in [
        (
            put("prevValue", ""),
            EtcdErrorKind::PreviousValueRequired,
            201,
            "\"prevValue\" cannot be empty",
        ),
        (
            put("ttl", "soon"),
            EtcdErrorKind::InvalidTtl,
            202,
            "invalid value for \"ttl\"",
        ),
        (
            put("prevIndex", "-1"),
            EtcdErrorKind::InvalidIndex,
            203,
            "invalid value for \"prevIndex\"",
        ),
        (
            put("dir", "yes"),
            EtcdErrorKind::InvalidField,
            209,
            "invalid value for \"dir\"",
        ),
        (
            wait,
            EtcdErrorKind::InvalidField,
            209,
            "\"wait\" can only be used with GET requests",
        ),
        (
            put("prevExist", "maybe"),
            EtcdErrorKind::InvalidField,
            209,
            "invalid value for prevExist",
        ),
        (
            put("refresh", "true").form("ttl", "5").form("value", "1"),
            EtcdErrorKind::ValueOnRefresh,
            211,
            "A value was provided on a refresh",
        ),
        (
            put("refresh", "true"),
            EtcdErrorKind::TtlRequiredOnRefresh,
            212,
            "No TTL value set",
        ),
    ] {
        let error = etcd.send(request).await.unwrap_err();
        let said = error.as_etcd().unwrap();
        assert_eq!(
            (said.kind(), said.code().map(|code| code.number())),
            (kind, Some(code))
        );
        assert_eq!((said.cause(), said.index()), (cause, Some(0)));
        assert_eq!(said.http_status().unwrap().as_u16(), 400);
    }
    assert!(!etcd.v2().exists(etcd.key("a")).await.unwrap());
}

async fn v2_10_an_error_tells_the_stores_index<T: Transport>(etcd: Etcd<T>) {
    let index = etcd.v2().set(etcd.key("a"), "1").await.unwrap().index();
    let error = etcd.v2().get(etcd.key("none")).await.unwrap_err();
    assert!(error.as_etcd().unwrap().index() >= Some(index));
}

async fn v2_91_without_a_quorum_a_write_may_yet_be_applied<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/a", "1").await.unwrap();
    for index in [1, 2] {
        etcd.host().kill(index);
    }
    let url = etcd.url();
    let once = etcd.builder_of(&url).retry(RetryPolicy::never());
    let client = once.build().unwrap();
    let (written, read, exists) = futures::join!(
        client.v2().set("/a", "2"),
        client.send(Get::new("/a").quorum(true)),
        client.send(Exists::new("/a").quorum(true))
    );
    let error = written.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    for error in [error, read.unwrap_err(), exists.unwrap_err()] {
        let said = error.as_etcd().unwrap();
        assert_eq!(
            (said.kind(), said.code().map(|code| code.number())),
            (EtcdErrorKind::RaftInternal, Some(300))
        );
        assert!(
            said.cause().starts_with("etcdserver: request timed out"),
            "{error}"
        );
    }
    // A plain read is served from the member's own data, and so is any HEAD.
    let stale = client.v2().get("/a").await.unwrap();
    assert_eq!(stale.node.value.as_deref(), Some("1"));
    let head = etcd.request(Method::HEAD, "/v2/keys/a?quorum=true");
    assert_eq!(client.send(head).await.unwrap().status, 200);
    let leader = client.v2().get_leader().await;
    if let Err(error) = leader {
        let kind = error.etcd_kind();
        assert_eq!(kind, Some(EtcdErrorKind::DuringLeaderElection));
    }
}

async fn a_server_that_is_not_there_saw_nothing<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v2().set("/a", "1").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    let text = error.to_string();
    assert!(
        text.starts_with("v2.keys.set at http://127.0.0.1:1 (attempt 5): "),
        "{text}"
    );
    let Error::Transport(failure) = error else {
        panic!("{text}");
    };
    assert_eq!(failure.attempts(), 5);
    assert_eq!(failure.endpoint().to_string(), "http://127.0.0.1:1");
}

async fn one_reachable_endpoint_of_several_is_enough<T: Transport>(etcd: Etcd<T>) {
    let client = etcd
        .builder_of("http://127.0.0.1:1")
        .endpoints(["http://127.0.0.1:2".to_owned(), etcd.url()])
        .build()
        .unwrap();
    let first = client.v2().set("/a", "1").await.unwrap();
    let second = client.v2().set("/a", "1").await.unwrap();
    assert_eq!(second.prev_node, Some(first.node));
}

async fn a_server_that_halts_is_a_timeout<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/a", "1").await.unwrap();
    let limit = Duration::from_millis(300);
    let client = etcd.client(|client| {
        client
            .timeout(limit)
            .retry(RetryPolicy::default().attempts(2))
    });
    etcd.host().pause();
    // The threads of the paused process halt one after the other.
    while client.v2().get("/a").await.is_ok() {}
    let (read, written) = futures::join!(client.v2().get("/a"), client.v2().set("/a", "2"));
    etcd.host().resume();
    let url = etcd.url();
    let (read, written) = (read.unwrap_err(), written.unwrap_err());
    assert_eq!(
        read.to_string(),
        format!("v2.keys.get at {url} (attempt 2): no response within 300ms")
    );
    assert_eq!(
        written.to_string(),
        format!("v2.keys.set at {url}: no response within 300ms (the write may have been applied)")
    );
    assert_eq!(written.outcome(), Outcome::Unknown);
    // The write was applied, or is applied now.
    while etcd.v2().get("/a").await.unwrap().node.value.as_deref() != Some("2") {
        etcd.sleep(20).await;
    }
}

async fn a_server_that_is_killed_is_tried_again_until_it_is_back<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set("/a", "1").await.unwrap();
    etcd.host().kill(0);
    let patient = RetryPolicy::default()
        .attempts(1000)
        .max_pause(Duration::from_millis(100));
    let client = etcd.client(|client| client.retry(patient));
    let write = client.send(Set::new("/b", "1"));
    let back = etcd.meanwhile(|host| host.restart());
    let (read, written, ()) = futures::join!(client.v2().get("/a"), write, back);
    assert_eq!(read.unwrap().node.value.as_deref(), Some("1"));
    assert_eq!(written.unwrap().node.value.as_deref(), Some("1"));
}
