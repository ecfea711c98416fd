//! A provider of credentials that fails for a moment is an outage: what was going on goes on.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use etcd_http::{
    Client, Outcome, Protocol,
    fake::{FakeEtcd, Fault, When},
    recipes::{Cache, Election, Mutex, Registry, Session, v2},
    transport::Transport,
    v2::Watch as V2Watch,
    v3::{KeyRange, Watch},
};
use futures::{
    StreamExt,
    future::{Either, join, join_all, select},
};

use crate::{
    support::{block_on, seconds},
    v2_credentials,
    v3_credentials::{Vault, client, with_auth},
};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Gateway];
const TTL: Duration = seconds(10);

/// A client whose credentials come from this vault.
async fn begin(protocol: Protocol) -> (FakeEtcd, Vault, Client<FakeEtcd>) {
    let etcd = with_auth().await;
    let vault = Vault::default();
    vault.store(&["first"]);
    let client = client(&etcd, &vault, protocol);
    client.v3().kv().put("begun", "").await.unwrap();
    (etcd, vault, client)
}

/// etcd restarts, which forgets all tokens, and the vault fails when the next one is needed.
async fn interrupt(etcd: &FakeEtcd, vault: &Vault) {
    etcd.sleep(seconds(1)).await;
    vault.fail_once();
    etcd.revoke_tokens();
    etcd.restart();
    etcd.sleep(seconds(60)).await;
    assert!(vault.has_failed());
}

#[test]
fn a_watch_goes_on() {
    for protocol in BOTH {
        block_on(async {
            let (etcd, vault, client) = begin(protocol).await;
            let mut changes = client.v3().watch("a");
            let write = async {
                interrupt(&etcd, &vault).await;
                etcd.put("a", "1");
            };
            let (next, ()) = join(changes.next(), write).await;
            assert_eq!(next.unwrap().unwrap().events.len(), 1, "{protocol:?}");
        });
    }
}

#[test]
fn a_watch_ends_with_the_reason_when_the_provider_fails_for_longer_than_an_outage_may_last() {
    block_on(async {
        let etcd = with_auth().await;
        let client = client(&etcd, &Vault::default(), Protocol::Auto);
        let mut changes = client.open(Watch::new("a").outage_limit(seconds(30)));
        let error = changes.next().await.unwrap().unwrap_err();
        assert!(error.is_without_credentials(), "{error}");
        assert!(etcd.elapsed() >= seconds(30), "{:?}", etcd.elapsed());
        assert!(changes.next().await.is_none());
    });
}

#[test]
fn a_leader_and_an_instance_stay() {
    for protocol in BOTH {
        block_on(async {
            let (etcd, vault, client) = begin(protocol).await;
            let (session, driver) = Session::open(client.v3(), TTL).await.unwrap();
            let work = async {
                let election = Election::new(&session, "leader");
                let led = election.run_while_leader("me", async |_| interrupt(&etcd, &vault).await);
                led.await.unwrap();
                let registry = Registry::new(&session, "web");
                let served = registry.run_registered("a", "1", interrupt(&etcd, &vault));
                served.await.unwrap();
                assert!(session.is_alive(), "{protocol:?}");
            };
            session.run(driver, work).await;
        });
    }
}

#[test]
fn a_lock_is_waited_for() {
    for protocol in BOTH {
        block_on(async {
            let (etcd, vault, client) = begin(protocol).await;
            let (first, first_driver) = Session::open(client.v3(), TTL).await.unwrap();
            let (second, second_driver) = Session::open(client.v3(), TTL).await.unwrap();
            let held = Mutex::new(&first, "lock").lock().await.unwrap();
            let release = async {
                interrupt(&etcd, &vault).await;
                held.release().await.unwrap();
            };
            let mutex = Mutex::new(&second, "lock");
            let waiting = second.run(second_driver, join(mutex.lock(), release));
            let (locked, ()) = first.run(first_driver, waiting).await;
            locked.unwrap();
        });
    }
}

#[test]
fn a_session_is_reestablished() {
    block_on(async {
        let (etcd, vault, client) = begin(Protocol::Auto).await;
        let (session, driver) = Session::open(client.v3(), TTL).await.unwrap();
        let work = async {
            client.v3().leases().revoke(session.lease()).await.unwrap();
            session.lost().await;
            vault.fail_once();
            etcd.revoke_tokens();
            session.reestablish().await.unwrap();
            assert!(vault.has_failed() && session.is_alive());
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_cache_starts() {
    for protocol in BOTH {
        block_on(async {
            let (etcd, vault, client) = begin(protocol).await;
            etcd.put("n/a", "1");
            vault.fail_once();
            etcd.revoke_tokens();
            let (cache, driver) = Cache::<u32>::json(client.v3(), KeyRange::prefix("n/"));
            let ready = cache.run(driver, async { cache.ready().await.map(|it| it.len()) });
            assert_eq!(ready.await.unwrap(), 1);
            assert!(vault.has_failed());
        });
    }
}

#[test]
fn a_watch_of_v2_and_a_leader_of_v2_go_on() {
    block_on(async {
        let (etcd, admin) = v2_credentials::with_auth().await;
        let vault = Vault::default();
        vault.store(&["first"]);
        let client = v2_credentials::client(&etcd, &vault);
        let mut events = client.open(V2Watch::new("/a"));
        let election = v2::Election::new(&client, "/leader", TTL);
        let work = async |_: &v2::Held| {
            etcd.sleep(seconds(1)).await;
            vault.fail_once();
            v2_credentials::rotate(&admin, &vault).await;
            etcd.sleep(seconds(60)).await;
            assert!(vault.has_failed());
            // The watch's poll, which began with the former password, ends with this.
            vault.fail_once();
            admin_of(&etcd)
                .v2()
                .change_password("root", "third")
                .await
                .unwrap();
            vault.store(&["third"]);
            etcd.sleep(seconds(60)).await;
        };
        let leader = election.run_while_leader("me", work);
        let led = match select(Box::pin(leader), events.next()).await {
            Either::Left((led, _)) => led,
            Either::Right((event, _)) => panic!("{event:?}"),
        };
        led.unwrap();
    });
}

fn admin_of(etcd: &FakeEtcd) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    builder.basic_auth("root", "second").build().unwrap()
}

/// The poll is refused, and the provider fails when it is asked for others.
#[test]
fn a_watch_of_v2_asks_again_for_other_credentials() {
    block_on(async {
        let (etcd, admin) = v2_credentials::with_auth().await;
        let vault = Vault::default();
        vault.store(&["first"]);
        let client = v2_credentials::client(&etcd, &vault);
        let mut events = client.open(V2Watch::new("/a"));
        let set = async {
            etcd.sleep(seconds(1)).await;
            admin.v2().set("/a", "1").await.unwrap();
        };
        join(events.next(), set).await.0.unwrap().unwrap();
        v2_credentials::rotate(&admin, &vault).await;
        vault.fail_once();
        let set = async {
            etcd.sleep(seconds(30)).await;
            assert!(vault.has_failed());
            admin_of(&etcd).v2().set("/a", "2").await.unwrap();
        };
        join(events.next(), set).await.0.unwrap().unwrap();
    });
}

/// Not sent again does not mean not sent.
#[test]
fn a_write_that_may_have_been_applied_stays_unknown_when_the_provider_fails() {
    for protocol in BOTH {
        block_on(async {
            let (etcd, vault, client) = begin(protocol).await;
            let leases = client.v3().leases();
            let lease = leases.grant(seconds(600)).await.unwrap().id;
            let revoke = When::any().path("/v3/lease/revoke");
            etcd.inject(revoke.nth(1), Fault::silence());
            let lose = async {
                etcd.sleep(seconds(1)).await;
                vault.fail_once();
                etcd.revoke_tokens();
            };
            let (revoked, ()) = join(leases.revoke(lease), lose).await;
            let error = revoked.unwrap_err();
            assert!(error.is_without_credentials(), "{error}");
            assert_eq!(error.outcome(), Outcome::Unknown);
            let text = error.to_string();
            assert!(
                text.ends_with("(the write may have been applied)"),
                "{text}"
            );
        });
    }
}

#[test]
fn a_provider_that_does_not_return_is_named() {
    block_on(async {
        let etcd = with_auth().await;
        let vault = Vault::default();
        let client = client(&etcd, &vault, Protocol::Auto);
        let v2 = v2_credentials::client(&etcd, &vault);
        let sent = etcd.log().len();
        vault.stick_once();
        let put = client.v3().kv().put("a", "1").await.map(drop);
        vault.stick_once();
        for result in [put, v2.v2().set("/a", "1").await.map(drop)] {
            let error = result.unwrap_err();
            assert_eq!(
                error.to_string(),
                "credentials: the provider has not returned any within 60s"
            );
            assert!(error.is_without_credentials() && error.is_retryable());
            assert_eq!(error.outcome(), Outcome::NotSent);
        }
        assert_eq!(etcd.log().len(), sent);
    });
}

#[test]
fn a_provider_that_has_not_returned_once_is_asked_again_although_calls_never_cease() {
    block_on(async {
        let etcd = with_auth().await;
        let vault = Vault::default();
        vault.store(&["first"]);
        vault.stick_once();
        let client = client(&etcd, &vault, Protocol::Auto);
        let kv = client.v3().kv();
        let put = async |after| {
            etcd.sleep(seconds(after)).await;
            kv.put("a", "1").await.is_ok()
        };
        let put = &put;
        let puts = join_all((0..20).map(|n| put(10 * n))).await;
        assert_eq!(puts.iter().filter(|is_ok| !**is_ok).count(), 1, "{puts:?}");
        assert_eq!(vault.asked.load(SeqCst), 2);
    });
}
