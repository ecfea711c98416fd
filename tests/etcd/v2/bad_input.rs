//! Input that the client rejects before anything is sent. The server counts the requests.

use std::time::Duration;

use etcd_http::{
    Client, Error, Operation, Outcome, RetryPolicy,
    transport::{Transport, http::Method},
    v2::{
        CompareAndDelete, CompareAndSwap, Condition, CreateInOrderDir, Exists, Get, Set, UpdateDir,
        Watch,
    },
};
use futures::StreamExt;
use harness::{case::Etcd, cases};

cases! {
    any {
        Counting {
            keys_with_empty_or_dotted_segments_are_refused,
            a_ttl_that_etcd_cannot_count_is_refused,
            a_condition_that_compares_nothing_is_refused,
            a_name_that_is_no_path_segment_is_refused,
            a_key_that_makes_too_long_a_url_is_refused,
            a_watch_from_index_0_is_refused,
            a_raw_request_with_a_bad_path_is_refused,
            bad_endpoints_are_refused,
            bad_credentials_are_refused,
            limits_that_leave_nothing_are_refused,
        }
    }
}

#[track_caller]
fn assert_refused<O: std::fmt::Debug>(result: Result<O, Error>, text: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(error.to_string(), text);
}

async fn keys_with_empty_or_dotted_segments_are_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    async fn refused<T: Transport, O: Operation>(client: &Client<T>, operation: O, key: &str)
    where
        O::Output: std::fmt::Debug,
    {
        let name = O::NAME;
        let text = format!(
            "{name}: the key {key:?} has an empty, `.` or `..` segment, which etcd cannot store: \
             remove or rename it"
        );
        assert_refused(client.send(operation).await, &text);
    }
    for key in ["//", "/a//b", "/./a", "/a/..", "../members", "//a", "a//"] {
        refused(&client, Get::new(key), key).await;
        refused(&client, Exists::new(key), key).await;
        refused(&client, Set::new(key, "1"), key).await;
        refused(&client, UpdateDir::new(key), key).await;
        refused(&client, CreateInOrderDir::new(key), key).await;
        let condition = Condition::index_is(1);
        refused(&client, CompareAndDelete::new(key, condition), key).await;
        let watch = client.open(Watch::new(key).from_index(1)).next().await;
        assert!(matches!(watch, Some(Err(Error::Invalid(_)))));
    }
    assert!(etcd.host().requests().is_empty());
}

async fn a_ttl_that_etcd_cannot_count_is_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    for (ttl, why) in [
        (
            Duration::from_nanos(1),
            "a TTL of 1ns is not a whole number of seconds, which the v2 API requires",
        ),
        (
            Duration::new(5, 500_000_000),
            "a TTL of 5.5s is not a whole number of seconds, which the v2 API requires",
        ),
        (
            Duration::MAX,
            "a TTL of 18446744073709551615.999999999s is not a whole number of seconds, which the v2 API requires",
        ),
        (
            Duration::from_secs(u64::MAX),
            "a TTL of 18446744073709551615 s is more than etcd's limit of 6000000000 s: \
             for a key that does not expire, omit the TTL",
        ),
    ] {
        let set = client.send(Set::new("/a", "1").ttl(ttl)).await;
        assert_refused(set, &format!("v2.keys.set: {why}"));
        let refresh = client.v2().refresh("/a", ttl).await;
        assert_refused(refresh, &format!("v2.keys.refresh: {why}"));
    }
    assert!(etcd.host().requests().is_empty());
}

async fn a_condition_that_compares_nothing_is_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    let empty = "etcd cannot compare with an empty value: compare the index";
    let zero = "no file has index 0, and etcd would compare nothing";
    for (condition, why) in [
        (Condition::value_is(""), empty),
        (Condition::index_is(5).and_value_is(""), empty),
        (Condition::index_is(0), zero),
        (Condition::value_is("1").and_index_is(0), zero),
    ] {
        let swap = CompareAndSwap::new("/a", "2", condition.clone());
        let text = format!("v2.keys.compare_and_swap: {why}");
        assert_refused(client.send(swap).await, &text);
        let delete = CompareAndDelete::new("/a", condition);
        let text = format!("v2.keys.compare_and_delete: {why}");
        assert_refused(client.send(delete).await, &text);
    }
    assert!(etcd.host().requests().is_empty());
}

async fn a_name_that_is_no_path_segment_is_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    let v2 = client.v2();
    for name in ["", ".", "..", "a/b"] {
        let text = |operation: &str, what: &str| {
            format!(
                "{operation}: the {what} {name:?} cannot be part of a path: \
                 it must not be empty, `.` or `..`, or contain a `/`"
            )
        };
        assert_refused(v2.get_user(name).await, &text("v2.auth.users.get", "user"));
        let created = v2.add_user(name, "pw").await;
        assert_refused(created, &text("v2.auth.users.add", "user"));
        let deleted = v2.delete_role(name).await;
        assert_refused(deleted, &text("v2.auth.roles.delete", "role"));
        let removed = v2.remove_member(name).await;
        assert_refused(removed, &text("v2.members.remove", "member id"));
    }
    assert!(etcd.host().requests().is_empty());
}

async fn a_key_that_makes_too_long_a_url_is_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    let long = client.v2().get("k".repeat(70_000)).await;
    assert_refused(long, "v2.keys.get: this path cannot be sent: uri too long");
    assert!(etcd.host().requests().is_empty());
}

async fn a_watch_from_index_0_is_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    let mut events = client.open(Watch::new("/a").from_index(0));
    let text = "v2.keys.watch: no event has index 0: to begin now, omit the index";
    assert_refused(events.next().await.unwrap(), text);
    assert!(events.next().await.is_none());
    assert!(etcd.host().requests().is_empty());
}

async fn a_raw_request_with_a_bad_path_is_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    for (path, text) in [
        (
            "v2/keys",
            "request: the path `v2/keys` does not begin with `/`",
        ),
        ("", "request: the path `` does not begin with `/`"),
        (
            "/a#b",
            "request: the path `/a#b` contains a `#`: encode it as %23",
        ),
        (
            "/a b",
            "request: this path cannot be sent: invalid uri character",
        ),
        (
            "/a\r\nX: y",
            "request: this path cannot be sent: invalid uri character",
        ),
    ] {
        let answer = client.send(client.request(Method::GET, path)).await;
        assert_refused(answer, text);
    }
    assert!(etcd.host().requests().is_empty());
}

async fn bad_endpoints_are_refused<T: Transport>(etcd: Etcd<T>) {
    let none: [&str; 0] = [];
    assert_refused(
        Client::new(etcd.transport(), none),
        "endpoint: at least one is required, such as http://127.0.0.1:2379",
    );
    for (endpoint, why) in [
        (
            "127.0.0.1:2379",
            "`127.0.0.1:2379` has no scheme: prefix it with http:// or https://",
        ),
        ("ftp://etcd", "`ftp://etcd` is neither http:// nor https://"),
        (
            "http://etcd:port",
            "`http://etcd:port` has a port that is not a number from 1 to 65535",
        ),
        (
            "http://root:secret@etcd:2379",
            "`etcd:2379` contains a user name: use the client's credentials instead",
        ),
        (
            "http://etcd?a=b",
            "`http://etcd?a=b` has a query or a fragment: remove it",
        ),
    ] {
        // One invalid URL among valid ones is enough.
        let client = Client::new(etcd.transport(), ["http://127.0.0.1:2379", endpoint]);
        assert_refused(client, &format!("endpoint: {why}"));
    }
}

async fn bad_credentials_are_refused<T: Transport>(etcd: Etcd<T>) {
    for user in ["", "a:b"] {
        let client = etcd.builder_of("http://127.0.0.1:1");
        assert_refused(
            client.basic_auth(user, "secret").build(),
            "credentials: the user name must not be empty or contain a colon",
        );
    }
}

async fn limits_that_leave_nothing_are_refused<T: Transport>(etcd: Etcd<T>) {
    let builder = || etcd.builder_of("http://127.0.0.1:1");
    let no_time = "client: the time limit must not be zero";
    assert_refused(builder().timeout(Duration::ZERO).build(), no_time);
    let overall = RetryPolicy::default().overall(Duration::ZERO);
    assert_refused(builder().retry(overall).build(), no_time);
    let never = RetryPolicy::default().attempts(0);
    assert_refused(
        builder().retry(never).build(),
        "client: at least one attempt is required",
    );
}
