//! What a stream does about faults: where it goes on, and when it ends.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_http::{
    Client, Error, Outcome, Protocol,
    transport::TransportError,
    v3::{Observe, Watch, WatchSet},
};

use serde_json::json;

use crate::v3_played::{
    Asked, NOW, Play, Played, created, event, failure, idle, revision, watching,
};

const SECOND: Duration = Duration::from_secs(1);

/// A watch that has been created, and stays open.
fn opened() -> Play {
    Play::open().then(NOW, created(1))
}

/// A watch that delivers revision 5.
fn delivering() -> Play {
    opened().then(NOW, event(1, "k", 5))
}

fn watch() -> Watch {
    Watch::new("k").from_revision(5)
}

#[test]
fn after_the_end_of_a_stream_another_endpoint_is_asked() {
    let client = watching(&["http://a", "http://b"], |asked| match asked.before {
        0 => opened().end(),
        _ => delivering(),
    });
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    assert_eq!(client.transport().seen(), ["a watch", "b watch"]);
}

/// A server that drains its connections is up, and says so at once. One that does so repeatedly may be gone, or another one.
#[test]
fn a_request_that_was_not_processed_is_no_failure_of_the_endpoint_unless_the_next_one_is_not_either()
 {
    for (times, after, is_up, expected) in [
        (1, NOW, true, "a watch, a watch"),
        (2, NOW, false, "a watch, a watch, b watch"),
        (1, 2 * SECOND, false, "a watch, b watch"),
    ] {
        let client = watching(&["http://a", "http://b"], move |asked| {
            if asked.before < times {
                Play::failing_after(after, TransportError::unprocessed("GOAWAY"))
            } else {
                delivering()
            }
        });
        assert_eq!(revision(&client, &mut client.open(watch())), 5);
        assert_eq!(client.transport().seen().join(", "), expected);
        assert_eq!(client.endpoints()[0].is_up, is_up, "{times}");
    }
}

#[test]
fn after_the_page_of_a_proxy_another_endpoint_is_asked() {
    let endpoints = ["http://a", "http://b", "http://c"];
    let client = watching(&endpoints, |asked| match asked.before {
        0 => opened().broken(SECOND),
        1 => Play::whole(200, "<html>We will be back soon.</html>"),
        _ => delivering(),
    });
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    assert_eq!(client.transport().seen(), ["a watch", "b watch", "c watch"]);
}

#[test]
fn a_stream_whose_request_the_transport_rejects_ends() {
    let client = watching(&["http://a"], |_| {
        Play::failing(TransportError::rejected("no such scheme"))
    });
    let error = failure(&client, watch());
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.to_string().contains("no such scheme"), "{error}");
    assert_eq!(client.transport().seen(), ["a watch"]);
}

#[test]
fn a_stream_that_is_refused_is_reported_once_with_its_reason() {
    let refused = |status, code, message| {
        let error = json!({"grpc_code": code, "http_code": status, "message": message});
        (status, json!({ "error": error }).to_string())
    };
    let no_leader = "etcdserver: no leader";
    for (protocol, (status, body), line) in [
        (
            Protocol::Gateway,
            refused(503, 14, no_leader),
            "unavailable Some(503) etcdserver: no leader (code 14)",
        ),
        (
            Protocol::Gateway,
            refused(403, 7, "etcdserver: permission denied"),
            "answered Some(403) etcdserver: permission denied (code 7)",
        ),
        (
            Protocol::Gateway,
            (502, "<html>".to_owned()),
            r#"unavailable Some(502) HTTP status 502 Bad Gateway, not an etcd error response: "<html>""#,
        ),
        (
            Protocol::Grpc,
            (0, String::new()),
            "unavailable None etcdserver: no leader (code 14)",
        ),
    ] {
        let reported: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&reported);
        let script = move |asked: &Asked| match asked.before {
            0 if protocol == Protocol::Grpc => Play::grpc("14", no_leader, ""),
            0 => Play::whole(status, body.clone()),
            _ => Play::failing(TransportError::rejected("that is enough")),
        };
        let client = Client::builder(Played::new(script)).endpoints(["http://a"]);
        let client = client.protocol(protocol).observe(move |attempt| {
            let (status, reason) = (attempt.status, attempt.reason.as_deref());
            let status = status.map(|status| status.as_u16());
            let line = format!("{} {status:?} {}", attempt.outcome, reason.unwrap_or("-"));
            seen.lock().unwrap().push(line);
        });
        failure(&client.build().unwrap(), Observe::new("e"));
        assert_eq!(reported.lock().unwrap()[0], line);
    }
}

#[test]
fn each_request_is_reported_once_and_so_is_its_end() {
    let reported: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&reported);
    let played = Played::new(|asked| match (asked.is_watch(), asked.before) {
        (false, _) => Play::header(),
        (_, 0) => Play::failing(TransportError::connect("connection refused")),
        (_, 1) => opened().broken(SECOND),
        (_, 2) => opened().end(),
        _ => delivering(),
    });
    let client = Client::builder(played)
        .endpoints(["http://a"])
        .observe(move |attempt| {
            let reason = attempt.reason.as_deref().unwrap_or_default();
            let line = format!("{} {reason}", attempt.outcome);
            seen.lock().unwrap().push(line);
        })
        .build()
        .unwrap();
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    let expected = [
        "not_sent could not connect: connection refused",
        "answered ",
        "interrupted the exchange broke off: reset",
        "answered ",
        "interrupted the server ended the stream",
        "answered ",
    ];
    assert_eq!(*reported.lock().unwrap(), expected);
}

#[test]
fn a_learner_that_speaks_another_protocol_than_the_other_members_is_left() {
    let client = Played::client(&["http://a", "http://b"], |asked| {
        match (&asked.host[..], &asked.path[..]) {
            ("a", "/etcdserverpb.Watch/Watch") => {
                Play::grpc("14", "etcdserver: rpc not supported for learner", "")
            }
            ("a", _) => Play::grpc("0", "", "\0\0\0\0\x06\x0a\x04\x08\x07\x18\x04"),
            ("b", "/v3/watch") => delivering(),
            _ => Play::header(),
        }
    });
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    assert_eq!(
        client.transport().seen(),
        ["a status", "a watch", "b watch"]
    );
}

/// The hosts of the requests of a watch whose server is silent, and responds to the question whether it lives like this.
fn after_a_probe(status: u16, body: &'static str) -> Vec<String> {
    let client = Played::client(&["http://a", "http://b"], move |asked| {
        if asked.is_watch() {
            opened()
        } else {
            Play::whole(status, body)
        }
    });
    idle(&client, &mut client.open(watch()), SECOND * 6);
    client.transport().seen()
}

#[test]
fn a_member_that_says_that_it_cannot_serve_is_left() {
    for (status, body) in [
        (503, r#"{"code":14,"message":"etcdserver: no leader"}"#),
        (500, r#"{"code":13,"message":"something is broken"}"#),
        (502, "<html>"),
    ] {
        let seen = after_a_probe(status, body);
        assert_eq!(seen, ["a watch", "a status", "b watch"], "{body}");
    }
}

#[test]
fn a_member_that_refuses_to_say_its_status_is_alive() {
    for (status, body) in [
        (
            403,
            r#"{"code":7,"message":"etcdserver: permission denied"}"#,
        ),
        (
            401,
            r#"{"code":16,"message":"etcdserver: invalid auth token"}"#,
        ),
        (404, "Not Found\n"),
    ] {
        let seen = after_a_probe(status, body);
        assert_eq!(seen, ["a watch", "a status"], "{body}");
    }
}

#[test]
fn a_watch_that_is_missing_among_others_is_not_withheld_by_a_proxy() {
    // The server never creates the second one.
    let client = watching(&["http://a"], |_| opened());
    let set = WatchSet::new([watch(), watch()]).outage_limit(SECOND * 12);
    let error = failure(&client, set);
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert!(!error.to_string().contains("proxy"), "{error}");
    let seen = client.transport().seen();
    assert_eq!(seen, ["a watch"; 4]);
}

#[test]
fn a_server_that_does_not_respond_to_short_requests_either_gets_usual_ones() {
    let client = watching(&["http://a"], |asked| match asked.before {
        0..=2 => Play::silent(),
        _ => delivering(),
    });
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    let expected = ["a watch", "a watch", "a status", "a watch poll", "a watch"];
    assert_eq!(client.transport().seen(), expected);
}

#[test]
fn first_messages_that_are_missed_with_others_between_them_are_no_sign_of_a_proxy() {
    let client = watching(&["http://a"], |asked| match asked.before {
        0 | 2 => Play::silent(),
        1 => opened().broken(SECOND),
        _ => delivering(),
    });
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    assert_eq!(client.transport().seen(), ["a watch"; 4]);
}

/// The response to a watch through a proxy that withholds it until the server ends it. The first two have no deadline.
fn withheld(asked: &Asked, poll: impl Fn() -> Play) -> Play {
    if asked.is_poll {
        poll()
    } else {
        Play::silent()
    }
}

#[test]
fn a_short_request_that_ends_too_early_is_a_failure() {
    let ends: [fn() -> Play; 2] = [|| opened().end(), || opened().broken(NOW)];
    for end in ends {
        let client = watching(&["http://a"], move |asked| match asked.before {
            4.. => delivering(),
            _ => withheld(asked, end),
        });
        assert_eq!(revision(&client, &mut client.open(watch())), 5);
        let expected = ["a watch", "a watch", "a status", "a watch poll", "a watch"];
        assert_eq!(client.transport().seen()[..5], expected);
    }
}
