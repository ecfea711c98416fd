//! The bodies of streams: what ends one, and what is not a message.

use std::time::Duration;

use etcd_http::{
    Client, Error, Protocol,
    v3::{Observe, Watch},
};
use futures::StreamExt;
use serde_json::json;

use crate::{
    v3_played::{NOW, Play, Played, created, event, failure, fragment, message, revision, status},
    v3_streams::leader,
};

/// Returns the keys that an observer delivers, and the error at its end: no outage is too short for it to end.
fn observed(response: impl Fn() -> Play + Send + Sync + 'static) -> (Vec<String>, Error) {
    let client = Played::client(&["http://a"], move |_| response());
    let observe = Observe::new("e").outage_limit(Duration::ZERO);
    let clock = &client.transport().clock;
    let mut items = clock.run(client.open(observe).collect::<Vec<_>>());
    let error = items.pop().unwrap().unwrap_err();
    let keys = items.into_iter().map(|leader| leader.unwrap());
    let keys = keys.map(|leader| leader.key_str().unwrap().to_owned());
    (keys.collect(), error)
}

/// A response of the gateway whose first message is that `one` leads.
fn leading() -> Play {
    Play::open().then(NOW, message(leader("one", 5)))
}

#[test]
fn the_trailers_of_a_gateway_are_not_a_status() {
    for name in ["x-proxy", "grpc-status"] {
        let (leaders, error) = observed(move || {
            let mut trailers = status("13", "");
            if name == "x-proxy" {
                trailers.remove("grpc-status");
            }
            leading().trailers(trailers).end()
        });
        assert_eq!(leaders, ["one"]);
        let what = "v3.election.observe at http://a: the server ended the stream";
        assert_eq!(error.to_string(), what);
    }
}

#[test]
fn a_response_of_the_gateway_that_ends_within_a_message_was_cut() {
    let whole = message(leader("two", 6));
    for length in 1..whole.len() {
        let cut = whole[..length].to_owned();
        let (leaders, error) = observed(move || leading().then(NOW, &*cut).end());
        assert_eq!(leaders, ["one"]);
        assert!(matches!(error, Error::Transport(_)), "{length}: {error}");
        assert!(error.to_string().contains("within a message"), "{error}");
    }
}

#[test]
fn the_error_for_what_is_not_a_message_quotes_it() {
    let page = "<html>login</html>";
    let (_, error) = observed(move || Play::whole(200, page));
    assert_quotes(&error, page);
    let (leaders, error) = observed(move || leading().then(NOW, page).end());
    assert_eq!(leaders, ["one"]);
    assert_quotes(&error, page);

    let played = Played::new(move |_| Play::grpc_body(page));
    let client = Client::builder(played).endpoints(["http://a"]);
    let client = client.protocol(Protocol::Grpc).build().unwrap();
    assert_quotes(&failure(&client, Observe::new("e")), page);
}

#[track_caller]
fn assert_quotes(error: &Error, page: &str) {
    let Error::Unexpected(unexpected) = error else {
        panic!("{error}")
    };
    assert!(page.ends_with(unexpected.excerpt()), "{error}");
    assert!(unexpected.excerpt().contains("login"), "{error}");
}

/// A client of a watch with this response, whose largest response is this long.
fn limited(size: usize, response: impl Fn() -> Play + Send + Sync + 'static) -> Client<Played> {
    let client = Client::builder(Played::new(move |_| response()));
    let client = client.endpoints(["http://a"]).max_response_size(size);
    client.build().unwrap()
}

fn watch() -> Watch {
    Watch::new("k").from_revision(5)
}

#[test]
fn a_message_that_takes_too_much_memory_is_too_large() {
    let client = limited(10_000, || {
        let events = vec![json!({"kv": {"key": "aw=="}}); 400];
        let message =
            message(json!({"header": {"cluster_id": "7"}, "watch_id": "1", "events": events}));
        Play::open().then(NOW, created(1)).then(NOW, message)
    });
    let error = failure(&client, watch()).to_string();
    assert!(error.contains("raise `max_response_size`"), "{error}");
}

#[test]
fn fragments_may_be_as_large_together_as_a_response() {
    let fragments = || [fragment(1, "k", 5), fragment(1, "k", 5)];
    let size = fragments().concat().len();
    let response = move || {
        let parts = fragments().into_iter().chain([event(1, "k", 5)]);
        parts.fold(Play::open().then(NOW, created(1)), |play, part| {
            play.then(NOW, part)
        })
    };
    let client = limited(size, response);
    assert_eq!(revision(&client, &mut client.open(watch())), 5);
    let client = limited(size - 1, response);
    let error = failure(&client, watch()).to_string();
    assert!(error.contains("raise `max_response_size`"), "{error}");
}
