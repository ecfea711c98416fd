//! Certificates that are replaced while a program runs.

use std::{
    cell::Cell,
    env, fs,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Protocol,
    transport::{FromSettings, Transport, TransportSettings},
    v3::Watch,
};
use futures::{
    StreamExt,
    future::{join, join_all},
};
use harness::certificates::{Authority, Pair};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::{
    servers::strict_server,
    stacks::{Stack, Tls},
};

/// How long certificates rotate in all, every ten seconds. Otherwise they do so three times, every second.
const SECONDS: &str = "ETCD_HTTP_ROTATION_SECONDS";

/// libcurl cannot tell whether a server has seen a request on a connection that was cut, and has no certificates beside the files.
macro_rules! over_hyper_and_reqwest {
    ($($case:ident)+) => {
        mod over_hyper {
            $(#[test] fn $case() { crate::run(super::$case::<etcd_http::hyper::HyperTransport>()); })+
        }

        mod over_reqwest {
            $(#[test] fn $case() { crate::run(super::$case::<etcd_http::reqwest::ReqwestTransport>()); })+
        }
    };
}

over_hyper_and_reqwest! {
    files_that_do_not_parse_are_not_used
    no_call_fails_while_certificates_rotate
}

/// What is read again: the authorities, the certificate and its key.
pub(crate) async fn certificates_are_read_again_for_new_connections<S: Stack + FromSettings>() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = strict_server(&pair, &authority.certificate());
    let mut elsewhere = Authority::new();
    let mut files = Installed::new();
    let stranger = elsewhere.issue("client.test");
    files.install(&[&elsewhere], &stranger);
    let transport = S::from_settings(&files.settings()).unwrap();
    let client = Client::new(transport, [server.client_url()]).unwrap();
    let v2 = client.v2();
    v2.get("/").await.unwrap_err();
    let known = authority.issue("client.test");
    files.install(&[&authority], &known);
    v2.get("/").await.unwrap();
}

/// What was read last is used while files do not parse.
async fn files_that_do_not_parse_are_not_used<S: Stack + FromSettings>() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = strict_server(&pair, &authority.certificate());
    let mut files = Installed::new();
    let known = authority.issue("client.test");
    files.install(&[&authority], &known);
    let transport = S::from_settings(&files.settings()).unwrap();
    let client = Client::new(transport, [server.client_url()]).unwrap();
    client.v2().get("/").await.unwrap();
    fs::write(files.path("key"), "no key").unwrap();
    fs::write(files.path("ca"), "no certificate").unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    client.v2().get("/").await.unwrap();
}

/// Client and server get other certificates many times, of two authorities by turns, and all connections are replaced. Each
/// certificate expires some time after it was replaced: a slow machine may take longer than it should.
async fn no_call_fails_while_certificates_rotate<S: Stack + FromSettings>() {
    let seconds = env::var(SECONDS).map(|text| text.parse::<usize>().unwrap());
    let (rotations, interval) = match seconds {
        Ok(seconds) => (seconds / 10, Duration::from_secs(10)),
        Err(_) => (3, Duration::from_secs(1)),
    };
    let valid = interval * 5;
    let mut authorities = [Authority::new(), Authority::new()];
    let (mut of_client, mut of_server) = (Installed::new(), Installed::new());
    let [first, second] = &mut authorities;
    let server_pair = first.issue_for("127.0.0.1", valid);
    of_server.install(&[first, second], &server_pair);
    let client_pair = first.issue_for("client.test", valid);
    let issued = Instant::now();
    of_client.install(&[first], &client_pair);
    let server = strict_server(&of_server.pair(), &of_server.path("ca"));
    let relay = Relay::before(&server.client_url()).await;
    let transport = Arc::new(S::from_settings(&of_client.settings()).unwrap());
    let clients = [Protocol::Auto, Protocol::Gateway].map(|protocol| {
        let client = Client::builder(Arc::clone(&transport)).endpoints([&relay.url]);
        let client = client.protocol(protocol).collect_stats(true);
        client.build().unwrap()
    });
    let load = Load::default();
    let working = join_all((0..12).map(|worker| load.work(&clients[worker % 2], worker)));
    let rotating = async {
        let kv = clients[0].v3().kv();
        let mut watch = clients[0].open(Watch::new("rotation"));
        for rotation in 0..rotations {
            let put = async {
                sleep(interval / 2).await;
                kv.put("rotation", "1").await.unwrap().header.revision
            };
            let (changes, revision) = join(watch.next(), put).await;
            assert_eq!(changes.unwrap().unwrap().revision, revision);
            sleep(interval / 2).await;
            // A client has to trust an authority before a server shows its certificate.
            let issuer = if rotation == 0 { 0 } else { rotation % 2 };
            let server_pair = authorities[issuer].issue_for("127.0.0.1", valid);
            let client_pair = authorities[1 - issuer].issue_for("client.test", valid);
            let [first, second] = &authorities;
            of_client.install(&[first, second], &client_pair);
            of_server.install(&[first, second], &server_pair);
            // Nothing is under way that would break off.
            load.pause().await;
            relay.cut().await;
            load.go_on();
        }
        sleep(interval / 2).await;
        load.is_over.set(true);
    };
    let began = Instant::now();
    join(working, rotating).await;
    let stats = clients.each_ref().map(|client| client.stats().unwrap());
    let attempts = stats.iter().flat_map(|stats| &stats.attempts);
    let retries: u64 = attempts.map(|it| it.retries).sum();
    println!(
        "{} calls and {rotations} rotations in {:?}: none failed, {retries} attempts were repeated",
        load.calls.get(),
        began.elapsed()
    );
    // The first ones are of no use in the end.
    sleep((issued + valid).saturating_duration_since(Instant::now())).await;
    let outdated = S::with(&Tls {
        authority: Some(of_client.path("ca")),
        identity: Some(client_pair),
        ..Tls::default()
    });
    let outdated = Client::new(outdated, [server.client_url()]).unwrap();
    outdated.v2().get("/").await.unwrap_err();
}

/// Calls, one after another, by several workers.
#[derive(Default)]
struct Load {
    calls: Cell<u64>,
    under_way: Cell<u32>,
    is_paused: Cell<bool>,
    is_over: Cell<bool>,
}

impl Load {
    async fn work<T: Transport>(&self, client: &Client<T>, worker: usize) {
        let key = format!("worker/{worker}");
        while !self.is_over.get() {
            sleep(MOMENT).await;
            if self.is_paused.get() {
                continue;
            }
            self.under_way.set(self.under_way.get() + 1);
            client.v3().kv().put(&*key, "1").await.unwrap();
            client.v3().kv().get(&*key).await.unwrap();
            client.v2().set(&key, "1").await.unwrap();
            self.under_way.set(self.under_way.get() - 1);
            self.calls.set(self.calls.get() + 3);
        }
    }

    /// Waits until no call is under way, and lets none begin.
    async fn pause(&self) {
        self.is_paused.set(true);
        while self.under_way.get() > 0 {
            sleep(MOMENT).await;
        }
    }

    fn go_on(&self) {
        self.is_paused.set(false);
    }
}

const MOMENT: Duration = Duration::from_millis(10);

/// Passes bytes on to a server, and can cut its connections.
struct Relay {
    url: String,
    connections: Arc<Mutex<JoinSet<()>>>,
    accepting: JoinHandle<()>,
}

impl Relay {
    async fn before(url: &str) -> Self {
        let server = url.trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let accepted = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                accepted.lock().unwrap().spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        // How a connection ends does not matter.
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            url,
            connections,
            accepting,
        }
    }

    /// Cuts all connections, and waits until their ends have noticed.
    async fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
        sleep(10 * MOMENT).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Files that are replaced all at once, as those of a Kubernetes secret are: a symbolic link leads to the present ones.
struct Installed {
    directory: TempDir,
    count: u32,
}

impl Installed {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            count: 0,
        }
    }

    fn install(&mut self, authorities: &[&Authority], pair: &Pair) {
        self.count += 1;
        let directory = self.directory.path();
        let new = directory.join(self.count.to_string());
        fs::create_dir(&new).unwrap();
        let trusted = authorities
            .iter()
            .flat_map(|authority| fs::read(authority.certificate()).unwrap());
        fs::write(new.join("ca"), trusted.collect::<Vec<_>>()).unwrap();
        fs::copy(&pair.certificate, new.join("certificate")).unwrap();
        fs::copy(&pair.key, new.join("key")).unwrap();
        let next = directory.join("next");
        symlink(&new, &next).unwrap();
        fs::rename(&next, directory.join("current")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("current").join(name)
    }

    fn pair(&self) -> Pair {
        Pair {
            certificate: self.path("certificate"),
            key: self.path("key"),
        }
    }

    fn settings(&self) -> TransportSettings {
        let mut settings = TransportSettings::default();
        settings.ca_file = Some(self.path("ca"));
        settings.cert_file = Some(self.path("certificate"));
        settings.key_file = Some(self.path("key"));
        settings
    }
}
