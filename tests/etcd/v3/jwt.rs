//! JWTs: tokens that the server does not store. They contain their expiration, and are valid at every member and after
//! a restart.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use etcd_http::{
    Attempt, Client,
    server::Server,
    transport::{Transport, async_trait},
    v3::{
        Authenticate, CredentialsProvider, KeyRange, LeaseKeeper, Observe, Put, Snapshot,
        UserCredentials, Watch,
    },
};
use futures::{
    StreamExt,
    future::{join, join_all},
};
use harness::{case::Etcd, cases, certificates::key_pair};

use crate::auth::enable_for;

cases! {
    Nothing {
        v3_136_a_jwt_that_expires_is_renewed_and_no_caller_notices,
        v3_137_a_watch_outlives_the_token_that_it_was_opened_with,
        a_watch_is_resumed_when_its_token_has_expired_meanwhile,
        v3_139_an_observer_and_a_snapshot_get_another_token_when_theirs_has_expired,
        v3_138_a_jwt_outlives_the_restart_of_its_server,
        v3_114_a_change_of_users_ends_every_jwt_and_no_caller_notices,
        a_lease_is_kept_for_longer_than_a_token_is_good,
        a_jwt_that_is_provided_is_sent_until_it_has_expired,
    }
}

/// How long a short token is valid. It contains the expiration in whole seconds, so it lives up to a second less with
/// one release, and up to a second more with the other.
const SHORT: &str = "3s";

/// After this time it has certainly expired.
const EXPIRED: Duration = Duration::from_millis(4_200);

/// A server whose tokens are JWTs, with authentication enabled.
struct Jwt {
    server: Server,
    _keys: Keys,
}

/// The key that tokens are signed with, and the one that they are verified with, as PEM files.
struct Keys(PathBuf);

impl Keys {
    fn new() -> Self {
        let name = format!("etcd-http-jwt-{:x}", fastrand::u64(..));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let (private, public) = key_pair();
        fs::write(directory.join("private.pem"), private).unwrap();
        fs::write(directory.join("public.pem"), public).unwrap();
        Self(directory)
    }

    /// The arguments for etcd: the keys, and how long a token is valid.
    fn argument(&self, ttl: &str) -> String {
        let directory = self.0.display();
        format!(
            "--auth-token=jwt,pub-key={directory}/public.pem,priv-key={directory}/private.pem,sign-method=ES256,ttl={ttl}"
        )
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // What cannot be removed stays in the directory of temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Jwt {
    async fn start<T: Transport>(etcd: &Etcd<T>, ttl: &str) -> Self {
        let keys = Keys::new();
        let server = Server::builder()
            .heartbeat_interval(Duration::from_millis(10))
            .election_timeout(Duration::from_millis(100))
            .arg(keys.argument(ttl))
            .start()
            .unwrap();
        let jwt = Self {
            server,
            _keys: keys,
        };
        enable_for(&jwt.root(etcd).0).await;
        jwt
    }

    /// A client that is root, and how often each operation was attempted.
    fn root<T: Transport>(&self, etcd: &Etcd<T>) -> (Client<T>, Attempts) {
        let attempts = Attempts::default();
        let counter = attempts.clone();
        let client = etcd
            .builder_of(self.server.client_url())
            .v3_auth("root", "r")
            .observe(move |attempt| counter.add(attempt));
        (client.build().unwrap(), attempts)
    }
}

#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Attempts {
    fn add(&self, attempt: &Attempt) {
        let mut attempts = self.0.lock().unwrap();
        *attempts.entry(attempt.operation).or_default() += 1;
    }

    fn of(&self, operation: &str) -> usize {
        let attempts = self.0.lock().unwrap();
        attempts.get(operation).copied().unwrap_or_default()
    }

    /// Returns how often a token was requested.
    fn tokens(&self) -> usize {
        self.of("v3.auth.authenticate")
    }
}

async fn put<T: Transport>(client: &Client<T>, value: &str) -> i64 {
    let put = client.send(Put::new("k", value)).await;
    put.unwrap().header.revision
}

async fn v3_136_a_jwt_that_expires_is_renewed_and_no_caller_notices<T: Transport>(etcd: Etcd<T>) {
    let jwt = Jwt::start(&etcd, SHORT).await;
    let (client, attempts) = jwt.root(&etcd);
    let started = client.transport().now();
    let elapsed = || client.transport().now() - started;
    while elapsed() < 2 * EXPIRED + Duration::from_secs(1) {
        let kv = client.v3().kv();
        let (read, ()) = join(join_all((0..5).map(|_| kv.get("k"))), async {
            put(&client, "v").await;
        })
        .await;
        assert!(read.iter().all(Result::is_ok), "{read:?}");
        etcd.sleep(200).await;
    }
    let most = elapsed().as_secs() / 2 + 2;
    let tokens = attempts.tokens() as u64;
    assert!((3..=most).contains(&tokens), "{tokens} of {most}");
}

async fn v3_137_a_watch_outlives_the_token_that_it_was_opened_with<T: Transport>(etcd: Etcd<T>) {
    let jwt = Jwt::start(&etcd, SHORT).await;
    let (client, attempts) = jwt.root(&etcd);
    let (writer, _) = jwt.root(&etcd);
    let first = put(&writer, "1").await;
    let mut watch = client.open(Watch::new(KeyRange::all()).from_revision(first));
    assert_eq!(watch.next().await.unwrap().unwrap().revision, first);
    for _ in 0..2 {
        client.transport().sleep(EXPIRED).await;
        let revision = put(&writer, "2").await;
        assert_eq!(watch.next().await.unwrap().unwrap().revision, revision);
    }
    // etcd checks the token of a stream only when the watch is created.
    assert_eq!((attempts.of("v3.watch"), attempts.tokens()), (1, 1));
}

async fn a_watch_is_resumed_when_its_token_has_expired_meanwhile<T: Transport>(etcd: Etcd<T>) {
    let jwt = Jwt::start(&etcd, SHORT).await;
    let (client, attempts) = jwt.root(&etcd);
    let first = put(&jwt.root(&etcd).0, "1").await;
    let mut watch = client.open(Watch::new("k").from_revision(first));
    assert_eq!(watch.next().await.unwrap().unwrap().revision, first);
    client.transport().sleep(EXPIRED).await;
    jwt.server.restart().unwrap();
    let second = put(&jwt.root(&etcd).0, "2").await;
    assert_eq!(watch.next().await.unwrap().unwrap().revision, second);
    assert_eq!(attempts.tokens(), 2);
}

async fn v3_139_an_observer_and_a_snapshot_get_another_token_when_theirs_has_expired<
    T: Transport,
>(
    etcd: Etcd<T>,
) {
    let jwt = Jwt::start(&etcd, SHORT).await;
    let (leader, _) = jwt.root(&etcd);
    let election = leader.v3().elections();
    let lease = leader.v3().leases();
    let lease = lease.grant(Duration::from_secs(60)).await.unwrap().id;
    election.campaign("e", lease, "one").await.unwrap();
    let (client, attempts) = jwt.root(&etcd);
    client.v3().kv().get("k").await.unwrap();
    client.transport().sleep(EXPIRED).await;
    let mut leaders = client.open(Observe::new("e"));
    assert_eq!(leaders.next().await.unwrap().unwrap().value, "one");
    assert_eq!(attempts.tokens(), 2);
    client.transport().sleep(EXPIRED).await;
    let snapshot = client.open(Snapshot::new()).collect::<Vec<_>>().await;
    assert!(snapshot.iter().all(Result::is_ok), "{snapshot:?}");
    assert_eq!(attempts.tokens(), 3);
}

async fn v3_138_a_jwt_outlives_the_restart_of_its_server<T: Transport>(etcd: Etcd<T>) {
    let jwt = Jwt::start(&etcd, "10m").await;
    let (client, attempts) = jwt.root(&etcd);
    put(&client, "1").await;
    jwt.server.restart().unwrap();
    // libcurl checks once a second whether its connections are still open.
    etcd.sleep(1_200).await;
    let kv = client.v3().kv();
    let read = join_all((0..20).map(|_| kv.get("k"))).await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    assert_eq!(attempts.tokens(), 1);
}

async fn v3_114_a_change_of_users_ends_every_jwt_and_no_caller_notices<T: Transport>(
    etcd: Etcd<T>,
) {
    let jwt = Jwt::start(&etcd, "10m").await;
    let (client, attempts) = jwt.root(&etcd);
    let (admin, _) = jwt.root(&etcd);
    let first = put(&client, "1").await;
    let mut watch = client.open(Watch::new("k").from_revision(first));
    watch.next().await.unwrap().unwrap();
    admin.v3().auth().add_user("another", "p").await.unwrap();
    let second = put(&client, "2").await;
    assert_eq!(attempts.tokens(), 2);
    assert_eq!(watch.next().await.unwrap().unwrap().revision, second);
    assert_eq!(attempts.of("v3.watch"), 1);
}

async fn a_lease_is_kept_for_longer_than_a_token_is_good<T: Transport>(etcd: Etcd<T>) {
    let jwt = Jwt::start(&etcd, SHORT).await;
    let (client, attempts) = jwt.root(&etcd);
    let (keeper, run) = LeaseKeeper::new(&client);
    let work = async move {
        let lease = keeper.grant(Duration::from_secs(4)).await.unwrap();
        client.transport().sleep(2 * EXPIRED).await;
        assert!(lease.is_alive());
        lease.revoke().await.unwrap();
    };
    join(work, run).await;
    assert!(attempts.of("v3.lease.keep_alive") >= 4);
}

/// Another client is granted the tokens, as an issuer beside etcd is.
struct Issuer<T> {
    client: Client<T>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl<T: Transport> CredentialsProvider for Issuer<T> {
    async fn credentials(&self) -> Result<UserCredentials, Box<dyn Error + Send + Sync>> {
        self.asked.fetch_add(1, Relaxed);
        let granted = self.client.send(Authenticate::new("root", "r")).await?;
        Ok(UserCredentials::token(granted.token))
    }
}

async fn a_jwt_that_is_provided_is_sent_until_it_has_expired<T: Transport + 'static>(
    etcd: Etcd<T>,
) {
    let jwt = Jwt::start(&etcd, SHORT).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let issuer = Issuer {
        client: etcd.client_of(jwt.server.client_url()),
        asked: Arc::clone(&asked),
    };
    let client = etcd.builder_of(jwt.server.client_url());
    let client = client.v3_auth_by(issuer).build().unwrap();
    for _ in 0..3 {
        client.v3().kv().put("a", "1").await.unwrap();
    }
    let first = asked.load(Relaxed);
    etcd.sleep(EXPIRED.as_millis() as u64).await;
    client.v3().kv().put("a", "2").await.unwrap();
    assert_eq!((first, asked.load(Relaxed)), (1, 2));
}
