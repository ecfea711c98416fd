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
    v3::{Authenticate, CredentialsProvider, UserCredentials, Watch},
};

use futures::StreamExt;

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

/// Tokens that were granted elsewhere, in the order in which they are asked for. The last one stays.
#[derive(Clone, Default)]
struct Issuer {
    tokens: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn issue(&self, etcd: &FakeEtcd) {
        let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
        let granted = client.send(Authenticate::new("root", "first")).await;
        self.tokens.lock().unwrap().push(granted.unwrap().token);
    }
}

#[async_trait]
impl CredentialsProvider for Issuer {
    async fn credentials(&self) -> Result<UserCredentials, Box<dyn StdError + Send + Sync>> {
        self.asked.fetch_add(1, SeqCst);
        let tokens = self.tokens.lock().unwrap();
        Ok(UserCredentials::token(
            tokens.last().ok_or("none is issued")?,
        ))
    }
}

#[test]
fn a_token_that_is_provided_is_sent_until_it_is_refused() {
    for protocol in [Protocol::Grpc, Protocol::Gateway] {
        block_on(async {
            let etcd = with_auth().await;
            let issuer = Issuer::default();
            issuer.issue(&etcd).await;
            let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
            let builder = builder.protocol(protocol).v3_auth_by(issuer.clone());
            let client = builder.build().unwrap();
            let asked = || issuer.asked.load(SeqCst);
            let mut watch = client.open(Watch::new("a").from_revision(1));
            for _ in 0..3 {
                client.v3().kv().put("a", "1").await.unwrap();
                watch.next().await.unwrap().unwrap();
            }
            assert_eq!(asked(), 1);
            etcd.revoke_tokens();
            issuer.issue(&etcd).await;
            let revision = client
                .v3()
                .kv()
                .put("a", "2")
                .await
                .unwrap()
                .header
                .revision;
            assert_eq!(asked(), 2);
            assert_eq!(watch.next().await.unwrap().unwrap().revision, revision);
            // The same one again would be refused again.
            etcd.revoke_tokens();
            let sent = etcd.log().len();
            let error = client.v3().kv().put("a", "3").await.unwrap_err();
            assert!(error.is_unauthorized(), "{error}");
            assert_eq!((asked(), etcd.log().len()), (3, sent + 1));
            let text = format!("{client:?} {error} {error:?}");
            for token in issuer.tokens.lock().unwrap().iter() {
                assert!(!text.contains(token.as_str()), "{text}");
            }
        });
    }
}

#[test]
fn a_token_that_cannot_be_sent_is_an_error_that_says_why() {
    block_on(async {
        let etcd = with_auth().await;
        for token in ["", "a\nb"] {
            let issuer = Issuer::default();
            issuer.tokens.lock().unwrap().push(token.to_owned());
            let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
            let builder = builder.v3_auth_by(issuer.clone()).basic_auth_by(issuer);
            let client = builder.build().unwrap();
            let sent = etcd.log().len();
            let error = client.v3().kv().put("a", "1").await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "credentials: the provider has returned a token that is empty, or has characters that are not valid in a header"
            );
            assert_eq!(error.outcome(), Outcome::NotSent);
            let error = client.v2().set("a", "1").await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "credentials: the provider has returned a token: the v2 API takes a user and a password"
            );
            assert_eq!(etcd.log().len(), sent);
        }
    });
}
