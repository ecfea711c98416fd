//! The request by which a keeper renews its leases: by gRPC one that stays open.

use std::{pin::pin, time::Duration};

use etcd_http::{
    Client, Protocol,
    fake::{FakeEtcd, Fault, When},
    transport::Transport,
    v3::{HeldLease, LeaseKeeper},
};
use futures::{
    StreamExt,
    future::{Either, select},
};

use crate::support::{block_on, jumping, millis, seconds};

const TTL: Duration = seconds(12);
const PATH: &str = "/v3/lease/keepalive";

fn client(etcd: &FakeEtcd, protocol: Protocol) -> Client<FakeEtcd> {
    let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    client.protocol(protocol).build().unwrap()
}

fn renewals(etcd: &FakeEtcd) -> usize {
    etcd.count(&When::any().path(PATH))
}

/// Keeps this many leases while the work lasts, and asserts that all are alive then.
async fn keep(
    client: &Client<FakeEtcd>,
    count: usize,
    work: impl AsyncFnOnce(&[HeldLease<FakeEtcd>]),
) {
    let (keeper, run) = LeaseKeeper::new(client);
    let work = async {
        let mut leases = Vec::new();
        for _ in 0..count {
            leases.push(keeper.grant(TTL).await.unwrap());
        }
        work(&leases).await;
        for lease in &leases {
            assert!(lease.is_alive(), "{lease:?}");
            let left = client.v3().leases().get_time_to_live(lease.id()).await;
            assert!(left.unwrap().is_some(), "etcd has {lease:?}");
        }
    };
    match select(pin!(work), pin!(run)).await {
        Either::Left(((), _)) => {}
        Either::Right(_) => panic!("the keeper ends before its leases"),
    }
}

#[test]
fn by_grpc_all_renewals_of_a_keeper_are_on_one_request() {
    for (protocol, expected) in [
        (Protocol::Grpc, 1..=1),
        (Protocol::Auto, 1..=1),
        (Protocol::Gateway, 15..=16),
    ] {
        let etcd = jumping().build();
        let client = client(&etcd, protocol);
        block_on(keep(&client, 100, async |_| {
            client.transport().sleep(seconds(63)).await;
        }));
        assert!(
            expected.contains(&renewals(&etcd)),
            "{protocol:?}\n{}",
            etcd.log_text()
        );
        assert_eq!(etcd.open_exchanges(), 0, "it ends with the keeper");
    }
}

#[test]
fn by_grpc_the_renewals_of_one_lease_are_on_one_request() {
    let etcd = jumping().build();
    let client = client(&etcd, Protocol::Grpc);
    block_on(async {
        let lease = client.v3().leases().grant(TTL).await.unwrap().id;
        let renewed = client
            .v3()
            .leases()
            .keep_alive(lease)
            .take(10)
            .collect::<Vec<_>>()
            .await;
        assert!(renewed.iter().all(|ttl| *ttl.as_ref().unwrap() == TTL));
    });
    // The first is a call.
    assert_eq!(renewals(&etcd), 2, "{}", etcd.log_text());
    assert_eq!(etcd.open_exchanges(), 0);
}

/// What broke the request while nothing was asked on it says nothing about the server: the renewal is sent again at once.
#[test]
fn a_request_that_breaks_while_it_rests_delays_no_renewal() {
    let etcd = jumping().build();
    let client = client(&etcd, Protocol::Grpc);
    block_on(keep(&client, 3, async |leases| {
        for _ in 0..10 {
            // Shortly before a renewal.
            client.transport().sleep(TTL / 3 - millis(50)).await;
            etcd.restart();
            client.transport().sleep(millis(100)).await;
            for lease in leases {
                assert!(
                    lease.remaining() > TTL - millis(200),
                    "{lease:?}\n{}",
                    etcd.log_text()
                );
            }
            client.transport().sleep(TTL / 3 * 2 - millis(50)).await;
        }
    }));
}

#[test]
fn leases_survive_the_member_that_their_request_is_open_at() {
    let faults: [fn(&FakeEtcd, usize); 2] = [
        |etcd, member| etcd.endpoint(member).stop(),
        |etcd, member| etcd.endpoint(member).isolate(),
    ];
    for fault in faults {
        let etcd = jumping().members(3).build();
        let client = client(&etcd, Protocol::Grpc);
        block_on(keep(&client, 3, async |_| {
            for member in [0, 1, 2] {
                client.transport().sleep(seconds(20)).await;
                fault(&etcd, member);
                client.transport().sleep(seconds(60)).await;
                etcd.endpoint(member).start();
                etcd.heal();
            }
        }));
    }
}

#[test]
fn leases_survive_a_request_that_nothing_arrives_on_any_more() {
    for bytes in [0, 50, 100, 150] {
        let etcd = jumping().members(2).build();
        etcd.inject(When::any().path(PATH).first(2), Fault::silence_body(bytes));
        let client = client(&etcd, Protocol::Grpc);
        block_on(keep(&client, 1, async |_| {
            client.transport().sleep(seconds(120)).await;
        }));
        assert_eq!(renewals(&etcd), 3, "{}", etcd.log_text());
    }
}
