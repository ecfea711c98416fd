//! What a check finds where TLS is the problem.

use etcd_http::{Client, check::Problem, server::Server};
use harness::certificates::Authority;

use crate::{
    servers::{server, strict_server},
    stacks::{Stack, Tls},
};

pub(crate) async fn what_is_wrong_with_tls_is_found<S: Stack>() {
    let mut authority = Authority::new();
    let good = server(&authority.issue("127.0.0.1"));
    let expired = server(&authority.issue_expired("127.0.0.1"));
    let other_name = server(&authority.issue("etcd.test"));
    let mut elsewhere = Authority::new();
    let stranger = server(&elsewhere.issue("127.0.0.1"));
    let strict = strict_server(&authority.issue("127.0.0.1"), &authority.certificate());
    let plain = Server::start().unwrap();
    let tls = Tls {
        authority: Some(authority.certificate()),
        ..Tls::default()
    };
    let endpoints = [
        good.client_url(),
        expired.client_url(),
        other_name.client_url(),
        stranger.client_url(),
        strict.client_url(),
        good.client_url().replace("https:", "http:"),
        plain.client_url().replace("http:", "https:"),
    ];
    let client = Client::new(S::with(&tls), endpoints).unwrap();
    let report = client.check().await;
    println!("{report}");
    let expected: [&[Problem]; 7] = [
        &[],
        &[Problem::Untrusted],
        &[Problem::Untrusted],
        &[Problem::Untrusted],
        &[Problem::ClientCertificate],
        &[Problem::TlsRequired],
        &[Problem::NoTls],
    ];
    let found = report.endpoints.iter().map(|endpoint| {
        let findings = endpoint.findings.iter();
        findings.map(|it| it.problem).collect::<Vec<_>>()
    });
    assert_eq!(found.collect::<Vec<_>>(), expected, "{report}");
    let advice = [
        "has expired, or",
        "is not for this host",
        "does not trust: give",
    ];
    for (endpoint, advice) in report.endpoints[1..].iter().zip(advice) {
        let given = &endpoint.findings[0].advice;
        // libcurl's rustls does not say why.
        assert!(
            given.contains(advice) || given.contains("openssl s_client"),
            "{report}"
        );
    }
}
