//! Which attempts are repeated, and when.

use std::time::Duration;

use etcd_http::{
    Client, Error, Outcome, RetryPolicy,
    transport::{Transport, http::Method},
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, etcd_error, keys},
};

use crate::v2_calls::{get, ok, set};

fn client(endpoints: &[&str], steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let endpoints = endpoints.iter().map(|host| format!("http://{host}"));
    Client::builder(ScriptedTransport::new(steps))
        .endpoints(endpoints)
        .basic_auth("root", "secret")
        .allow_insecure_auth(true)
        .build()
        .unwrap()
}

#[test]
fn a_read_is_sent_five_times_and_the_error_says_so() {
    let client = client(
        &["a"],
        [
            Step::Break,
            Step::Refuse,
            Step::Break,
            Step::Silence,
            Step::Break,
        ],
    );
    let error = get(&client).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a (attempt 5): the exchange broke off: connection reset"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "connection reset"
    );
    assert_eq!(client.transport().seen().len(), 5);
    // The pauses lose half to jitter at most; the silence is cut off by the time limit of an attempt.
    let limits = [50, 100, 200, 10_000, 400].map(Duration::from_millis);
    let sleeps = client.transport().sleeps();
    // Every attempt except the silent one ends before its time limit matters.
    assert_eq!(sleeps.len(), limits.len());
    for (slept, limit) in sleeps.into_iter().zip(limits) {
        assert!(
            slept <= limit && slept >= limit / 2,
            "{slept:?} of {limit:?}"
        );
    }
}

#[test]
fn a_read_succeeds_at_the_first_attempt_that_does() {
    let client = client(&["a"], [Step::Break, Step::Silence, ok()]);
    assert_eq!(get(&client).unwrap(), 7);
}

#[test]
fn a_write_is_never_sent_again_once_the_server_may_have_seen_it() {
    for (step, text) in [
        (
            Step::Break,
            "v2.keys.set at http://a: the exchange broke off: connection reset",
        ),
        (
            Step::Silence,
            "v2.keys.set at http://a: no response within 10s",
        ),
        (
            Step::Respond(200, vec![], Ending::Cut("{\"action\":\"set\"")),
            "v2.keys.set at http://a: the exchange broke off: reset",
        ),
        (
            Step::Respond(502, vec![], Ending::Whole("<h1>Bad gateway</h1>".into())),
            "v2.keys.set at http://a: HTTP status 502 Bad Gateway, not an etcd error response: \
             \"<h1>Bad gateway</h1>\"",
        ),
        (
            etcd_error(500, 300, 0),
            "v2.keys.set at http://a: m: c (code 300, index 0)",
        ),
        (
            etcd_error(500, 301, 0),
            "v2.keys.set at http://a: m: c (code 301, index 0)",
        ),
        (
            keys(200, 7, "<html>"),
            "v2.keys.set at http://a: the response is not what etcd's keys API sends: \"<html>\"",
        ),
    ] {
        let client = client(&["a", "b"], [step]);
        let error = set(&client).unwrap_err();
        let text = format!("{text} (the write may have been applied)");
        assert_eq!(error.to_string(), text);
        assert_eq!(error.outcome(), Outcome::Unknown, "{text}");
        assert_eq!(client.transport().seen(), ["PUT a/v2/keys/x auth"]);
    }
}

#[test]
fn a_write_that_the_server_definitely_did_not_see_goes_to_the_next_endpoint() {
    let client = client(&["a", "b"], [Step::Refuse, ok(), ok()]);
    assert_eq!(set(&client).unwrap(), 7);
    assert_eq!(set(&client).unwrap(), 7);
    let seen = client.transport().seen();
    // And the client stays with the endpoint that responded.
    assert_eq!(
        seen,
        [
            "PUT a/v2/keys/x auth",
            "PUT b/v2/keys/x auth",
            "PUT b/v2/keys/x auth"
        ]
    );
    assert_eq!(client.transport().elapsed(), Duration::ZERO);
}

#[test]
fn every_endpoint_gets_its_turn_in_every_round() {
    let client = client(&["a", "b"], (0..5).map(|_| Step::Refuse));
    get(&client).unwrap_err();
    let hosts = client.transport().seen().into_iter();
    let hosts: String = hosts.filter_map(|line| line.chars().nth(4)).collect();
    assert_eq!(hosts, "ababa");
}

#[test]
fn an_endpoint_that_failed_cools_down_even_if_nothing_was_sent_again() {
    let client = client(&["a", "b"], [Step::Break, ok()]);
    set(&client).unwrap_err();
    get(&client).unwrap();
    assert_eq!(client.transport().seen()[1], "GET b/v2/keys/x auth");
}

/// A proxy's page: behind it may be no server. Only a 500 would come from every endpoint.
#[test]
fn an_endpoint_with_a_proxys_error_page_cools_down_unless_it_is_a_500() {
    for (status, next) in [(500, "a"), (502, "b"), (503, "b")] {
        let page = Step::Respond(status, vec![], Ending::Whole("<html>".to_owned()));
        let client = client(&["a", "b"], [page, ok()]);
        set(&client).unwrap_err();
        get(&client).unwrap();
        let expected = format!("GET {next}/v2/keys/x auth");
        assert_eq!(client.transport().seen()[1], expected, "{status}");
    }
}

#[test]
fn a_request_that_the_server_did_not_process_does_not_cool_its_endpoint_down() {
    let client = client(
        &["a", "b"],
        [Step::Unprocessed, ok(), Step::Unprocessed, ok()],
    );
    let once = client.with_retry(RetryPolicy::never());
    for _ in 0..2 {
        let error = set(&once).unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        set(&once).unwrap();
    }
    let seen = client.transport().seen();
    assert!(
        seen.iter().all(|line| line.starts_with("PUT a/")),
        "{seen:?}"
    );
}

#[test]
fn the_endpoint_that_answered_is_kept_when_others_are_up_again() {
    let client = client(&["a", "b"], [Step::Refuse, ok(), ok()]);
    get(&client).unwrap();
    block_on(client.transport().sleep(Duration::from_secs(60)));
    get(&client).unwrap();
    assert_eq!(client.transport().seen()[2], "GET b/v2/keys/x auth");
}

#[test]
fn a_write_that_was_never_sent_says_so() {
    let client = client(&["a"], (0..5).map(|_| Step::Refuse));
    let error = set(&client).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.set at http://a (attempt 5): could not connect: connection refused: the endpoint names no port, so \
         this is port 80: did you mean :2379?"
    );
    assert_eq!(error.outcome(), Outcome::NotSent);
}

#[test]
fn an_error_of_etcd_is_not_retried() {
    for (status, code) in [
        (404, 100),
        (412, 101),
        (403, 102),
        (400, 104),
        (412, 105),
        (401, 110),
    ] {
        let client = client(&["a", "b"], [etcd_error(status, code, 9)]);
        let error = get(&client).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Rejected);
        let etcd = error.as_etcd().unwrap();
        assert_eq!(
            (etcd.code().map(|code| code.number()), etcd.index()),
            (Some(code), Some(9))
        );
        assert_eq!(client.transport().seen().len(), 1);
    }
}

#[test]
fn a_read_is_retried_while_servers_cannot_serve_and_returns_their_error() {
    let down = || etcd_error(500, 300, 0);
    let recovers = client(&["a", "b"], [down(), down(), ok()]);
    assert_eq!(get(&recovers).unwrap(), 7);
    let never = client(&["a"], (0..5).map(|_| down()));
    let error = get(&never).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a (attempt 5): m: c (code 300, index 0)"
    );
}

#[test]
fn what_the_http_stack_refuses_is_not_tried_again() {
    let client = client(&["a", "b"], [Step::Reject]);
    let error = get(&client).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a: the HTTP stack refused the request: no such scheme"
    );
    assert_eq!(error.outcome(), Outcome::NotSent);
}

#[test]
fn all_attempts_share_one_limit() {
    let client = Client::builder(ScriptedTransport::new([
        Step::Silence,
        Step::Silence,
        Step::Silence,
    ]))
    .endpoints(["http://a"])
    .retry(RetryPolicy::default().overall(Duration::from_secs(25)))
    .build()
    .unwrap();
    let error = get(&client).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert!(client.transport().elapsed() <= Duration::from_secs(25));
    assert_eq!(client.transport().seen().len(), 3);
}

#[test]
fn a_redirect_within_the_endpoints_is_followed_with_credentials_and_any_other_is_not() {
    let to = |location: &str| {
        let headers = vec![("location", location.to_owned())];
        Step::Respond(307, headers, Ending::Whole(String::new()))
    };
    let inside = client(&["a", "b"], [to("http://b/v2/keys/x"), ok()]);
    assert_eq!(set(&inside).unwrap(), 7);
    assert_eq!(
        inside.transport().seen(),
        ["PUT a/v2/keys/x auth", "PUT b/v2/keys/x auth"]
    );

    let outside = client(&["a"], [to("http://evil/v2/keys/x")]);
    let error = set(&outside).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.set at http://a: redirected to \"http://evil/v2/keys/x\", \
         which is not one of the client's endpoints"
    );
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(outside.transport().seen(), ["PUT a/v2/keys/x auth"]);
}

#[test]
fn credentials_go_to_v2_alone() {
    let version = r#"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#;
    let client = client(&["a"], [keys(200, 0, version), keys(200, 0, "{}")]);
    assert_eq!(block_on(client.version()).unwrap().server, "3.4.23");
    let range = client.request(Method::POST, "/v3/kv/range");
    block_on(client.send(range)).unwrap();
    assert_eq!(
        client.transport().seen(),
        ["GET a/version", "POST a/v3/kv/range"]
    );
}

#[test]
fn a_response_over_the_limit_is_an_error_and_is_not_asked_for_again() {
    let client = Client::builder(ScriptedTransport::new([keys(200, 1, "x".repeat(101))]))
        .endpoints(["http://a"])
        .max_response_size(100)
        .build()
        .unwrap();
    assert_eq!(
        get(&client).unwrap_err().to_string(),
        "v2.keys.get at http://a: the response is larger than the client's limit of 100 bytes: \
         raise `max_response_size`, or ask for less"
    );
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it_within_the_deadline() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let later = |retry_after: &str| {
        let date = ("date", DATE.to_owned());
        let headers = vec![("retry-after", retry_after.to_owned()), date];
        Step::Respond(503, headers, Ending::Whole(String::new()))
    };
    for (retry_after, seconds) in [("7", 7), ("Sun, 06 Nov 1994 08:49:46 GMT", 9)] {
        let client = client(&["a"], [later(retry_after), ok()]);
        assert_eq!(get(&client).unwrap(), 7);
        assert_eq!(client.transport().elapsed(), Duration::from_secs(seconds));
    }
    // A pause beyond the deadline is not waited for.
    for retry_after in [
        "60",
        "99999999999999999999",
        "Sun, 06 Nov 2094 08:49:37 GMT",
    ] {
        let client = client(&["a"], [later(retry_after)]);
        get(&client).unwrap_err();
        assert_eq!(client.transport().elapsed(), Duration::ZERO);
    }
    // Another endpoint has not asked for it.
    let client = client(&["a", "b"], [later("7"), ok()]);
    assert_eq!(get(&client).unwrap(), 7);
    assert_eq!(client.transport().elapsed(), Duration::ZERO);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let builder = || Client::builder(ScriptedTransport::new([])).endpoints(["http://a"]);
    for (builder, text) in [
        (
            builder().timeout(Duration::ZERO),
            "client: the time limit must not be zero",
        ),
        (
            builder().retry(RetryPolicy::default().attempts(0)),
            "client: at least one attempt is required",
        ),
        (
            builder().basic_auth("root", "secret"),
            "client: the credentials could be read by anybody on the way to http://a: \
             use https://, or accept it with `allow_insecure_auth`",
        ),
        (
            builder().endpoints(["nonsense"]),
            "endpoint: `nonsense` has no scheme: prefix it with http:// or https://",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), text);
    }
}
