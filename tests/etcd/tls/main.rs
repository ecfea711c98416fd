//! A real etcd with `https://`, and invalid certificates.

mod check;
mod connect_timeout;
mod rotation;
mod servers;
mod stacks;
mod watch_sets;

use std::{error::Error as _, time::Duration};

use etcd_http::{
    Client, ClientConfig, Error, Outcome, Protocol, RetryPolicy,
    hyper::HyperTransport,
    transport::FromSettings,
    v2::{Condition, Watch},
};
use futures::StreamExt;
use harness::certificates::{Authority, Pair};

use crate::{
    check::what_is_wrong_with_tls_is_found,
    rotation::certificates_are_read_again_for_new_connections,
    servers::{server, strict_server},
    stacks::{Stack, Tls},
    watch_sets::{
        a_set_changes_over_http_1, a_set_survives_its_server,
        changes_and_a_slow_reader_do_not_wait_for_one_another,
        v3_134_a_set_that_changes_goes_on_in_one_stream,
    },
};

/// No test may wait longer than this for a response or a failure.
const NO_HANG: Duration = Duration::from_secs(180);

/// Declares a test of each case for each stack.
macro_rules! over_all {
    ($($case:ident;)+) => {
        mod over_reqwest {
            $(#[test] fn $case() { super::run(super::$case::<etcd_http::reqwest::ReqwestTransport>()); })+
        }

        mod over_hyper {
            $(#[test] fn $case() { super::run(super::$case::<etcd_http::hyper::HyperTransport>()); })+
        }

        mod over_isahc {
            $(#[test] fn $case() { super::run(super::$case::<etcd_http::isahc::IsahcTransport>()); })+
        }
    };
}

over_all! {
    a_private_certificate_authority_can_be_trusted;
    an_authority_that_is_not_trusted_means_not_sent;
    another_name_means_not_sent_and_the_right_one_can_be_given;
    an_expired_certificate_means_not_sent;
    a_clients_certificate_is_shown;
    a_transport_is_made_from_settings;
    certificates_are_read_again_for_new_connections;
    v3_17_a_clients_certificate_names_no_user;
    without_a_good_certificate_of_the_client_nothing_is_applied;
    https_to_a_plain_server_means_not_sent;
    http_to_a_server_with_tls_is_unknown;
    what_is_wrong_with_tls_is_found;
    v3_134_a_set_that_changes_goes_on_in_one_stream;
    a_set_survives_its_server;
    a_set_changes_over_http_1;
    changes_and_a_slow_reader_do_not_wait_for_one_another;
}

async fn a_private_certificate_authority_can_be_trusted<S: Stack>() {
    let mut authority = Authority::new();
    let server = server(&authority.issue("127.0.0.1"));
    let tls = Tls {
        authority: Some(authority.certificate()),
        ..Tls::default()
    };
    works(&client::<S>(&tls, &server.client_url())).await;
}

async fn an_authority_that_is_not_trusted_means_not_sent<S: Stack>() {
    let mut authority = Authority::new();
    let server = server(&authority.issue("127.0.0.1"));
    let stranger = Authority::new();
    let other = Tls {
        authority: Some(stranger.certificate()),
        ..Tls::default()
    };
    // Nor do the system's certificates, which the default trusts, include the test's.
    for tls in [other, Tls::default()] {
        let error = refused::<S>(&tls, &server.client_url()).await;
        untrusted(&error, "UnknownIssuer");
    }
}

async fn another_name_means_not_sent_and_the_right_one_can_be_given<S: Stack>() {
    let mut authority = Authority::new();
    let server = server(&authority.issue("etcd.test"));
    let mut tls = Tls {
        authority: Some(authority.certificate()),
        ..Tls::default()
    };
    let error = refused::<S>(&tls, &server.client_url()).await;
    untrusted(&error, "not valid for name");

    let port = server
        .client_url()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    tls.name = Some(("etcd.test", port));
    works(&client::<S>(&tls, &format!("https://etcd.test:{port}"))).await;
}

async fn an_expired_certificate_means_not_sent<S: Stack>() {
    let mut authority = Authority::new();
    let server = server(&authority.issue_expired("127.0.0.1"));
    let tls = Tls {
        authority: Some(authority.certificate()),
        ..Tls::default()
    };
    let error = refused::<S>(&tls, &server.client_url()).await;
    untrusted(&error, "expired");
}

async fn a_clients_certificate_is_shown<S: Stack>() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = strict_server(&pair, &authority.certificate());
    let tls = Tls {
        authority: Some(authority.certificate()),
        identity: Some(authority.issue("client.test")),
        ..Tls::default()
    };
    works(&client::<S>(&tls, &server.client_url())).await;
}

/// As from a file, or from etcdctl's variables.
async fn a_transport_is_made_from_settings<S: Stack + FromSettings>() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = strict_server(&pair, &authority.certificate());
    let Pair { certificate, key } = authority.issue("client.test");
    let [ca, certificate, key] = [authority.certificate(), certificate, key]
        .map(|path| path.into_os_string().into_string().unwrap());
    let endpoint = server.client_url();
    let variables = [
        // A name without a scheme is one of https where there are certificates.
        ("ETCDCTL_ENDPOINTS", endpoint.trim_start_matches("https://")),
        ("ETCDCTL_CACERT", &ca),
        ("ETCDCTL_CERT", &certificate),
        ("ETCDCTL_KEY", &key),
        ("ETCDCTL_DIAL_TIMEOUT", "5s"),
    ];
    let config = ClientConfig::from_vars(variables).unwrap();
    works(&Client::<S>::from_config(&config).unwrap()).await;
    let mut without = variables.to_vec();
    without.remove(4);
    without[1].1 = "/nowhere/ca.pem";
    let named = ClientConfig::from_vars(without).unwrap_err().to_string();
    let reason = "cannot read /nowhere/ca.pem: No such file";
    assert!(
        named.starts_with(&format!("environment: ETCDCTL_CACERT: {reason}")),
        "{named}"
    );
    let file = r#"{"endpoints": ["https://a:1"], "ca_file": "/nowhere/ca.pem"}"#;
    let config: ClientConfig = serde_json::from_str(file).unwrap();
    let error = Client::<S>::from_config(&config).unwrap_err().to_string();
    assert!(error.starts_with(&format!("client: {reason}")), "{error}");
}

/// With authentication on, the gateway rejects a certificate that has a common name, with a token or without.
async fn v3_17_a_clients_certificate_names_no_user<S: Stack>() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = strict_server(&pair, &authority.certificate());
    let identities = [
        authority.issue("root"),
        authority.issue_without_a_common_name("root"),
    ];
    let tls = |identity| Tls {
        authority: Some(authority.certificate()),
        identity: Some(identity),
        ..Tls::default()
    };
    let [named, nameless] = identities.map(tls);
    let client = client::<S>(&named, &server.client_url());
    let auth = client.v3().auth();
    auth.add_user("root", "r").await.unwrap();
    auth.add_role("root").await.unwrap();
    auth.grant_role("root", "root").await.unwrap();
    auth.enable().await.unwrap();
    let user = |tls: &Tls| {
        let user = Client::builder(S::with(tls)).endpoints([server.client_url()]);
        let user = user.protocol(Protocol::Gateway);
        user.v3_auth("root", "r").build().unwrap()
    };
    for client in [client, user(&named)] {
        let error = client.v3().kv().put("a", "1").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("CommonName of client sending"), "{text}");
        assert!(
            text.ends_with("use a certificate without a common name, or gRPC"),
            "{text}"
        );
        assert!(matches!(error, Error::Etcd(_)), "{error:?}");
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
    let user = user(&nameless);
    assert_eq!(user.v3().kv().get("a").await.unwrap(), None);
    // By gRPC it does, so that nothing may lead from there to the gateway.
    let auto = Client::builder(S::with(&named)).endpoints([server.client_url()]);
    let auto = auto.build().unwrap();
    auto.v3().kv().put("a", "1").await.unwrap();
    assert_eq!(auto.endpoints()[0].protocol, Some(Protocol::Grpc));
}

/// With TLS 1.3 a client has connected, and may have sent its request, before it learns that its certificate was
/// rejected.
async fn without_a_good_certificate_of_the_client_nothing_is_applied<S: Stack>() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = strict_server(&pair, &authority.certificate());
    let mut tls = Tls {
        authority: Some(authority.certificate()),
        identity: Some(authority.issue("client.test")),
        ..Tls::default()
    };
    let good = client::<S>(&tls, &server.client_url());
    good.v2().set("/here", "1").await.unwrap();
    let mut elsewhere = Authority::new();
    let stranger = elsewhere.issue("client.test");
    let expired = authority.issue_expired("client.test");
    for identity in [None, Some(stranger), Some(expired)] {
        tls.identity = identity;
        let error = refused::<S>(&tls, &server.client_url()).await;
        assert!(matches!(error, Error::Transport(_)), "{error:?}");
        let text = chain(&error);
        assert_eq!(error.outcome(), S::certificate_refused(&text), "{text}");
        first_write_is_not_sent::<S>(&tls, &server.client_url()).await;
    }
    // Nevertheless:
    assert!(!good.v2().exists("/tls").await.unwrap());
    assert_eq!(good.v3().kv().get("tls").await.unwrap(), None);
}

/// The server closes the connection with the client's bytes unread, so that a write may meet a reset before the alert is read.
#[test]
fn hyper_names_the_certificate_whatever_arrives_first() {
    run(async {
        let mut authority = Authority::new();
        let pair = authority.issue("127.0.0.1");
        let server = strict_server(&pair, &authority.certificate());
        let tls = Tls {
            authority: Some(authority.certificate()),
            ..Tls::default()
        };
        for protocol in [Protocol::Grpc, Protocol::Gateway] {
            for _ in 0..40 {
                let client = Client::builder(HyperTransport::with(&tls));
                let client = client.endpoints([server.client_url()]).protocol(protocol);
                let client = client.retry(RetryPolicy::never()).build().unwrap();
                let error = client.v3().kv().put("tls", "1").await.unwrap_err();
                let text = chain(&error);
                assert!(text.contains("received fatal alert: "), "{text}");
                assert!(text.contains("Certificate"), "{text}");
                assert_eq!(error.outcome(), Outcome::NotSent, "{text}");
            }
        }
    });
}

async fn https_to_a_plain_server_means_not_sent<S: Stack>() {
    let server = etcd_http::server::Server::start().unwrap();
    let url = server.client_url().replace("http:", "https:");
    let error = refused::<S>(&Tls::default(), &url).await;
    assert_eq!(error.outcome(), Outcome::NotSent, "{}", chain(&error));
}

/// The request was sent, and what received it may not be an HTTP server: its outcome is unknown.
async fn http_to_a_server_with_tls_is_unknown<S: Stack>() {
    let mut authority = Authority::new();
    let server = server(&authority.issue("127.0.0.1"));
    let url = server.client_url().replace("https:", "http:");
    let error = refused::<S>(&Tls::default(), &url).await;
    assert_eq!(error.outcome(), Outcome::Unknown, "{}", chain(&error));
    first_write_is_not_sent::<S>(&Tls::default(), &url).await;
}

/// The first write of a client that finds out the protocol waits for a status request by gRPC, which fails in its place. Where the
/// stack has no HTTP/2, the write is sent by the gateway.
async fn first_write_is_not_sent<S: Stack>(tls: &Tls, url: &str) {
    let client = Client::builder(S::with(tls)).endpoints([url]);
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    let error = client.v3().kv().put("tls", "1").await.unwrap_err();
    let endpoint = client.endpoints().remove(0);
    let text = format!("{}, {endpoint:?}", chain(&error));
    assert!(matches!(error, Error::Transport(_)), "{text}");
    let expected = match endpoint.protocol {
        None => Outcome::NotSent,
        Some(_) => {
            let reason = endpoint.reason.as_deref().unwrap_or_default();
            assert!(reason.contains("no client for HTTP/2 was given"), "{text}");
            Outcome::Unknown
        }
    };
    assert_eq!(error.outcome(), expected, "{text}");
}

fn client<S: Stack>(tls: &Tls, url: &str) -> Client<S> {
    Client::builder(S::with(tls))
        .endpoints([url])
        .protocol(Protocol::Gateway)
        .retry(RetryPolicy::default().attempts(2))
        .build()
        .unwrap()
}

/// All kinds of operations, and a watch.
async fn works<S: Stack>(client: &Client<S>) {
    assert!(client.health().await.unwrap().healthy);
    let v2 = client.v2();
    let set = v2.set("/tls", "1").await.unwrap();
    let mut events = client.open(Watch::new("/tls").from_index(set.index() + 1));
    let swap = v2.compare_and_swap("/tls", "2", Condition::index_is(set.index()));
    let swapped = swap.await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().node, swapped.node);
    v2.create_in_order("/queue", "job").await.unwrap();
    assert!(
        v2.create("/tls", "3")
            .await
            .unwrap_err()
            .is_already_exists()
    );
    assert_eq!(
        v2.get("/tls").await.unwrap().node.value.as_deref(),
        Some("2")
    );
    let waiting = async { events.next().await.unwrap().unwrap().index() };
    let (seen, deleted) = futures::join!(waiting, v2.delete("/tls"));
    assert_eq!(seen, deleted.unwrap().index());
    assert_eq!(v2.list_members().await.unwrap().len(), 1);
}

/// Returns the error of a write. Reads and watches fail, too.
async fn refused<S: Stack>(tls: &Tls, url: &str) -> Error {
    let client = client::<S>(tls, url);
    client.v2().get("/tls").await.unwrap_err();
    let watch = Watch::new("/tls")
        .from_index(1)
        .outage_limit(Duration::from_millis(100));
    let mut watch = client.open(watch);
    watch.next().await.unwrap().unwrap_err();
    client.v2().set("/tls", "1").await.unwrap_err()
}

/// libcurl's rustls reports to isahc that the certificate is invalid, but not why.
const ISAHC: &str = "the server certificate could not be validated";

/// The server's certificate is not accepted: the call is not sent, and not tried again.
#[track_caller]
fn untrusted(error: &Error, reason: &str) {
    not_sent(error, reason);
    let text = error.to_string();
    assert!(!text.contains("(attempt "), "{text}");
}

#[track_caller]
fn not_sent(error: &Error, reason: &str) {
    let text = chain(error);
    assert_eq!(error.outcome(), Outcome::NotSent, "{text}");
    assert!(text.contains("could not connect"), "{text}");
    assert!(text.contains(reason) || text.contains(ISAHC), "{text}");
}

/// An error with all its sources.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let over = tokio::time::timeout(NO_HANG, case).await;
        over.expect("it takes too long");
    });
}
