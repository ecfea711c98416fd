//! Tokens and time: a call waits for another one no longer than it has time left, and where a stream's server does not
//! respond in time, the reason may be its token.

use std::time::Duration;

use etcd_http::{
    Client, Error, Protocol, RetryPolicy,
    v3::{Range, Watch},
};
use harness::scripted_transport::{Ending, Step};

use crate::{
    timed::Timed,
    v3_store::{Connection, Store, items},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_renewal_of_a_token_has_no_more_than_the_rest_of_the_call() {
    let respond = |status, body: &str| {
        let body = Ending::Whole(body.to_owned());
        (Duration::ZERO, Step::Respond(status, vec![], body))
    };
    let transport = Timed::new([
        respond(200, r#"{"header":{"cluster_id":"7"},"token":"one"}"#),
        // An attempt has ten seconds.
        (Duration::ZERO, Step::Silence),
        respond(
            401,
            r#"{"code":16,"message":"etcdserver: invalid auth token"}"#,
        ),
        (Duration::ZERO, Step::Silence),
    ]);
    let client = Client::builder(transport)
        .endpoints(["https://a"])
        .v3_auth("u", "p")
        .protocol(Protocol::Gateway)
        .retry(RetryPolicy::default().overall(SECOND * 12))
        .build()
        .unwrap();
    let clock = &client.transport().clock;
    let error = clock.run(client.send(Range::new("k"))).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    // With the pause before the second attempt.
    let elapsed = clock.elapsed();
    assert!((SECOND * 12..SECOND * 13).contains(&elapsed), "{elapsed:?}");
}

/// A token names a raft index, and a member waits until it has reached that: in a store that was recreated, forever.
#[test]
fn a_watch_that_is_not_created_in_time_goes_on_with_another_token() {
    let silent = Connection {
        silent: true,
        ..Connection::default()
    };
    let store = Store::at(4).with(|state| {
        state.write(["k".to_owned()]);
        state.connections = [silent].into();
    });
    let client = Client::builder(store).endpoints(["http://a"]);
    let client = client.v3_auth("u", "p").allow_insecure_auth(true);
    let client = client.build().unwrap();
    let changes = items(&client, Watch::new("k").from_revision(5), 1);
    assert_eq!(changes[0].as_ref().unwrap().revision, 5);
    let seen = client.transport().seen();
    let paths: Vec<_> = seen
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let (login, watch) = ("a/v3/auth/authenticate", "a/v3/watch");
    assert_eq!(paths, [login, watch, login, watch]);
}
