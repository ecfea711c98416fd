//! What a check finds at real servers, each with one thing wrong.

use std::{net::TcpListener, time::Duration};

use etcd_http::{
    Client,
    check::{CheckOptions, Problem, Report},
    hyper::HyperTransport,
    server::{Server, ServerBuilder},
};
use harness::{
    real::{Executor, Tokio},
    scripted_server::{ScriptedServer, answer},
};

/// A server that elects itself in a tenth of a second.
fn server() -> ServerBuilder {
    Server::builder()
        .heartbeat_interval(Duration::from_millis(10))
        .election_timeout(Duration::from_millis(100))
}

fn checked(endpoints: &[String]) -> Report {
    let client = Client::<HyperTransport>::connect(endpoints).unwrap();
    // Spawned, to show that the future is `Send`.
    let options = CheckOptions::new().lease_clock(true);
    let check = async move { client.check_with(&options).await };
    let report = Tokio::block_on(async move { tokio::spawn(check).await }).unwrap();
    println!("{report}");
    report
}

#[test]
fn each_endpoint_that_is_wrong_is_explained() {
    let [first, other] = [true, false].map(|v2| server().v2(v2).start().unwrap());
    let page = ScriptedServer::always(answer("404 Not Found", "text/html", "<html>"));
    // A port that refuses, since nothing listens there any longer.
    let refusing = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoints = [
        first.client_url(),
        first.peer_url(),
        format!("{}/etcd", first.client_url()),
        first.client_url().replace("http:", "https:"),
        page.url(),
        format!("http://{refusing}"),
        other.client_url(),
    ];
    let report = checked(&endpoints);
    let https = if cfg!(feature = "hyper-rustls") {
        Problem::NoTls
    } else {
        Problem::Rejected
    };
    let expected: [&[Problem]; 7] = [
        &[],
        &[Problem::PeerPort],
        &[Problem::WrongPath],
        &[https],
        &[Problem::NotEtcd],
        &[Problem::Unreachable],
        &[Problem::NoV2, Problem::OtherCluster],
    ];
    let found = report.endpoints.iter().map(|endpoint| {
        let findings = endpoint.findings.iter();
        findings.map(|it| it.problem).collect::<Vec<_>>()
    });
    assert_eq!(found.collect::<Vec<_>>(), expected, "{report}");
    assert_eq!(report.findings, [], "{report}");
    let root = &report.endpoints[0];
    assert_eq!(root.version, Some(first.version().to_string()));
    assert_eq!((root.is_leader, root.is_learner), (Some(true), Some(false)));
    assert_eq!((root.has_grpc, root.has_gateway), (Some(true), Some(true)));
    // Nothing is left of the lease.
    let clocks = report.endpoints.iter().map(|it| it.keeps_lease_time);
    assert_eq!(Vec::from_iter(clocks.flatten()), [true]);
    let client = Client::<HyperTransport>::connect([first.client_url()]).unwrap();
    let leases = Tokio::block_on(client.v3().leases().list());
    assert_eq!(leases.unwrap(), []);
    let text = report.to_string();
    let hint = format!("use {}: etcd itself has no path", first.client_url());
    assert!(text.contains(&hint), "{text}");

    // It accepts connections, and no more.
    other.pause().unwrap();
    let client = Client::<HyperTransport>::connect([other.client_url()]).unwrap();
    let client = client.with_timeout(Duration::from_secs(1));
    let report = Tokio::block_on(client.check());
    println!("{report}");
    assert_eq!(report.problems(), [Problem::Silent], "{report}");
    other.resume().unwrap();
}

#[test]
fn a_learner_and_addresses_that_cannot_be_reached_are_found() {
    let voter = server()
        .name("voter")
        .arg("--advertise-client-urls=http://127.0.0.1:1")
        .launch()
        .unwrap();
    voter.wait_healthy(Duration::from_secs(30)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let peer = format!("http://{port}");
    let client = Client::<HyperTransport>::connect([voter.client_url()]).unwrap();
    Tokio::block_on(client.v3().cluster().add_learner([&peer])).unwrap();

    let report = checked(&[voter.client_url()]);
    let expected = [Problem::UnstartedMember, Problem::UnreachableMember];
    let found: Vec<_> = report.findings.iter().map(|it| it.problem).collect();
    assert_eq!(found, expected, "{report}");
    assert_eq!(report.endpoints[0].findings, [], "{report}");
    assert!(
        report
            .to_string()
            .contains("voter advertises http://127.0.0.1:1"),
        "{report}"
    );

    let learner = server()
        .name("learner")
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!(
            "--initial-cluster=voter={},learner={peer}",
            voter.peer_url()
        ))
        .arg("--initial-cluster-state=existing")
        .launch()
        .unwrap();
    let report = checked(&[learner.client_url()]);
    let found = &report.endpoints[0];
    assert_eq!(found.is_learner, Some(true), "{report}");
    assert_eq!(found.findings.len(), 1, "{report}");
    assert_eq!(found.findings[0].problem, Problem::Learner);
}

#[test]
fn bad_credentials_are_found() {
    let server = server().start().unwrap();
    let url = server.client_url();
    let admin = Client::<HyperTransport>::connect([&url]).unwrap();
    Tokio::block_on(async {
        let (v2, v3) = (admin.v2(), admin.v3().auth());
        v2.add_user("root", "r").await.unwrap();
        v2.enable_auth().await.unwrap();
        v3.add_user("root", "r").await.unwrap();
        v3.add_role("root").await.unwrap();
        v3.grant_role("root", "root").await.unwrap();
        v3.enable().await.unwrap();
    });
    for (password, problems) in [
        (None, &[Problem::AuthRequired][..]),
        (Some("r"), &[]),
        (Some("qwerty"), &[Problem::BadCredentials; 2]),
    ] {
        let mut client = Client::builder(HyperTransport::default()).endpoints([&url]);
        if let Some(password) = password {
            client = client
                .v3_auth("root", password)
                .basic_auth("root", password);
        }
        let client = client.build().unwrap();
        let report = Tokio::block_on(client.check());
        println!("{report}");
        assert_eq!(report.problems(), problems, "{password:?}: {report}");
        assert_eq!(report.endpoints[0].has_auth, Some(true));
        assert!(!report.to_string().contains("qwerty"), "{report}");
    }
}
