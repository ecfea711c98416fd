//! Observers of attempts, and curl commands.

#[cfg(feature = "tracing")]
mod events;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_http::{
    Attempt, Client, ClientBuilder,
    v2::{Get, Set, Watch},
    v3,
};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{
        Ending, ScriptedTransport, Step, etcd_error, file, keys, open, with_headers,
    },
};

/// A client, and the attempts that its observer receives, as lines.
fn client(
    steps: impl IntoIterator<Item = Step>,
) -> (Client<ScriptedTransport>, Arc<Mutex<Vec<String>>>) {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let client = builder(steps).observe({
        let lines = Arc::clone(&lines);
        move |attempt| lines.lock().unwrap().push(line(attempt))
    });
    (client.build().unwrap(), lines)
}

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a", "http://b"])
}

fn line(attempt: &Attempt) -> String {
    format!(
        "{} {} {} {} {} {:?}",
        attempt.operation,
        attempt.endpoint,
        attempt.number,
        attempt.status.map_or(0, |status| status.as_u16()),
        attempt.outcome,
        attempt.elapsed
    )
}

fn ok() -> Step {
    keys(200, 7, file("get", "/x", 7))
}

#[test]
fn every_attempt_is_reported() {
    let moved = Step::Respond(
        307,
        vec![("location", "http://a/v2/keys/x".into())],
        Ending::Whole(String::new()),
    );
    let (client, lines) = client([
        Step::Refuse,
        Step::Break,
        Step::Silence,
        etcd_error(500, 300, 0),
        ok(),
        etcd_error(412, 101, 7),
        with_headers(ok(), &[("content-encoding", "br")]),
        moved,
        ok(),
    ]);
    block_on(client.send(Get::new("x"))).unwrap();
    for _ in 0..2 {
        block_on(client.send(Set::new("x", "y"))).unwrap_err();
    }
    block_on(client.send(Set::new("x", "y"))).unwrap();
    let expected = [
        "v2.keys.get http://a 1 0 not_sent 0ns",
        "v2.keys.get http://b 2 0 interrupted 0ns",
        "v2.keys.get http://a 3 0 timed_out 10s",
        "v2.keys.get http://b 4 500 unavailable 0ns",
        "v2.keys.get http://b 5 200 answered 0ns",
        "v2.keys.set http://b 1 412 answered 0ns",
        "v2.keys.set http://b 1 200 refused 0ns",
        "v2.keys.set http://a 1 200 answered 0ns",
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}

/// A client that is asked by gRPC if its transport and its server can do so.
#[test]
fn a_request_that_the_transport_rejects_is_none_and_one_that_breaks_off_is_reported() {
    let status = vec![("grpc-status", "12".to_owned())];
    let unknown = || Step::Respond(200, status.clone(), Ending::Whole(String::new()));
    for (steps, expected) in [
        (
            vec![Step::Reject, keys(404, 0, "{}")],
            &["v3.kv.range http://a 1 404 answered 0ns"][..],
        ),
        (
            vec![Step::Break, unknown(), unknown()],
            &[
                "v3.kv.range http://a 1 0 interrupted 0ns",
                "v3.kv.range http://a 1 200 answered 0ns",
            ],
        ),
    ] {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let transport = ScriptedTransport::new(steps).with_grpc();
        let builder = Client::builder(transport).endpoints(["http://a"]);
        let client = builder.observe({
            let lines = Arc::clone(&lines);
            move |attempt| lines.lock().unwrap().push(line(attempt))
        });
        let client = client.build().unwrap();
        block_on(client.send(v3::Range::new("k"))).unwrap_err();
        assert_eq!(*lines.lock().unwrap(), expected);
    }
}

#[test]
fn a_response_that_is_not_accepted_is_reported_with_its_status_and_the_reason() {
    let encoded = with_headers(etcd_error(404, 100, 7), &[("content-encoding", "br")]);
    let attempts: Arc<Mutex<Vec<Attempt>>> = Arc::default();
    let client = builder([encoded]).observe({
        let attempts = Arc::clone(&attempts);
        move |attempt| attempts.lock().unwrap().push(attempt.clone())
    });
    block_on(client.build().unwrap().v2().get("x")).unwrap_err();
    let attempts = attempts.lock().unwrap();
    assert_eq!(line(&attempts[0]), "v2.keys.get http://a 1 404 refused 0ns");
    assert_eq!(
        attempts[0].reason.as_deref(),
        Some("the response is encoded (\"br\"), which this client never requests")
    );
}

#[test]
fn every_poll_of_a_watch_is_observed() {
    let (client, lines) = client([open(5), Step::Break, keys(200, 6, file("set", "/x", 6))]);
    let watch = client.open(Watch::new("x").from_index(6));
    block_on(watch.take(1).collect::<Vec<_>>())
        .remove(0)
        .unwrap();
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "v2.keys.watch http://a 1 0 quiet 1s");
    assert_eq!(lines[1], "v2.keys.watch http://a 1 0 interrupted 0ns");
    assert_eq!(lines[2], "v2.keys.watch http://b 1 200 answered 0ns");
}

#[test]
fn a_view_of_a_client_is_observed_as_the_client_is() {
    let (client, lines) = client([ok()]);
    let view = client.with_timeout(Duration::from_secs(1));
    block_on(view.v2().get("x")).unwrap();
    assert_eq!(lines.lock().unwrap().len(), 1);
}

#[test]
fn a_curl_command_is_for_the_endpoint_that_would_be_asked_and_takes_the_user_from_outside() {
    let client = builder([Step::Refuse, ok()])
        .basic_auth("root", "s3cret")
        .allow_insecure_auth(true)
        .build()
        .unwrap();
    block_on(client.v2().get("x")).unwrap();
    assert_eq!(
        client.to_curl(&Get::new("x")).unwrap(),
        "curl --disable --globoff --path-as-is --silent --show-error --user \"$ETCDCTL_USER\" \
         'http://b/v2/keys/x'"
    );
    assert!(client.to_curl(&Get::new("a//b")).is_err());
}

#[test]
fn a_refusal_without_credentials_says_what_the_client_knows() {
    let refused = || etcd_error(401, 110, 0);
    let text =
        |client: Client<ScriptedTransport>| block_on(client.v2().get("x")).unwrap_err().to_string();
    let without = "v2.keys.get at http://a: m: c (code 110, index 0): \
                   this client has no credentials, and guests do not have the permission";
    assert_eq!(text(builder([refused()]).build().unwrap()), without);
    let with = builder([refused()])
        .basic_auth("root", "x")
        .allow_insecure_auth(true);
    let wrong = "v2.keys.get at http://a: m: c (code 110, index 0): \
                 the client's user or password is wrong, or its roles do not allow this";
    assert_eq!(text(with.build().unwrap()), wrong);
    let client = builder([refused()]).build().unwrap();
    let watch = client.open(Watch::new("x").from_index(6));
    let error = block_on(watch.take(1).collect::<Vec<_>>())
        .remove(0)
        .unwrap_err();
    assert_eq!(error.to_string(), without.replace("get", "watch"));
}

#[cfg(feature = "tracing")]
#[test]
fn an_operation_is_a_span_and_an_attempt_an_event_in_it() {
    use crate::spans::Spans;

    // With a single dispatcher, tracing caches the interest of the thread that first reaches an event, for all threads.
    // A test on another thread would have none.
    let _another = tracing::Dispatch::new(Spans::default());
    let spans = Spans::default();
    let (client, _) = client([
        Step::Refuse,
        ok(),
        open(7),
        keys(200, 8, file("set", "/x", 8)),
    ]);
    tracing::subscriber::with_default(spans.clone(), || {
        block_on(client.send(Set::new("x", "value"))).unwrap();
        let watch = client.open(Watch::new("x").from_index(8));
        block_on(watch.take(1).collect::<Vec<_>>());
    });
    let span = |operation: &str| {
        format!(
            "etcd{{operation=\"{operation}\" otel.name=\"{operation}\" otel.kind=\"client\" db.system.name=\"etcd\" \
             db.operation.name=\"{operation}\"}}"
        )
    };
    let attempt = |operation: &str, host: &str, number: u32, rest: &str| {
        format!(
            "{}: operation=\"{operation}\" endpoint=http://{host} attempt={number} {rest}",
            span(operation)
        )
    };
    assert_eq!(
        spans.lines(),
        [
            attempt(
                "v2.keys.set",
                "a",
                1,
                "elapsed=0.0 outcome=\"not_sent\" reason=\"could not connect: connection refused\""
            ),
            span("v2.keys.set")
                + ": WARN message=an endpoint failed and is avoided for now endpoint=http://a pause=1.0",
            attempt(
                "v2.keys.set",
                "b",
                2,
                "status=200 elapsed=0.0 outcome=\"answered\""
            ),
            attempt("v2.keys.watch", "b", 1, "elapsed=1.0 outcome=\"quiet\""),
            attempt(
                "v2.keys.watch",
                "b",
                1,
                "status=200 elapsed=0.0 outcome=\"answered\""
            ),
        ]
    );
    let request = |method: &str, host: &str, end: &str| {
        format!(
            "etcd attempt{{otel.name=\"{method} /v2/keys/{{key}}\" otel.kind=\"client\" http.request.method=\"{method}\" \
             url.scheme=\"http\" url.template=\"/v2/keys/{{key}}\" server.address=\"{host}\" server.port=80 {end}}}"
        )
    };
    let failed = "error.type=\"not_sent\" otel.status_code=\"ERROR\"";
    let answered = "http.response.status_code=200";
    assert_eq!(
        spans.spans(),
        [
            span("v2.keys.set"),
            request("PUT", "a", failed),
            request("PUT", "b", answered),
            span("v2.keys.watch"),
            request("GET", "b", answered),
            request("GET", "b", answered),
        ]
    );
}

#[cfg(feature = "tracing")]
#[test]
fn spans_have_the_names_of_opentelemetry() {
    use crate::spans::Spans;

    // See `an_operation_is_a_span_and_an_attempt_an_event_in_it`.
    let _another = tracing::Dispatch::new(Spans::default());
    let spans = Spans::default();
    let refused = r#"{"errorCode":100,"message":"Key not found","cause":"/secret","index":7}"#;
    let (client, _) = client([keys(404, 7, refused)]);
    tracing::subscriber::with_default(spans.clone(), || {
        block_on(client.v2().get("secret")).unwrap_err();
    });
    let [operation, attempt] = &spans.spans()[..] else {
        panic!("an operation, and an attempt: {:?}", spans.spans());
    };
    for expected in [
        "db.system.name=\"etcd\"",
        "db.operation.name=\"v2.keys.get\"",
        "error.type=\"KeyNotFound\" otel.status_code=\"ERROR\"",
    ] {
        assert!(operation.contains(expected), "{operation}");
    }
    for expected in [
        "otel.name=\"GET /v2/keys/{key}\"",
        "http.response.status_code=404",
        "error.type=\"404\" otel.status_code=\"ERROR\"",
    ] {
        assert!(attempt.contains(expected), "{attempt}");
    }
    assert!(!format!("{spans:?}").contains("secret"), "{spans:?}");
}

#[cfg(feature = "tracing")]
#[test]
fn without_an_observer_an_attempt_is_an_event_too() {
    use crate::spans::Spans;

    // See `an_operation_is_a_span_and_an_attempt_an_event_in_it`.
    let _another = tracing::Dispatch::new(Spans::default());
    let spans = Spans::default();
    tracing::subscriber::with_default(spans.clone(), || {
        let client = builder([ok()]).build().unwrap();
        block_on(client.v2().get("x")).unwrap();
    });
    let lines = spans.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("outcome=\"answered\""), "{lines:?}");
}

#[test]
fn an_attempt_tells_why_it_failed_without_keys_and_values() {
    let refusal = Step::Respond(
        412,
        vec![
            ("content-type", "application/json".into()),
            ("x-etcd-index", "7".into()),
        ],
        Ending::Whole(
            r#"{"errorCode":101,"message":"Compare failed","cause":"[secret != x]","index":7}"#
                .into(),
        ),
    );
    let page = Step::Respond(404, vec![], Ending::Whole("<html>secret".into()));
    let elsewhere = Step::Respond(
        307,
        vec![("location", "http://c/v2/keys/secret".into())],
        Ending::Whole(String::new()),
    );
    let v3 = keys(
        400,
        0,
        r#"{"code":3,"message":"json: cannot parse \"secret\""}"#,
    );
    let known = keys(
        404,
        0,
        r#"{"code":5,"message":"etcdserver: requested lease not found"}"#,
    );
    let reasons: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let steps = [ok(), refusal, Step::Silence, page, elsewhere, v3, known];
    let client = builder(steps).observe({
        let reasons = Arc::clone(&reasons);
        move |attempt| reasons.lock().unwrap().push(attempt.reason.clone())
    });
    let client = client.build().unwrap();
    block_on(client.v2().get("secret")).unwrap();
    block_on(client.v2().set("secret", "x")).unwrap_err();
    // Of the three attempts, none is served.
    block_on(client.v2().get("secret")).unwrap_err();
    block_on(client.v3().kv().put("secret", "x")).unwrap_err();
    block_on(client.v3().kv().put("secret", "x")).unwrap_err();
    let expected = [
        None,
        Some("Compare failed"),
        Some("no response within 10s"),
        Some("this is not etcd's v2 API: is the path of this endpoint wrong?"),
        Some("a redirect that is not followed"),
        Some("refused by etcd"),
        Some("etcdserver: requested lease not found"),
    ];
    let reasons = reasons.lock().unwrap();
    let reasons: Vec<_> = reasons.iter().map(Option::as_deref).collect();
    assert_eq!(reasons, expected);
}
