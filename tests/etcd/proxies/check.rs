//! What a check finds through proxies.

use std::time::Duration;

use etcd_http::{check::Problem, transport::Transport};
use harness::{
    case::Etcd,
    proxy::{Haproxy, Nginx, Page},
};

// All are asked in the same way, whatever the transport.
harness::stamp! {
    reqwest, harness::real::Real<etcd_http::reqwest::ReqwestTransport, harness::real::Tokio>:
    Shared { what_a_proxy_withholds_is_found }
}

async fn what_a_proxy_withholds_is_found<T: Transport>(etcd: Etcd<T>) {
    let buffering = Nginx::before(etcd.url()).start();
    let nginx = Nginx::before(etcd.url()).unbuffered().start();
    let reads_http = Haproxy::before([etcd.url()]).start();
    let passes_bytes = Haproxy::before([etcd.url()]).tcp().start();
    let without_etcd = Haproxy::before(["http://127.0.0.1:1"]).start();
    let client = etcd.client(|client| {
        client
            .endpoints(
                [
                    &buffering,
                    &nginx,
                    &reads_http,
                    &passes_bytes,
                    &without_etcd,
                ]
                .map(|it| it.url()),
            )
            .timeout(Duration::from_secs(3))
    });
    let report = client.check().await;
    println!("{report}");
    let expected: [&[Problem]; 6] = [
        &[],
        &[Problem::NoGrpc, Problem::Buffered],
        &[Problem::NoGrpc],
        &[Problem::NoGrpc],
        &[],
        &[Problem::Refused],
    ];
    let found = report.endpoints.iter().map(|endpoint| {
        let findings = endpoint.findings.iter();
        findings.map(|it| it.problem).collect::<Vec<_>>()
    });
    assert_eq!(found.collect::<Vec<_>>(), expected, "{report}");
    assert!(
        report.to_string().contains("proxy_buffering off"),
        "{report}"
    );

    for (page, problem) in [
        (Page::Maintenance, Problem::NotEtcd),
        (Page::Moved, Problem::NotEtcd),
        (Page::Forbidden, Problem::Refused),
        (Page::NotFound, Problem::NotEtcd),
        (Page::Unavailable, Problem::Refused),
    ] {
        nginx.show(Some(page));
        let report = etcd.client_of(nginx.url()).check().await;
        assert_eq!(report.problems(), [problem], "{page:?}: {report}");
    }
}
