//! Credentials that change while a client is used.

use std::{
    error::Error as StdError,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use etcd_http::{
    Client, Error, Outcome, Protocol,
    fake::FakeEtcd,
    transport::async_trait,
    v3::{CredentialsProvider, UserCredentials},
};

use crate::support::{block_on, jumping};

/// Passwords in the order in which they are asked for. The last one stays.
#[derive(Clone, Default)]
pub(crate) struct Vault {
    passwords: Arc<Mutex<Vec<&'static str>>>,
    pub(crate) asked: Arc<AtomicUsize>,
    /// How often it fails before that.
    failures: Arc<AtomicUsize>,
    /// It does not return when it is asked next.
    is_stuck: Arc<AtomicBool>,
}

impl Vault {
    pub(crate) fn store(&self, passwords: &[&'static str]) {
        *self.passwords.lock().unwrap() = passwords.to_vec();
    }

    /// Fails once, and then goes on.
    pub(crate) fn fail_once(&self) {
        self.failures.store(1, SeqCst);
    }

    /// Whether it has failed since.
    pub(crate) fn has_failed(&self) -> bool {
        self.failures.load(SeqCst) == 0
    }

    /// Does not return once.
    pub(crate) fn stick_once(&self) {
        self.is_stuck.store(true, SeqCst);
    }
}

#[async_trait]
impl CredentialsProvider for Vault {
    async fn credentials(&self) -> Result<UserCredentials, Box<dyn StdError + Send + Sync>> {
        self.asked.fetch_add(1, SeqCst);
        if self.is_stuck.swap(false, SeqCst) {
            return std::future::pending().await;
        }
        if self.failures.load(SeqCst) > 0 {
            self.failures.fetch_sub(1, SeqCst);
            return Err("the vault is sealed for a moment".into());
        }
        let mut passwords = self.passwords.lock().unwrap();
        let password = *passwords.first().ok_or("the vault is sealed")?;
        if passwords.len() > 1 {
            passwords.remove(0);
        }
        Ok(UserCredentials::new("root", password))
    }
}

pub(crate) async fn with_auth() -> FakeEtcd {
    let etcd = jumping().build();
    let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    let auth = client.v3().auth();
    auth.add_user("root", "first").await.unwrap();
    auth.add_role("root").await.unwrap();
    auth.grant_role("root", "root").await.unwrap();
    auth.enable().await.unwrap();
    etcd
}

pub(crate) fn client(etcd: &FakeEtcd, vault: &Vault, protocol: Protocol) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let builder = builder.protocol(protocol).v3_auth_by(vault.clone());
    builder.build().unwrap()
}

#[test]
fn a_password_that_was_changed_is_provided_when_the_token_is_refused() {
    for protocol in [Protocol::Grpc, Protocol::Gateway] {
        block_on(async {
            let etcd = with_auth().await;
            let vault = Vault::default();
            vault.store(&["first"]);
            let client = client(&etcd, &vault, protocol);
            let v3 = client.v3();
            for _ in 0..3 {
                v3.kv().put("a", "1").await.unwrap();
            }
            assert_eq!(vault.asked.load(SeqCst), 1, "the token is kept");
            v3.auth().change_password("root", "second").await.unwrap();
            vault.store(&["second"]);
            etcd.revoke_tokens();
            v3.kv().put("a", "2").await.unwrap();
            assert_eq!(vault.asked.load(SeqCst), 2);
        });
    }
}

#[test]
fn credentials_that_are_refused_are_asked_for_again_once() {
    block_on(async {
        let etcd = with_auth().await;
        let vault = Vault::default();
        vault.store(&["former", "first"]);
        let client = client(&etcd, &vault, Protocol::Auto);
        client.v3().kv().put("a", "1").await.unwrap();
        assert_eq!(vault.asked.load(SeqCst), 2);
        etcd.revoke_tokens();
        vault.store(&["wrong"]);
        let error = client.v3().kv().put("a", "2").await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        assert_eq!(vault.asked.load(SeqCst), 4);
    });
}

#[test]
fn without_credentials_nothing_is_sent() {
    block_on(async {
        let etcd = with_auth().await;
        let vault = Vault::default();
        let client = client(&etcd, &vault, Protocol::Auto);
        let sent = etcd.log().len();
        let error = client.v3().kv().put("a", "1").await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.is_without_credentials() && error.is_retryable());
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(error.to_string(), "credentials: the vault is sealed");
        assert_eq!(etcd.log().len(), sent);
        // The next call asks again.
        vault.store(&["first"]);
        client.v3().kv().put("a", "1").await.unwrap();
        let shown = format!("{client:?} {:?}", UserCredentials::new("root", "s3cret"));
        assert!(!shown.contains("s3cret"), "{shown}");
    });
}

#[test]
fn credentials_are_not_sent_where_they_could_be_read() {
    let etcd = FakeEtcd::new();
    let builder = Client::builder(etcd).endpoints(["http://10.0.0.1:2379"]);
    let error = builder.v3_auth_by(Vault::default()).build().unwrap_err();
    assert!(error.to_string().contains("allow_insecure_auth"), "{error}");
}
