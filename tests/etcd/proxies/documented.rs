//! The configurations of `docs/behind-a-proxy.md`.

use etcd_http::{Client, Protocol, check::Severity, reqwest::ReqwestTransport, server::Server};
use harness::{
    certificates::Authority,
    proxy::documented,
    real::{Executor, Tokio},
};

use crate::{Trusting, works::works};

#[test]
fn everything_works_through_each_documented_configuration() {
    let mut authority = Authority::new();
    let pair = authority.issue("127.0.0.1");
    let server = Server::start().unwrap();
    for (name, protocol) in [
        ("nginx-http1.conf", Protocol::Gateway),
        ("nginx-grpc.conf", Protocol::Grpc),
        ("haproxy-tcp.cfg", Protocol::Grpc),
        ("haproxy-http.cfg", Protocol::Grpc),
    ] {
        let proxy = documented(name, server.client_url(), &pair);
        Tokio::block_on(async {
            let transport = ReqwestTransport::trusting(&authority.certificate());
            let client = Client::new(transport, [proxy.url()]).unwrap();
            works(&client, &format!("/{name}")).await;
            let used = client.endpoints()[0].protocol;
            assert_eq!(used, Some(protocol), "{name}");
            let report = client.check().await;
            let is_grpc = protocol == Protocol::Grpc;
            let expected = (!is_grpc).then_some(Severity::Warning);
            let worst = report.endpoints[0].findings.iter().map(|it| it.severity());
            assert_eq!(worst.max(), expected, "{name}: {report}");
        });
    }
}
