//! The speed of the fake by itself, without a client.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput};
use etcd_http_fake::FakeEtcd;
use etcd_transport::{Body, Transport, http};
use futures::FutureExt;

fn send(etcd: &FakeEtcd, method: http::Method, uri: &http::Uri, form: &'static str) -> usize {
    let mut request = http::Request::new(Body::from(form));
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    if !form.is_empty() {
        let kind = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, kind);
    }
    let response = etcd.send(request).now_or_never().unwrap().unwrap();
    response
        .into_body()
        .try_into_bytes()
        .map_or(0, |body| body.len())
}

/// A fake with this many keys, a thousand in each directory, and their URIs.
fn filled(keys: usize) -> (FakeEtcd, Vec<http::Uri>) {
    let etcd = FakeEtcd::builder().log_capacity(0).build();
    let uris: Vec<http::Uri> = (0..keys)
        .map(|key| {
            let uri = format!("http://localhost:2379/v2/keys/dir{}/key{key}", key / 1000);
            uri.parse().unwrap()
        })
        .collect();
    for uri in &uris {
        send(&etcd, http::Method::PUT, uri, "value=some+value");
    }
    (etcd, uris)
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("requests");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(3));
    for (name, keys, watches) in [
        ("1k", 1_000, 0),
        ("1M", 1_000_000, 0),
        ("1k, 10k watches", 1_000, 10_000),
    ] {
        let (etcd, uris) = filled(keys);
        let held: Vec<_> = (0..watches)
            .map(|number| {
                let uri = format!("http://localhost:2379/v2/keys/watched{number}?wait=true");
                let request = http::Request::builder()
                    .uri(uri)
                    .body(Body::empty())
                    .unwrap();
                etcd.send(request).now_or_never().unwrap().unwrap()
            })
            .collect();
        let mut next = (0..uris.len())
            .map(|position| position * 7919 % uris.len())
            .cycle();
        group.bench_function(format!("get, {name}"), |b| {
            b.iter(|| send(&etcd, http::Method::GET, &uris[next.next().unwrap()], ""));
        });
        group.bench_function(format!("set, {name}"), |b| {
            b.iter(|| {
                let uri = &uris[next.next().unwrap()];
                send(&etcd, http::Method::PUT, uri, "value=another+value")
            });
        });
        drop(held);
    }
    group.finish();
}

fn start(c: &mut Criterion) {
    c.bench_function("FakeEtcd::new", |b| b.iter(|| black_box(FakeEtcd::new())));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    start(&mut criterion);
    requests(&mut criterion);
    criterion.final_summary();
}
