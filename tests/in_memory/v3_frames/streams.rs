//! Calls whose request or response is a stream.

use std::pin::pin;

use etcd_http::{
    Protocol,
    transport::Transport,
    v3::{Campaign, KeyRange, LeaseKeeper, Observe, Proclaim, Put, Snapshot, Watch, WatchSet},
};
use futures::{
    StreamExt,
    future::{join, select},
    io::Cursor,
};

use super::breaking::{Cut, breaking, has_happened, snapshot};
use crate::support::{block_on, seconds};

#[test]
fn a_watch_delivers_every_revision_once() {
    const REVISIONS: usize = 6;
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let (client, plain) = breaking("/etcdserverpb.Watch/Watch", cut, protocol);
            let watch = Watch::new(KeyRange::all()).from_revision(2);
            let watch = client.open(watch);
            let changes = async {
                let changes = watch.take(REVISIONS).collect::<Vec<_>>().await;
                let changes = changes.into_iter().map(|change| change.unwrap().revision);
                changes.collect::<Vec<_>>()
            };
            let puts = async {
                for number in 0..REVISIONS {
                    let put = Put::new(format!("{number}"), "v");
                    plain.send(put).await.unwrap();
                    client.transport().sleep(seconds(1)).await;
                }
            };
            let (revisions, ()) = block_on(join(changes, puts));
            let expected: Vec<_> = (2..).take(REVISIONS).collect();
            assert_eq!(revisions, expected, "{cut:?}");
            has_happened(&client)
        });
    }
}

#[test]
fn a_lease_that_is_kept_alive_does_not_expire() {
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let path = "/etcdserverpb.Lease/LeaseKeepAlive";
            let (client, plain) = breaking(path, cut, protocol);
            block_on(async {
                let lease = plain.v3().leases().grant(seconds(60)).await.unwrap().id;
                let renewals = client.v3().leases().keep_alive(lease);
                let renewals = renewals.take(4).collect::<Vec<_>>().await;
                let has_failed = renewals.iter().any(Result::is_err);
                assert!(!has_failed || cut.is_refused(), "{cut:?}: {renewals:?}");
                for renewal in renewals.into_iter().flatten() {
                    assert_eq!(renewal, seconds(60), "{cut:?}");
                }
                let left = plain.v3().leases().get_time_to_live(lease).await.unwrap();
                assert!(left.is_some(), "{cut:?}");
            });
            has_happened(&client)
        });
    }
}

/// One request renews all leases.
#[test]
fn no_lease_of_a_keeper_is_lost() {
    Cut::each(|cut| {
        let path = "/etcdserverpb.Lease/LeaseKeepAlive";
        let (client, plain) = breaking(path, cut, Protocol::Grpc);
        let (keeper, run) = LeaseKeeper::new(&client);
        block_on(async {
            let mut leases = Vec::new();
            for _ in 0..3 {
                let lease = plain.v3().leases().grant(seconds(60)).await.unwrap().id;
                match keeper.keep(lease).await {
                    Ok(lease) => leases.push(lease),
                    Err(error) => assert!(cut.is_refused(), "{cut:?}: {error}"),
                }
            }
            let minutes = client.transport().sleep(seconds(150));
            select(pin!(run), pin!(minutes)).await;
            for lease in &leases {
                assert!(lease.is_alive(), "{cut:?}: {lease:?}");
                let left = plain.v3().leases().get_time_to_live(lease.id()).await;
                assert!(left.unwrap().is_some(), "{cut:?}");
            }
        });
        has_happened(&client)
    });
}

/// What a leader proclaims while the stream is open again is passed over, and nothing is delivered twice.
#[test]
fn an_observer_delivers_each_proclamation_once_and_the_last_one_in_any_case() {
    const LAST: u32 = 4;
    Cut::each(|cut| {
        let path = "/v3electionpb.Election/Observe";
        let (client, plain) = breaking(path, cut, Protocol::Grpc);
        let mut leaders = client.open(Observe::new("e"));
        let observed = async {
            let mut values = Vec::new();
            while values.last() != Some(&LAST) {
                let leader = leaders.next().await.unwrap().unwrap();
                values.push(leader.value_str().unwrap().parse::<u32>().unwrap());
            }
            values
        };
        let proclaimed = async {
            let lease = plain.v3().leases().grant(seconds(1000)).await.unwrap().id;
            let elected = plain.send(Campaign::new("e", lease, "0")).await.unwrap();
            for value in 1..=LAST {
                client.transport().sleep(seconds(1)).await;
                let proclaim = Proclaim::new(elected.leader.clone(), value.to_string());
                plain.send(proclaim).await.unwrap();
            }
        };
        let (values, ()) = block_on(join(observed, proclaimed));
        let is_in_order = values.is_sorted_by(|one, next| one < next);
        assert!(is_in_order, "{cut:?}: {values:?}");
        // It is open again after a second at the latest.
        assert!(values.len() >= 3, "{cut:?}: {values:?}");
        has_happened(&client)
    });
}

/// Watches are created and canceled, and the server is asked whether it is alive, by messages on one request.
#[test]
fn watches_of_a_set_that_changes_deliver_every_revision_once() {
    const ROUNDS: i64 = 3;
    Cut::each(|cut| {
        let (client, plain) = breaking("/etcdserverpb.Watch/Watch", cut, Protocol::Grpc);
        let prefix = |prefix: &str| Watch::new(KeyRange::prefix(prefix)).from_revision(2);
        let (set, control) = WatchSet::new([prefix("a")])
            .silence_limit(seconds(2))
            .controlled();
        let mut items = client.open(set);
        let watched = async {
            let mut revisions = vec![Vec::new(); 3];
            assert_eq!(control.add(prefix("b")).unwrap(), 1);
            while revisions[2].len() < 2 * ROUNDS as usize || revisions[1].len() < ROUNDS as usize {
                let item = items.next().await.unwrap().unwrap();
                revisions[item.watch].push(item.changes.unwrap().revision);
                // Two of the first watch are enough.
                if item.watch == 0 && revisions[0].len() == 2 {
                    control.cancel(0);
                    assert_eq!(control.add(prefix("")).unwrap(), 2);
                }
            }
            revisions
        };
        let written = async {
            for _ in 0..ROUNDS {
                for key in ["a", "b"] {
                    plain.send(Put::new(key, "v")).await.unwrap();
                    client.transport().sleep(seconds(3)).await;
                }
            }
        };
        let (revisions, ()) = block_on(join(watched, written));
        let all: Vec<_> = (2..2 + 2 * ROUNDS).collect();
        let odd: Vec<_> = all.iter().copied().filter(|at| at % 2 == 1).collect();
        assert_eq!(revisions, [vec![2, 4], odd, all], "{cut:?}");
        has_happened(&client)
    });
}

/// A part of a snapshot is never passed off as the whole.
#[test]
fn a_snapshot_is_complete_or_an_error() {
    let path = "/etcdserverpb.Maintenance/Snapshot";
    let snapshot = snapshot();
    let mut complete = 0;
    Cut::each(|cut| {
        let (client, _) = breaking(path, cut, Protocol::Grpc);
        let mut file = Cursor::new(Vec::new());
        let written = block_on(Snapshot::new().write_to(&client, &mut file));
        let has_happened = has_happened(&client);
        let what = format!("{cut:?}: {written:?}");
        match written {
            Ok(size) => {
                assert_eq!(file.into_inner(), snapshot, "{what}");
                assert_eq!(size, snapshot.len() as u64, "{what}");
                complete += 1;
            }
            Err(_) => assert!(has_happened, "{what}"),
        }
        has_happened
    });
    // At least where nothing was broken.
    assert!(complete >= 4, "{complete}");
}
