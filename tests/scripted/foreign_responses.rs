//! Streams behind a proxy that has lost its servers for a moment, or is being maintained.

use std::time::Duration;

use etcd_http::{
    Client, Error, Result, v2,
    v3::{KeepAlive, KeyRange, Mirror, Observe},
};
use futures::{FutureExt, StreamExt};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, file, keys},
};
use serde_json::json;

use crate::{
    v3_store::{Connection, Store, base64, client, clients, items},
    v3_watch::{all, changes, failure, write_four},
};

/// What a proxy says without etcd: a status, and a body.
const PAGES: [(u16, &str); 6] = [
    (404, "<html>not found</html>"),
    (429, "slow down"),
    (403, "<html>blocked</html>"),
    (302, ""),
    (200, "<html>We will be back soon.</html>"),
    (200, r#"{"status":"maintenance"}"#),
];

fn page((status, body): (u16, &str)) -> Connection {
    Connection {
        answer: Some((status, body.to_owned())),
        ends: true,
        ..Connection::default()
    }
}

/// A connection that ends after it has brought all that there is.
fn ends() -> Connection {
    Connection {
        ends: true,
        ..Connection::default()
    }
}

#[test]
fn a_v3_watch_that_has_worked_waits_out_the_pages_of_a_proxy() {
    let store = Store::at(4).with(write_four).with(|state| {
        state.connections = [Connection {
            then: Some(|state| {
                state.write(["new".to_owned()]);
            }),
            ..ends()
        }]
        .into();
        state.connections.extend(PAGES.map(page));
    });
    let client = clients(store);
    assert_eq!(changes(&client, all().from_revision(5), 5).len(), 5);
    assert_eq!(client.transport().seen().len(), 2 + PAGES.len());
}

#[test]
fn a_v3_watch_behind_a_page_ends_with_its_outage_limit_and_a_new_one_at_once() {
    for proxy in PAGES {
        let pages = vec![page(proxy); 10_000];
        let minute = Duration::from_secs(60);
        let store = Store::at(4)
            .with(write_four)
            .with(|state| state.connections = pages.clone().into());
        let client = client(store);
        let watch = || all().from_revision(5).outage_limit(minute);
        failure(&client, watch());
        assert_eq!(client.transport().clock.elapsed(), Duration::ZERO);

        client
            .transport()
            .state
            .lock()
            .unwrap()
            .connections
            .push_front(ends());
        let mut delivered = items(&client, watch(), 6);
        assert_eq!(delivered.len(), 5, "{proxy:?}");
        let error = delivered.pop().unwrap().unwrap_err();
        let elapsed = client.transport().clock.elapsed();
        assert!(elapsed >= minute, "{proxy:?}: {elapsed:?}, {error}");
    }
}

#[test]
fn an_undecodable_message_of_etcd_is_not_treated_as_a_proxys_page() {
    let store = Store::at(4).with(|state| {
        let created = json!({"result": {"header": {"cluster_id": "7", "revision": "4"}, "watch_id": "1", "created": true}});
        let bad = json!({"result": {"watch_id": "1", "events": [{}]}});
        let answer = Some((200, format!("{created}\n{bad}\n")));
        state.connections = vec![Connection { answer, ..Connection::default() }; 10].into();
    });
    let client = client(store);
    let error = failure(&client, all().from_revision(5));
    assert!(matches!(error, Error::Unexpected(_)), "{error}");
    assert_eq!(client.transport().seen().len(), 1);
}

#[test]
fn an_observer_that_has_worked_waits_out_the_pages_of_a_proxy() {
    let leader = |name: &str, revision: i64| {
        let kv = json!({"key": base64(name), "mod_revision": revision.to_string()});
        json!({"header": {"cluster_id": "7"}, "kv": kv})
    };
    let first = leader("one", 2);
    let store = Store::at(4).with(|state| {
        state.messages = vec![first];
        state.connections = [Connection {
            then: Some(|state| {
                let kv = json!({"key": base64("two"), "mod_revision": "3"});
                state.messages = vec![json!({"header": {"cluster_id": "7"}, "kv": kv})];
            }),
            ..ends()
        }]
        .into();
        state.connections.extend(PAGES.map(page));
    });
    let leaders: Result<Vec<_>> = items(&client(store), Observe::new("e"), 2)
        .into_iter()
        .collect();
    let keys: Vec<_> = leaders
        .unwrap()
        .into_iter()
        .map(|leader| leader.key)
        .collect();
    assert_eq!(keys, ["one", "two"]);
}

#[test]
fn a_mirror_that_has_listed_waits_out_the_pages_of_a_proxy() {
    let store = Store::at(4).with(|state| {
        state.connections = PAGES.map(page).into();
        state.after_read = Some(|state| state.write(["new".to_owned()]));
    });
    let client = client(store);
    let mut mirror = Mirror::new(&client, KeyRange::all());
    let clock = &client.transport().clock;
    assert!(clock.run(mirror.next()).unwrap().is_listing);
    let update = clock.run(mirror.next()).unwrap();
    assert!(!update.is_listing);
    assert_eq!((update.revision, update.changes.len()), (5, 1));
}

#[test]
fn a_lease_that_is_kept_alive_survives_the_pages_of_a_proxy() {
    for proxy in PAGES {
        let store = Store::at(4).with(|state| {
            let ttl = Duration::from_secs(9);
            state.leases.insert(1, (ttl, ttl));
            state.connections = [Connection::default(), page(proxy), page(proxy)].into();
        });
        let client = client(store);
        let renewals = items(&client, KeepAlive::new(1), 3);
        assert!(
            renewals.iter().all(Result::is_ok),
            "{proxy:?}: {renewals:?}"
        );
    }
}

#[test]
fn a_v2_watch_that_has_worked_waits_out_the_pages_of_a_proxy() {
    let event = |index| keys(200, index, file("set", "/x", index));
    let pages = || {
        PAGES.map(|(status, body)| Step::Respond(status, vec![], Ending::Whole(body.to_owned())))
    };
    let steps = [event(5)].into_iter().chain(pages()).chain([event(6)]);
    let client = Client::new(ScriptedTransport::new(steps), ["http://a", "http://b"]).unwrap();
    let watch = v2::Watch::new("x").from_index(5);
    let events: Vec<_> = block_on(client.open(watch).take(2).collect());
    let indexes: Vec<_> = events
        .into_iter()
        .map(|event| event.unwrap().index())
        .collect();
    assert_eq!(indexes, [5, 6]);
}

#[test]
fn a_v2_watch_behind_a_page_ends_with_its_outage_limit_and_a_new_one_at_once() {
    for (status, body) in PAGES {
        let page = || Step::Respond(status, vec![], Ending::Whole(body.to_owned()));
        let watch = || {
            v2::Watch::new("x")
                .from_index(5)
                .outage_limit(Duration::from_secs(60))
        };
        let first = Client::new(ScriptedTransport::new([page()]), ["http://a"]).unwrap();
        let error = block_on(first.open(watch()).next().map(Option::unwrap)).unwrap_err();
        assert_eq!(first.transport().seen().len(), 1, "{error}");

        let event = keys(200, 5, file("set", "/x", 5));
        let steps = [event].into_iter().chain((0..1000).map(|_| page()));
        let client = Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap();
        let events: Vec<_> = block_on(client.open(watch()).take(3).collect());
        assert!(events.len() == 2 && events[1].is_err());
        let elapsed = client.transport().elapsed();
        assert!(elapsed >= Duration::from_secs(60), "{status}: {elapsed:?}");
    }
}
