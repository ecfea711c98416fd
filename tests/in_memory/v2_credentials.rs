//! Credentials of the v2 API that change while a client is used.

use std::sync::atomic::Ordering::SeqCst;

use etcd_http::{
    Client, Error, EtcdErrorKind, Outcome,
    fake::FakeEtcd,
    transport::Transport,
    v2::{Condition, Watch},
};
use futures::{
    StreamExt,
    future::{join, join_all},
};

use crate::{
    support::{block_on, jumping, seconds},
    v3_credentials::Vault,
};

pub(crate) async fn with_auth() -> (FakeEtcd, Client<FakeEtcd>) {
    let etcd = jumping().build();
    let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    client.v2().add_user("root", "first").await.unwrap();
    client.v2().enable_auth().await.unwrap();
    let admin = admin(&etcd, "first");
    (etcd, admin)
}

fn admin(etcd: &FakeEtcd, password: &str) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    builder.basic_auth("root", password).build().unwrap()
}

/// Changes the password in etcd, and then in the vault.
pub(crate) async fn rotate(admin: &Client<FakeEtcd>, vault: &Vault) {
    let changed = admin.v2().change_password("root", "second").await;
    changed.unwrap();
    vault.store(&["second"]);
}

pub(crate) fn client(etcd: &FakeEtcd, vault: &Vault) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    builder.basic_auth_by(vault.clone()).build().unwrap()
}

#[test]
fn a_password_that_was_changed_is_provided_when_the_former_one_is_refused() {
    block_on(async {
        let (etcd, admin) = with_auth().await;
        let vault = Vault::default();
        vault.store(&["first"]);
        let client = client(&etcd, &vault);
        for _ in 0..3 {
            client.v2().set("/a", "1").await.unwrap();
        }
        assert_eq!(vault.asked.load(SeqCst), 1, "they are kept");
        rotate(&admin, &vault).await;
        client.v2().set("/a", "2").await.unwrap();
        client.v2().create("/b", "1").await.unwrap();
        assert_eq!(vault.asked.load(SeqCst), 2);
        // What etcd refuses for another reason asks for nothing.
        let swap = client
            .v2()
            .compare_and_swap("/a", "3", Condition::value_is("1"));
        let error = swap.await.unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::CompareFailed));
        assert_eq!(vault.asked.load(SeqCst), 2);
    });
}

#[test]
fn all_calls_that_are_refused_at_a_time_share_what_is_provided() {
    block_on(async {
        let (etcd, admin) = with_auth().await;
        let vault = Vault::default();
        vault.store(&["first"]);
        let client = client(&etcd, &vault);
        let v2 = client.v2();
        let all = || join_all((0..10).map(|key| v2.set(format!("/{key}"), "1")));
        assert!(all().await.iter().all(Result::is_ok));
        assert_eq!(vault.asked.load(SeqCst), 1);
        rotate(&admin, &vault).await;
        assert!(all().await.iter().all(Result::is_ok));
        assert_eq!(vault.asked.load(SeqCst), 2);
    });
}

#[test]
fn credentials_that_are_refused_are_asked_for_again_once_and_not_sent_again_if_they_are_the_same() {
    block_on(async {
        let (etcd, _) = with_auth().await;
        let vault = Vault::default();
        vault.store(&["former", "first"]);
        let client = client(&etcd, &vault);
        client.v2().set("/a", "1").await.unwrap();
        assert_eq!(vault.asked.load(SeqCst), 2);

        let vault = Vault::default();
        vault.store(&["wrong"]);
        let client = self::client(&etcd, &vault);
        let sent = etcd.log().len();
        let error = client.v2().set("/a", "2").await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        assert_eq!(error.outcome(), Outcome::Rejected);
        assert_eq!(vault.asked.load(SeqCst), 2);
        assert_eq!(etcd.log().len(), sent + 1);
        // Others, which are wrong as well, are not asked for a third time.
        vault.store(&["wrong, too", "still wrong", "first"]);
        let error = client.v2().set("/a", "2").await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        assert_eq!(vault.asked.load(SeqCst), 3);
        client.v2().set("/a", "2").await.unwrap_err();
        client.v2().set("/a", "2").await.unwrap();
    });
}

#[test]
fn without_credentials_nothing_is_sent() {
    block_on(async {
        let (etcd, _) = with_auth().await;
        let vault = Vault::default();
        let client = client(&etcd, &vault);
        let sent = etcd.log().len();
        let error = client.v2().set("/a", "1").await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.is_without_credentials() && error.is_retryable());
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(error.to_string(), "credentials: the vault is sealed");
        assert_eq!(etcd.log().len(), sent);
        // The next call asks again.
        vault.store(&["first"]);
        client.v2().set("/a", "1").await.unwrap();
        // They are the v2 API's alone.
        client.version().await.unwrap();
        assert_eq!(vault.asked.load(SeqCst), 2);
    });
}

#[test]
fn a_watch_goes_on_with_another_password() {
    block_on(async {
        let (etcd, _) = with_auth().await;
        let vault = Vault::default();
        vault.store(&["first"]);
        let client = client(&etcd, &vault);
        let mut events = client.open(Watch::new("/a").outage_limit(seconds(60)));
        for (present, next) in [
            ("first", "second"),
            ("second", "third"),
            ("third", "fourth"),
        ] {
            let admin = admin(&etcd, present);
            let set = async {
                etcd.sleep(seconds(1)).await;
                admin.v2().set("/a", "1").await.unwrap().index()
            };
            let (event, index) = join(events.next(), set).await;
            assert_eq!(event.unwrap().unwrap().index(), index);
            let changed = admin.v2().change_password("root", next).await;
            changed.unwrap();
            vault.store(&[next]);
        }
        assert_eq!(vault.asked.load(SeqCst), 3);
    });
}

#[test]
fn credentials_are_not_sent_where_they_could_be_read() {
    let etcd = FakeEtcd::new();
    let builder = Client::builder(etcd).endpoints(["http://10.0.0.1:2379"]);
    let builder = builder.basic_auth_by(Vault::default());
    let error = builder.build().unwrap_err();
    assert!(error.to_string().contains("allow_insecure_auth"), "{error}");
}
