//! Calls with one response.

use etcd_http::{
    Client, Outcome, Protocol, Result,
    fake::FakeEtcd,
    v3::{Compare, DeleteRange, GrantLease, KeyRange, Lock, Put, Txn},
};

use super::breaking::{Breaking, Cut, breaking, has_happened};
use crate::support::{block_on, seconds};

/// Whether a call is sent again where the server may have seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Always,
    IfUnsent,
}

/// Breaks a write at every place. `done` tells how often it was applied.
fn check_write<W, D>(
    path: &'static str,
    repeat: Repeat,
    write: impl Fn(Client<Breaking>) -> W,
    done: impl Fn(Client<FakeEtcd>) -> D,
) where
    W: Future<Output = Result<()>>,
    D: Future<Output = usize>,
{
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let (client, plain) = breaking(path, cut, protocol);
            let before = block_on(done(plain.clone()));
            let written = block_on(write(client.clone()));
            let times = block_on(done(plain)) - before;
            let what = format!("{path} {protocol:?} {cut:?}: {written:?}");
            let has_happened = has_happened(&client);
            let is_sent_again = repeat == Repeat::Always || cut.is_unsent();
            let is_unknown = written
                .as_ref()
                .is_err_and(|error| error.outcome() == Outcome::Unknown);
            match &written {
                Ok(()) => assert!(is_sent_again || !has_happened, "{what}"),
                Err(error) => {
                    let has_failed = !is_sent_again || cut.is_refused();
                    assert!(has_failed && has_happened, "{what}");
                    assert_eq!(error.outcome(), Outcome::Unknown, "{what}");
                }
            }
            if let Cut::Request(..) = cut {
                // The server may have had all of it.
                assert!(
                    times == usize::from(written.is_ok()) || is_unknown && times == 1,
                    "{what}"
                );
                return has_happened;
            }
            let is_seen = is_sent_again || cut != Cut::BeforeRequest;
            assert_eq!(times, usize::from(is_seen), "{what}");
            has_happened
        });
    }
}

/// The version of a key: how often it was written since it was created.
async fn version(client: Client<FakeEtcd>, key: &str) -> usize {
    let found = client.v3().kv().get(key).await.unwrap();
    found.map_or(0, |pair| usize::try_from(pair.version).unwrap())
}

#[test]
fn a_put_is_applied_once_or_its_outcome_says_so() {
    let put = |client: Client<Breaking>| async move {
        client.send(Put::new("k", "v").prev_kv(true)).await?;
        Ok(())
    };
    let path = "/etcdserverpb.KV/Put";
    check_write(path, Repeat::IfUnsent, put, |plain| version(plain, "k"));
}

#[test]
fn a_transaction_is_applied_once_or_its_outcome_says_so() {
    let txn = |client: Client<Breaking>| async move {
        let txn = Txn::new()
            .when(Compare::version("k").equal(0))
            .then(Put::new("k", "v"))
            .otherwise(DeleteRange::new("k"));
        client.send(txn).await?;
        Ok(())
    };
    let path = "/etcdserverpb.KV/Txn";
    check_write(path, Repeat::IfUnsent, txn, |plain| version(plain, "k"));
}

/// The client chooses its id, so that it may ask again.
#[test]
fn a_lease_is_granted_once() {
    let grant = |client: Client<Breaking>| async move {
        client.send(GrantLease::new(seconds(1000))).await?;
        Ok(())
    };
    let leases =
        |plain: Client<FakeEtcd>| async move { plain.v3().leases().list().await.unwrap().len() };
    let path = "/etcdserverpb.Lease/LeaseGrant";
    check_write(path, Repeat::Always, grant, leases);
}

/// The key of a lock belongs to its lease, so that a request that is sent again finds it.
#[test]
fn a_lock_is_held_once_or_its_outcome_says_so() {
    Cut::each(|cut| {
        let (client, plain) = breaking("/v3lockpb.Lock/Lock", cut, Protocol::Grpc);
        block_on(async {
            let lease = plain.v3().leases().grant(seconds(1000)).await.unwrap().id;
            let held = client.send(Lock::new("l", lease)).await;
            let range = KeyRange::prefix("l/");
            let keys = plain.v3().kv().count(range).await.unwrap();
            let what = format!("{cut:?}: {held:?}");
            match held {
                Ok(_) => assert_eq!(keys, 1, "{what}"),
                Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{what}"),
            }
            assert!(keys <= 1, "{what}");
        });
        has_happened(&client)
    });
}

#[test]
fn a_read_is_sent_again_whatever_became_of_it() {
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let (client, plain) = breaking("/etcdserverpb.KV/Range", cut, protocol);
            block_on(plain.send(Put::new("k", "v"))).unwrap();
            match block_on(client.v3().kv().get("k")) {
                Ok(found) => assert_eq!(found.unwrap().value, "v", "{cut:?}"),
                Err(error) => assert!(cut.is_refused(), "{cut:?}: {error}"),
            }
            has_happened(&client)
        });
    }
}
