//! The tokens of streams: a refused one is replaced, once.

use std::time::Duration;

use etcd_http::{
    Client,
    v3::{Observe, Snapshot, Watch},
};

use crate::{
    v3_store::{Connection, State, Store, clients as client, items},
    v3_streams::{leader, snapshot},
};

#[test]
fn t_12_a_watch_whose_token_is_refused_goes_on_with_another_and_asks_once() {
    let in_a_refusal = Connection::responding(
        401,
        r#"{"code":16,"message":"etcdserver: invalid auth token"}"#,
    );
    let reason = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
    let in_a_message = Connection::responding(
        200,
        format!(
            r#"{{"result":{{"header":{{"cluster_id":"7","revision":"4"}},"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"{reason}"}}}}"#
        ),
    );
    for connection in [in_a_refusal, in_a_message] {
        let store = Store::at(4).with(|state| {
            state.write(["new".to_owned()]);
            state.connections = [connection.clone()].into();
        });
        let client = with_user(store);
        let changes = items(&client, Watch::new("new").from_revision(5), 1);
        assert_eq!(changes[0].as_ref().unwrap().revision, 5);
        let seen = client.transport().seen();
        let paths: Vec<_> = seen
            .iter()
            .map(|line| line.split_once(' ').unwrap().0)
            .collect();
        let authenticate = "a/v3/auth/authenticate";
        assert_eq!(
            paths,
            [authenticate, "a/v3/watch", authenticate, "a/v3/watch"]
        );

        // T-13: a token that is refused twice in a row is not requested forever.
        let store = Store::at(4).with(|state| state.connections = vec![connection; 100].into());
        let client = with_user(store);
        let error = items(&client, Watch::new("new").from_revision(5), 2)
            .pop()
            .unwrap()
            .unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        assert_eq!(client.transport().seen().len(), 4);
    }
}

fn with_user(store: Store) -> Client<Store> {
    let client = Client::builder(store).endpoints(["http://a"]);
    let client = client.v3_auth("u", "p").allow_insecure_auth(true);
    client.build().unwrap()
}

pub(crate) fn paths(client: &Client<Store>) -> Vec<String> {
    let seen = client.transport().seen();
    let paths = seen.iter().filter_map(|line| line.split_once(' '));
    paths.map(|(path, _)| path.to_owned()).collect()
}

#[test]
fn a_stream_does_not_go_back_to_a_refused_token_if_no_other_could_be_fetched() {
    let authenticate = "/v3/auth/authenticate";
    // One call has five attempts: the stream has to fetch a token twice.
    let refused = Connection {
        answer: Some((
            401,
            r#"{"code":16,"message":"etcdserver: invalid auth token"}"#.into(),
        )),
        then: Some(|state| {
            state.mute.insert("/v3/auth/authenticate", 5);
        }),
        ..Connection::default()
    };
    let client = with_user(Store::at(4).with(|state| {
        state.write(["new".to_owned()]);
        state.connections = [refused].into();
    }));
    let changes = items(&client, Watch::new("new").from_revision(5), 1);
    assert_eq!(changes[0].as_ref().unwrap().revision, 5);
    let paths = paths(&client);
    assert_eq!(&paths[..2], [&format!("a{authenticate}"), "a/v3/watch"]);
    let fetches = paths[2..]
        .iter()
        .take_while(|path| path.ends_with(authenticate));
    assert_eq!((fetches.count(), paths.len()), (6, 9), "{paths:?}");
}

#[test]
fn t_12_a_snapshot_whose_token_is_refused_begins_again_with_another_once() {
    let refused = Connection::responding(
        500,
        r#"{"error":{"grpc_code":2,"http_code":500,"message":"auth: invalid auth token"}}"#,
    );
    let ends = Connection {
        ends: true,
        ..Connection::default()
    };
    let store = |connections: Vec<Connection>| {
        Store::at(4).with(|state| {
            state.messages = snapshot(b"database", 10);
            state.connections = connections.into();
        })
    };
    let client = with_user(store(vec![refused.clone(), ends]));
    let mut file = Vec::new();
    let clock = &client.transport().clock;
    let size = clock.run(Snapshot::new().write_to(&client, &mut file));
    assert_eq!(size.unwrap(), 40);
    let (authenticate, snapshot) = ("a/v3/auth/authenticate", "a/v3/maintenance/snapshot");
    let status = "a/v3/maintenance/status";
    assert_eq!(
        paths(&client),
        [authenticate, snapshot, authenticate, snapshot, status]
    );

    let client = with_user(store(vec![refused; 100]));
    let error = items(&client, Snapshot::new(), 2)
        .pop()
        .unwrap()
        .unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert_eq!(paths(&client).len(), 4);
}

#[test]
fn v3_139_an_observer_whose_response_is_empty_tries_another_token_once() {
    let silent = Connection {
        answer: Some((200, String::new())),
        ends: true,
        ..Connection::default()
    };
    let store = |connections: Vec<Connection>| {
        Store::at(4).with(|state| {
            state.messages = vec![leader("one", 5)];
            state.connections = connections.into();
        })
    };
    let (authenticate, observe) = ("a/v3/auth/authenticate", "a/v3/election/observe");
    let once = with_user(store(vec![silent.clone()]));
    items(&once, Observe::new("e"), 1).pop().unwrap().unwrap();
    assert_eq!(paths(&once), [authenticate, observe, authenticate, observe]);
    assert_eq!(once.transport().clock.elapsed(), Duration::ZERO);

    // A stream that ends repeatedly ends for another reason.
    let often = with_user(store(vec![silent.clone(); 5]));
    items(&often, Observe::new("e"), 1).pop().unwrap().unwrap();
    let paths = paths(&often);
    let tokens = paths.iter().filter(|path| *path == authenticate).count();
    assert_eq!((tokens, paths.len()), (2, 8));

    // A stream that has delivered a leader had a valid token.
    let then: fn(&mut State) = |state| state.messages = vec![leader("two", 6)];
    let reported = Connection {
        ends: true,
        then: Some(then),
        ..Connection::default()
    };
    let reported = with_user(store(vec![reported]));
    assert!(
        items(&reported, Observe::new("e"), 2)
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(self::paths(&reported), [authenticate, observe, observe]);

    let without_user = client(store(vec![silent; 2]));
    items(&without_user, Observe::new("e"), 1)
        .pop()
        .unwrap()
        .unwrap();
    assert_eq!(without_user.transport().seen().len(), 3);
}
