//! Streams that a member does not serve, by gRPC and in a message: others are asked, each once.

use etcd_http::{
    Client, Error, Outcome, Protocol,
    v3::{Observe, Watch},
};
use futures::StreamExt;

use crate::{
    v3_played::{NOW, Play, Played, created, event, failure, message, revision, status},
    v3_streams::leader,
};

const ENDPOINTS: [&str; 2] = ["http://a", "http://b"];

/// How a member by gRPC responds to a stream that it does not have: without a body, and with an empty one.
const UNIMPLEMENTED: [fn() -> Play; 2] = [
    || Play::grpc("12", "unknown service v3electionpb.Election", ""),
    || Play::grpc_body("").trailers(status("12", "unknown service v3electionpb.Election")),
];

fn watch() -> Watch {
    Watch::new("k").from_revision(5)
}

fn unsupported(error: &Error) -> Outcome {
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    error.outcome()
}

#[test]
fn a_stream_that_no_member_has_by_grpc_is_unsupported() {
    for response in UNIMPLEMENTED {
        let client = Client::builder(Played::new(move |_| response())).endpoints(ENDPOINTS);
        let client = client.protocol(Protocol::Grpc).build().unwrap();
        let outcomes = [(); 2].map(|()| unsupported(&failure(&client, Observe::new("e"))));
        assert_eq!(outcomes, [Outcome::Rejected, Outcome::NotSent]);
        assert_eq!(client.transport().seen(), ["a observe", "b observe"]);
    }
}

#[test]
fn where_the_endpoint_has_a_path_it_is_the_likely_reason_for_an_unsupported_stream() {
    for (endpoint, has_path) in [("http://a", false), ("http://a/etcd", true)] {
        for response in UNIMPLEMENTED {
            let client = Client::builder(Played::new(move |_| response())).endpoints([endpoint]);
            let client = client.protocol(Protocol::Grpc).build().unwrap();
            let error = failure(&client, Observe::new("e")).to_string();
            assert_eq!(
                error.contains("the path of the endpoint is likely wrong"),
                has_path,
                "{error}"
            );
            assert!(error.contains("its etcd is too old"), "{error}");
        }
    }
}

#[test]
fn a_stream_goes_from_a_member_without_it_to_one_that_speaks_only_the_gateway() {
    for response in UNIMPLEMENTED {
        let client = Played::client(&ENDPOINTS, move |asked| {
            match (&asked.host[..], &asked.path[..]) {
                ("a", "/etcdserverpb.Maintenance/Status") => {
                    Play::grpc("0", "", "\0\0\0\0\x06\x0a\x04\x08\x07\x18\x04")
                }
                ("a", _) => response(),
                _ => Play::open().then(NOW, message(leader("one", 5))),
            }
        });
        let first = client
            .transport()
            .clock
            .run(client.open(Observe::new("e")).next());
        assert_eq!(first.unwrap().unwrap().key, "one");
        let seen = client.transport().seen();
        assert_eq!(seen, ["a status", "a observe", "b observe"]);
    }
}

#[test]
fn a_member_that_refuses_a_stream_in_its_first_message_is_asked_once() {
    for refusal in [
        r#"{"error":{"code":14,"message":"etcdserver: rpc not supported for learner"}}"#,
        r#"{"error":{"grpc_code":12,"message":"unknown service"}}"#,
    ] {
        let client = Played::client(&ENDPOINTS, move |asked| match &asked.host[..] {
            "a" => Play::whole(200, refusal),
            _ => Play::open()
                .then(NOW, created(1))
                .then(NOW, event(1, "k", 5)),
        });
        assert_eq!(revision(&client, &mut client.open(watch())), 5);
        assert_eq!(client.transport().seen(), ["a watch", "b watch"]);
        // All members do.
        let client = Played::client(&ENDPOINTS, move |_| Play::whole(200, refusal));
        let error = failure(&client, watch());
        assert_eq!(error.outcome(), Outcome::Rejected);
        assert_eq!(client.transport().seen(), ["a watch", "b watch"]);
    }
}

#[test]
fn the_page_of_a_proxy_does_not_mark_a_stream_as_unsupported() {
    for (status, page) in [
        (404, "404 page not found\n"),
        (404, "<h1>Not Found</h1>"),
        (403, "<html>"),
    ] {
        let client = Played::client(&["http://a"], move |_| Play::whole(status, page));
        for _ in 0..2 {
            assert_eq!(failure(&client, watch()).outcome(), Outcome::Rejected);
        }
        assert_eq!(client.transport().seen(), ["a watch"; 2], "{page}");
    }
}
