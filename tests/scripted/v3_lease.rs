//! Leases that are kept alive and lost.

use std::time::Duration;

use etcd_http::{
    Client, Error,
    v3::{GrantLease, HeldLease, KeepAlive, LeaseId, LeaseKeeper},
};
use futures::{
    FutureExt, StreamExt,
    future::{join, select},
};

use crate::v3_store::{Connection, Store};

const TTL: Duration = Duration::from_secs(10);

fn clients(store: Store) -> Client<Store> {
    Client::new(store, ["http://a", "http://b", "http://c"]).unwrap()
}

/// A store with the lease 7.
fn with_lease() -> Store {
    Store::at(1).with(|state| {
        state.leases.insert(7, (TTL, TTL));
    })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs this with a running keeper, to the end of both.
fn with_keeper<O>(client: &Client<Store>, work: impl AsyncFnOnce(LeaseKeeper<Store>) -> O) -> O {
    let (keeper, run) = LeaseKeeper::new(client);
    let (output, ()) = client.transport().clock.run(join(work(keeper), run));
    output
}

async fn sleep(client: &Client<Store>, duration: Duration) {
    client.transport().clock.sleep(duration).await;
}

fn requests(client: &Client<Store>) -> Vec<usize> {
    client.transport().state.lock().unwrap().renewals.clone()
}

#[test]
fn t_10_a_lease_without_callers_is_renewed_three_times_in_its_ttl_and_no_more() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let lease = keeper.grant(TTL).await.unwrap();
        sleep(&client, seconds(3600)).await;
        assert!(lease.is_alive());
    });
    let count = requests(&client).len();
    assert!((1070..=1081).contains(&count), "{count}");
}

#[test]
fn many_leases_are_renewed_in_one_request() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let mut leases = Vec::new();
        for _ in 0..100 {
            leases.push(keeper.grant(TTL).await.unwrap());
            sleep(&client, Duration::from_millis(5)).await;
        }
        sleep(&client, seconds(60)).await;
        assert!(leases.iter().all(HeldLease::is_alive));
    });
    let requests = requests(&client);
    assert!(
        requests.len() < 25 && requests[5..].iter().all(|count| *count == 100),
        "{requests:?}"
    );
}

#[test]
fn t_8_a_lease_is_lost_exactly_at_its_deadline_when_no_server_responds() {
    for silent in [true, false] {
        let client = clients(Store::at(1));
        let dead = Connection {
            silent,
            refused: !silent,
            ..Connection::default()
        };
        let (lost, at) = with_keeper(&client, async |keeper| {
            let lease = keeper.grant(TTL).await.unwrap();
            sleep(&client, seconds(4)).await;
            // The renewal that succeeded was sent after a third of the time to live.
            client.transport().state.lock().unwrap().connections = vec![dead; 10_000].into();
            let loss = lease.lost().await;
            assert!(!lease.is_alive() && lease.remaining().is_zero());
            (loss, client.transport().clock.elapsed())
        });
        assert_eq!(at, TTL / 3 + TTL);
        assert!(lost.is_deadline() && lost.last_error().is_some(), "{lost}");
    }
}

#[test]
fn t_8_any_attempt_that_succeeds_before_the_deadline_keeps_the_lease() {
    let faults = [
        Connection::refused(),
        Connection {
            silent: true,
            ..Connection::default()
        },
        Connection {
            cut: Some(3),
            ..Connection::default()
        },
        Connection::responding(503, r#"{"code":14,"message":"etcdserver: no leader"}"#),
        Connection::responding(
            200,
            r#"{"error":{"grpc_code":14,"message":"etcdserver: request timed out"}}"#,
        ),
        Connection::responding(200, ""),
        Connection::responding(200, "<html>"),
    ];
    for fault in faults {
        for count in 1..4 {
            let client = clients(Store::at(1));
            with_keeper(&client, async |keeper| {
                let lease = keeper.grant(seconds(6)).await.unwrap();
                for _ in 0..20 {
                    let faults = vec![fault.clone(); count];
                    client.transport().state.lock().unwrap().connections = faults.into();
                    sleep(&client, seconds(2)).await;
                    assert!(lease.is_alive(), "{count} of {fault:?}");
                }
            });
        }
    }
}

#[test]
fn a_lease_that_took_long_to_be_granted_or_found_has_its_whole_time() {
    for path in ["/v3/lease/grant", "/v3/lease/keepalive"] {
        let client = clients(Store::at(1).with(|state| {
            state.leases.insert(7, (TTL, seconds(1000)));
            state.mute.insert(path, 1);
        }));
        with_keeper(&client, async |keeper| {
            let lease = match path {
                "/v3/lease/grant" => keeper.grant(TTL).await.unwrap(),
                _ => keeper.keep(7).await.unwrap(),
            };
            // The first endpoint was silent for as long as the client waits.
            assert_eq!(client.transport().clock.elapsed(), TTL, "{path}");
            assert_eq!(lease.remaining(), TTL, "{path}");
            sleep(&client, TTL).await;
            assert!(lease.is_alive(), "{path}");
        });
    }
}

/// The next renewals are refused for their token; then this many members fail to grant another one.
fn refuse(client: &Client<Store>, renewals: usize, mute: u32) {
    let refusal = r#"{"code":16,"message":"etcdserver: invalid auth token"}"#;
    let refused = Connection::responding(401, refusal);
    let mut state = client.transport().state.lock().unwrap();
    state.connections = vec![refused; renewals].into();
    state.mute.insert("/v3/auth/authenticate", mute);
}

fn with_token(store: Store) -> Client<Store> {
    let builder = Client::builder(store).endpoints(["https://a", "https://b", "https://c"]);
    builder.v3_auth("user", "password").build().unwrap()
}

#[test]
fn t_12_a_member_that_is_silent_when_a_token_is_needed_costs_no_lease() {
    for ttl in [seconds(2), seconds(6), seconds(60)] {
        let client = with_token(Store::at(1));
        with_keeper(&client, async |keeper| {
            let lease = keeper.grant(ttl).await.unwrap();
            for _ in 0..10 {
                refuse(&client, 1, 1);
                sleep(&client, ttl).await;
                assert!(lease.is_alive(), "{ttl:?}");
            }
        });
    }
}

#[test]
fn t_12_a_stream_of_renewals_that_waits_for_a_token_ends_at_the_deadline() {
    let client = with_token(with_lease());
    let clock = &client.transport().clock;
    let mut renewals = client.open(KeepAlive::new(7));
    clock.run(renewals.next()).unwrap().unwrap();
    refuse(&client, 10_000, 10_000);
    clock.run(renewals.next()).unwrap().unwrap_err();
    assert_eq!(clock.elapsed(), TTL);
}

#[test]
fn a_lease_that_etcd_no_longer_has_is_lost_and_the_others_live_on() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let one = keeper.grant(TTL).await.unwrap();
        let two = keeper.grant(TTL).await.unwrap();
        sleep(&client, seconds(1)).await;
        client
            .transport()
            .state
            .lock()
            .unwrap()
            .leases
            .remove(&one.id().get());
        let loss = one.lost().await;
        assert!(loss.is_expired(), "{loss}");
        assert_eq!(client.transport().clock.elapsed(), TTL / 3);
        sleep(&client, seconds(100)).await;
        assert!(two.is_alive() && !one.is_alive());
    });
}

#[test]
fn a_new_lease_is_taken_after_failures() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let lease = keeper.grant(TTL).await.unwrap();
        let refused = Connection::refused();
        client.transport().state.lock().unwrap().connections = vec![refused; 10_000].into();
        lease.lost().await;
        client.transport().state.lock().unwrap().connections.clear();
        let lease = keeper.grant(TTL).await.unwrap();
        sleep(&client, seconds(100)).await;
        assert!(lease.is_alive());
    });
}

#[test]
fn t_9_ten_thousand_leases_that_come_and_go_leave_nothing() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        for _ in 0..10_000 {
            drop(keeper.grant(TTL).await.unwrap());
        }
        sleep(&client, seconds(30)).await;
        assert_eq!(client.transport().clock.sleepers(), 0);
    });
    assert_eq!(requests(&client).len(), 0);
}

#[test]
fn t_11_sixty_thousand_leases_are_all_kept() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let mut leases = Vec::new();
        for _ in 0..60_000 {
            leases.push(keeper.grant(seconds(20)).await.unwrap());
        }
        sleep(&client, seconds(21)).await;
        assert!(leases.iter().all(HeldLease::is_alive));
    });
    let requests = requests(&client);
    // Three renewals of each.
    assert_eq!(requests.iter().sum::<usize>(), 3 * 60_000);
    assert!(requests.len() <= 3 * 60_000 / 500, "{}", requests.len());
}

#[test]
fn a_lease_whose_keeper_is_not_polled_is_lost_at_its_deadline() {
    let client = clients(Store::at(1));
    let (keeper, run) = LeaseKeeper::new(&client);
    let loss = client.transport().clock.run(async {
        let lease = keeper.grant(TTL).await.unwrap();
        lease.lost().await
    });
    assert!(loss.is_deadline(), "{loss}");
    assert_eq!(client.transport().clock.elapsed(), TTL);
    drop(run);
    let refused = client.transport().clock.run(keeper.grant(TTL)).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the keeper's future was dropped"),
        "{refused}"
    );
}

#[test]
fn r_51_a_keeper_that_slept_past_the_deadline_does_not_renew_what_is_lost() {
    let client = clients(Store::at(1));
    let (keeper, run) = LeaseKeeper::new(&client);
    let clock = &client.transport().clock;
    let lease = clock.run(keeper.grant(TTL)).unwrap();
    // etcd may still have it, for example because its clock is slower.
    client
        .transport()
        .state
        .lock()
        .unwrap()
        .leases
        .get_mut(&lease.id().get())
        .unwrap()
        .1 = seconds(1000);
    clock.run(sleep(&client, seconds(11)));
    let work = async {
        sleep(&client, seconds(10)).await;
        assert!(!lease.is_alive());
    };
    clock.run(select(Box::pin(work), Box::pin(run)).map(drop));
    assert_eq!(requests(&client).len(), 0);
}

#[test]
fn a_lease_that_is_there_already_can_be_kept_and_revoked() {
    let client = clients(with_lease());
    with_keeper(&client, async |keeper| {
        let lease = keeper.keep(7).await.unwrap();
        assert_eq!(lease.ttl(), TTL);
        sleep(&client, seconds(100)).await;
        assert!(lease.is_alive());
        let same = lease.clone();
        lease.revoke().await.unwrap();
        assert!(same.lost().await.is_revoked());
        assert!(keeper.keep(7).await.unwrap_err().is_lease_not_found());
    });
}

#[test]
fn a_stream_of_renewals_ends_with_the_lease() {
    let client = clients(with_lease());
    let clock = &client.transport().clock;
    let mut renewals = client.open(KeepAlive::new(7));
    for turn in 0..4 {
        assert_eq!(clock.run(renewals.next()).unwrap().unwrap(), TTL);
        assert_eq!(clock.elapsed(), TTL / 3 * turn);
    }
    client.transport().state.lock().unwrap().leases.clear();
    let error = clock.run(renewals.next()).unwrap().unwrap_err();
    assert!(error.is_lease_not_found(), "{error}");
    assert!(clock.run(renewals.next()).is_none());
}

#[test]
fn a_stream_of_renewals_ends_at_the_deadline_when_no_server_responds() {
    let client = clients(with_lease());
    let clock = &client.transport().clock;
    let mut renewals = client.open(KeepAlive::new(7));
    clock.run(renewals.next()).unwrap().unwrap();
    let refused = Connection::refused();
    client.transport().state.lock().unwrap().connections = vec![refused; 10_000].into();
    let error = clock.run(renewals.next()).unwrap().unwrap_err();
    assert!(
        error.to_string().contains(
            "at http://c: could not connect: connection refused: the endpoint names no port"
        ),
        "{error}"
    );
    assert_eq!(clock.elapsed(), TTL);
}

#[test]
fn a_stream_of_renewals_that_is_polled_late_does_not_blame_the_server() {
    let client = clients(with_lease());
    let clock = &client.transport().clock;
    let mut renewals = client.open(KeepAlive::new(7));
    clock.run(renewals.next()).unwrap().unwrap();
    clock.run(clock.sleep(TTL));
    let requests = client.transport().seen().len();
    let error = clock.run(renewals.next()).unwrap().unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(error.to_string().contains("not polled within"), "{error}");
    assert_eq!(client.transport().seen().len(), requests);
    assert!(clock.run(renewals.next()).is_none());
}

#[test]
fn a_holder_is_warned_some_time_before_the_deadline() {
    let margin = seconds(2);
    let client = clients(Store::at(1));
    let dead = Connection {
        refused: true,
        ..Connection::default()
    };
    with_keeper(&client, async |keeper| {
        let lease = keeper.grant(TTL).await.unwrap();
        // It is renewed in time.
        let mut soon = Box::pin(lease.lost_before(margin));
        let hour = client.transport().clock.sleep(seconds(3600));
        let first = select(&mut soon, hour).await;
        assert!(matches!(first, futures::future::Either::Right(_)));
        client.transport().state.lock().unwrap().connections = vec![dead; 10_000].into();
        let loss = lease.lost_before(margin).await;
        assert!(loss.is_early() && loss.last_error().is_some(), "{loss}");
        assert!(!loss.is_deadline() && lease.is_alive());
        assert_eq!(lease.remaining(), margin);
        // It may still be renewed.
        client.transport().state.lock().unwrap().connections.clear();
        sleep(&client, seconds(1)).await;
        assert!(lease.remaining() > margin);
        // A lease that is lost is reported as such.
        let other = lease.clone();
        let work = async {
            sleep(&client, seconds(1)).await;
            other.revoke().await.unwrap();
        };
        let (loss, ()) = join(lease.lost_before(margin), work).await;
        assert!(loss.is_revoked(), "{loss}");
        assert!(lease.lost_before(Duration::ZERO).await.is_revoked());
    });
}

#[test]
fn a_wait_for_the_loss_of_a_lease_does_not_keep_it() {
    let client = clients(Store::at(1));
    let (lost, requests_before) = with_keeper(&client, async |keeper| {
        let lease = keeper.grant(TTL).await.unwrap();
        sleep(&client, seconds(60)).await;
        (lease.lost(), requests(&client))
    });
    // The keeper has ended: it has no lease left.
    let began = client.transport().clock.elapsed();
    assert!(client.transport().clock.run(lost).is_deadline());
    assert!(client.transport().clock.elapsed() <= began + TTL);
    assert_eq!(requests(&client), requests_before);
}

#[test]
fn many_leases_are_renewed_once_by_several_requests() {
    let client = clients(Store::at(1).with(|state| {
        let leases = (1..=1030).map(|id| (id, (TTL, TTL)));
        state.leases = leases.collect();
    }));
    let ids = (1..=1030).map(LeaseId::from);
    let renew = client.v3().leases().keep_all_alive_once(ids.clone());
    let renewed = client.transport().clock.run(renew).unwrap();
    assert_eq!(requests(&client), [512, 512, 6]);
    assert!(renewed.iter().map(|kept| kept.id).eq(ids));
    assert!(renewed.iter().all(|kept| kept.ttl == Some(TTL)));
    let none = client.v3().leases().keep_all_alive_once([]);
    let error = client.transport().clock.run(none).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn the_interval_of_renewals_can_be_set() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let lease = keeper
            .renewal_interval(seconds(1))
            .grant(TTL)
            .await
            .unwrap();
        sleep(&client, seconds(600)).await;
        assert!(lease.remaining() >= seconds(9));
    });
    let count = requests(&client).len();
    assert!((595..=600).contains(&count), "{count}");

    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        // Half of the time to live is the most.
        let keeper = keeper.renewal_interval(seconds(3600));
        let lease = keeper.grant(TTL).await.unwrap();
        sleep(&client, seconds(600)).await;
        assert!(lease.is_alive());
        let renewals = client.open(KeepAlive::new(lease.id()).renewal_interval(seconds(1)));
        let began = client.transport().clock.elapsed();
        let all: Vec<_> = renewals.take(11).collect().await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(client.transport().clock.elapsed() - began, seconds(10));
    });
}

#[test]
fn a_request_renews_at_most_512_leases() {
    let client = clients(Store::at(1));
    with_keeper(&client, async |keeper| {
        let mut leases = Vec::new();
        for id in 1..=1_500 {
            client.send(GrantLease::new(TTL).id(id)).await.unwrap();
            leases.push(keeper.keep(id).await.unwrap());
        }
        client.transport().state.lock().unwrap().renewals.clear();
        sleep(&client, TTL).await;
        assert!(leases.iter().all(HeldLease::is_alive));
    });
    let requests = requests(&client);
    assert!(requests.contains(&512), "{requests:?}");
    assert!(requests.iter().all(|count| *count <= 512), "{requests:?}");
}
