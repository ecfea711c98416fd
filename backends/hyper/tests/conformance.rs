//! The contract of `etcd-transport`, kept over hyper and h2, with no limits.

use etcd_transport_hyper::HyperTransport;

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

etcd_transport_conformance::test_suite!(HyperTransport::default(), block_on);
