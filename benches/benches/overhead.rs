//! The time of reads and writes, with this client and with the bare HTTP stack.
//!
//! `cargo bench -p etcd-http-benches --bench overhead`

use criterion::{Criterion, criterion_group, criterion_main};
use etcd_http::{isahc::IsahcTransport, reqwest::ReqwestTransport, server};
use etcd_http_benches::{
    BareIsahc, BareReqwest, Canned, Contender, NoRuntime, Operation, Run, client, tokio,
};

fn overhead(criterion: &mut Criterion) {
    let etcd = server::start().expect("an etcd");
    let canned = Canned::start();
    for (server, url) in [("canned", canned.url()), ("etcd", etcd.client_url())] {
        let runtime = tokio();
        let name = format!("reqwest/{server}");
        let ours = client::<ReqwestTransport>(&url);
        compare(criterion, &name, &runtime, &BareReqwest::new(&url), &ours);

        let name = format!("isahc/{server}");
        let ours = client::<IsahcTransport>(&url);
        compare(criterion, &name, &NoRuntime, &BareIsahc::new(&url), &ours);
    }
}

fn compare(
    criterion: &mut Criterion,
    name: &str,
    runtime: &impl Run,
    bare: &impl Contender,
    ours: &impl Contender,
) {
    // There is something to read, whatever part is selected.
    for operation in Operation::ALL {
        runtime.run(bare.run(operation));
    }
    let mut group = criterion.benchmark_group(name);
    for operation in Operation::ALL {
        group.bench_function(format!("{}/bare", operation.name()), |b| {
            b.iter(|| runtime.run(bare.run(operation)));
        });
        group.bench_function(format!("{}/ours", operation.name()), |b| {
            b.iter(|| runtime.run(ours.run(operation)));
        });
    }
    group.finish();
}

criterion_group!(benches, overhead);
criterion_main!(benches);
