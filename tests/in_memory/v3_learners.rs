//! A learner serves hardly any call: a client whose first endpoint is one goes on at a voter.

use std::{pin::pin, time::Duration};

use etcd_http::{
    Client, Protocol,
    fake::{Clock, FakeEtcd, Profile},
    transport::Transport,
    v3::{Campaign, KeepAliveOnce, LeaseKeeper, Lock, Observe, Watch},
};
use futures::{
    StreamExt,
    future::{Either, select},
};

use crate::support::block_on;

const LEARNER: &str = "http://127.0.0.1:12379";
const VOTER: &str = "http://127.0.0.1:2379";

/// A client of a learner and a voter, in this order.
fn client(profile: Profile, protocol: Protocol) -> Client<FakeEtcd> {
    let etcd = FakeEtcd::builder()
        .profile(profile)
        .clock(Clock::auto())
        .member("voter", VOTER)
        .learner("learner", LEARNER)
        .build();
    let client = Client::builder(etcd).endpoints([LEARNER, VOTER]);
    client.protocol(protocol).build().unwrap()
}

fn all() -> impl Iterator<Item = (Profile, Protocol)> {
    let profiles = [Profile::V3_4, Profile::V3_5].into_iter();
    profiles.flat_map(|profile| {
        [Protocol::Auto, Protocol::Gateway, Protocol::Grpc].map(|protocol| (profile, protocol))
    })
}

#[test]
fn every_kind_of_call_goes_on_at_a_voter() {
    // Each with a client that does not know yet which member is the learner.
    macro_rules! assert_served {
        ($(|$client:ident| $call:expr;)+) => {$(
            for (profile, protocol) in all() {
                let $client = client(profile, protocol);
                let served = block_on(async { $call.await });
                served.unwrap_or_else(|error| panic!("{}: {error}", stringify!($call)));
            }
        )+};
    }
    assert_served! {
        |client| client.v3().kv().put("k", "v");
        |client| client.v3().kv().get("k");
        |client| client.v3().leases().grant(Duration::from_secs(60));
        |client| client.v3().leases().list();
        |client| client.v3().cluster().list_members();
        |client| client.send(Lock::new("l", 0));
        |client| client.send(Campaign::new("e", 0, "v"));
        |client| client.v3().maintenance().list_alarms();
    }
}

/// v2, which is served, too, does not tell which member is the learner.
#[test]
fn a_sync_leaves_a_learner_out() {
    for (profile, protocol) in all() {
        let etcd = client(profile, protocol).transport().clone();
        let client = Client::builder(etcd).endpoints([VOTER]);
        let client = client.protocol(protocol).build().unwrap();
        let listed = block_on(client.v2().list_members()).unwrap();
        assert_eq!(listed.len(), 2);
        let synced = block_on(client.sync()).unwrap();
        assert!(synced.added.is_empty(), "{:?}", synced.added);
    }
}

#[test]
fn streams_and_renewals_go_on_at_a_voter() {
    for (profile, protocol) in all() {
        let client = client(profile, protocol);
        let mut watch = client.open(Watch::new("k").from_revision(2));
        block_on(client.v3().kv().put("k", "v")).unwrap();
        let changes = block_on(watch.next()).unwrap().unwrap();
        assert_eq!(changes.revision, 2);

        let client = self::client(profile, protocol);
        block_on(client.send(Campaign::new("e", 0, "v"))).unwrap();
        // One that does not know the learner yet.
        let client = Client::builder(client.transport().clone()).endpoints([LEARNER, VOTER]);
        let client = client.protocol(protocol).build().unwrap();
        let leader = block_on(client.open(Observe::new("e")).next())
            .unwrap()
            .unwrap();
        assert_eq!(leader.value, "v");

        let (keeper, run) = LeaseKeeper::new(&client);
        let work = async {
            let lease = keeper.grant(Duration::from_secs(10)).await.unwrap();
            client.transport().sleep(Duration::from_secs(60)).await;
            assert!(lease.is_alive(), "{profile:?} {protocol:?}");
            let renewed = client.send(KeepAliveOnce::new(lease.id())).await.unwrap();
            assert!(renewed[0].ttl.is_some());
        };
        let (work, run) = (pin!(work), pin!(run));
        let ended = block_on(select(work, run));
        assert!(matches!(ended, Either::Left(_)));
    }
}
