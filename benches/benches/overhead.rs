//! The time of a get and a set, with this client and with the bare HTTP stack.
//!
//! `cargo bench -p etcd-http-benches --bench overhead`

use criterion::{Criterion, criterion_group, criterion_main};
use etcd_http::{Client, isahc::IsahcTransport, reqwest::ReqwestTransport, server};
use etcd_http_benches::{BareIsahc, BareReqwest, Canned, Contender, NoRuntime, Run, tokio};

fn overhead(criterion: &mut Criterion) {
    let etcd = server::start().expect("an etcd");
    let canned = Canned::start();
    for (server, url) in [("canned", canned.url()), ("etcd", etcd.client_url())] {
        let runtime = tokio();
        let name = format!("reqwest/{server}");
        let ours = Client::<ReqwestTransport>::connect([&url]).expect("a client");
        compare(criterion, &name, &runtime, &BareReqwest::new(&url), &ours);

        let name = format!("isahc/{server}");
        let ours = Client::<IsahcTransport>::connect([&url]).expect("a client");
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
    runtime.run(bare.set());
    let mut group = criterion.benchmark_group(name);
    group.bench_function("get/bare", |b| b.iter(|| runtime.run(bare.get())));
    group.bench_function("get/ours", |b| b.iter(|| runtime.run(ours.get())));
    group.bench_function("set/bare", |b| b.iter(|| runtime.run(bare.set())));
    group.bench_function("set/ours", |b| b.iter(|| runtime.run(ours.set())));
    group.finish();
}

criterion_group!(benches, overhead);
criterion_main!(benches);
