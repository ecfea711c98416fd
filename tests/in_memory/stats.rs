//! What a client counts, and the trace that it passes on.

use std::time::Duration;

use etcd_http::{
    AttemptOutcome, Client, ClientBuilder, Protocol, Stats,
    fake::{FakeEtcd, Fault, When},
    transport::{Request, Response, Transport, TransportError, async_trait},
    v3::Watch,
};
use futures::{StreamExt, future::join_all, poll};

use crate::support::{block_on, jumping};

fn counting(etcd: &FakeEtcd) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let builder = builder.protocol(Protocol::Gateway);
    builder.collect_stats(true).build().unwrap()
}

fn calls(stats: &Stats) -> Vec<(&str, u64, u64, u64)> {
    let all = stats.operations.iter();
    all.map(|it| (it.operation, it.calls, it.failed_calls, it.open_streams))
        .collect()
}

#[test]
fn calls_that_are_refused_by_the_client_itself_are_counted_as_failed() {
    let etcd = jumping().build();
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let builder = builder.collect_stats(true).max_concurrent_calls(1, 0);
    let client = builder.protocol(Protocol::Gateway).build().unwrap();
    let failed = || {
        let stats = client.stats().unwrap();
        let [it] = &stats.operations[..] else {
            panic!("{stats:?}");
        };
        (it.operation, it.calls, it.failed_calls)
    };
    block_on(async {
        let kv = client.v3().kv();
        let overload = Fault::delay(Duration::from_secs(1));
        etcd.inject(When::any(), overload);
        let puts = join_all((0..10).map(|_| kv.put("a", "1"))).await;
        assert_eq!(puts.iter().filter(|it| it.is_ok()).count(), 1);
        assert_eq!(failed(), ("v3.kv.put", 10, 9));
        client.close(Duration::ZERO).await.unwrap();
        kv.put("a", "1").await.unwrap_err();
        assert_eq!(failed(), ("v3.kv.put", 11, 10));
    });
}

#[test]
fn calls_attempts_retries_and_bytes_are_counted_by_operation_and_endpoint() {
    let etcd = jumping().members(2).build();
    let client = counting(&etcd);
    block_on(async {
        let kv = client.v3().kv();
        kv.put("a", "1").await.unwrap();
        // It goes on at the other endpoint.
        etcd.inject(When::any().once(), Fault::refuse());
        kv.get("a").await.unwrap();
        client.clone().v2().get("/missing").await.unwrap_err();
    });
    let stats = client.stats().unwrap();
    assert_eq!(
        calls(&stats),
        [
            ("v2.keys.get", 1, 1, 0),
            ("v3.kv.put", 1, 0, 0),
            ("v3.kv.range", 1, 0, 0)
        ]
    );
    let endpoints = etcd.endpoints();
    let mut all: Vec<_> = stats.attempts.iter().collect();
    // The names of the endpoints have another order.
    all.sort_by_key(|it| (it.operation, it.retries));
    let attempts: Vec<_> = all
        .iter()
        .map(|it| {
            let endpoint = it.endpoint.to_string();
            let number = endpoints.iter().position(|it| *it == endpoint).unwrap();
            (it.operation, number, it.attempts, it.retries)
        })
        .collect();
    assert_eq!(
        attempts,
        [
            ("v2.keys.get", 1, 1, 0),
            ("v3.kv.put", 0, 1, 0),
            ("v3.kv.range", 0, 1, 0),
            ("v3.kv.range", 1, 1, 1),
        ]
    );
    let [missing, put, refused, range] = all[..] else {
        panic!("{stats:?}");
    };
    assert_eq!(missing.bytes_sent, 0);
    assert!(missing.bytes_received > 0);
    assert_eq!(
        put.bytes_sent, 29,
        "{{\"key\":\"YQ==\",\"value\":\"MQ==\"}}"
    );
    assert_eq!(refused.bytes_received, 0);
    let outcomes: Vec<_> = refused.outcomes().collect();
    assert_eq!(outcomes, [(AttemptOutcome::NotSent, 1)]);
    assert_eq!(range.with_outcome(AttemptOutcome::Answered), 1);
    assert_eq!(range.with_outcome(AttemptOutcome::TimedOut), 0);
    assert_eq!(
        (stats.calls(), stats.attempt_count(), stats.retries()),
        (3, 4, 1)
    );
}

#[test]
fn streams_are_counted_while_they_are_open_and_their_bytes_as_they_arrive() {
    let etcd = jumping().build();
    let client = counting(&etcd);
    let open = || client.stats().unwrap().open_streams();
    block_on(async {
        let mut stream = client.open(Watch::new("a"));
        assert!(poll!(stream.next()).is_pending());
        let other = client.open(Watch::new("b"));
        assert_eq!(open(), 2);
        let received = || {
            let stats = client.stats().unwrap();
            let all = stats
                .attempts
                .iter()
                .filter(|it| it.operation == "v3.watch");
            all.map(|it| it.bytes_received).sum::<u64>()
        };
        let before = received();
        etcd.put("a", "1");
        stream.next().await.unwrap().unwrap();
        assert!(received() > before);
        drop(stream);
        assert_eq!(open(), 1);
        client.close(Duration::ZERO).await.unwrap();
        assert_eq!(open(), 0, "a closed client has none");
        drop(other);
        assert_eq!(open(), 0);
    });
}

#[test]
fn nothing_is_counted_unless_it_is_asked_for() {
    let etcd = FakeEtcd::new();
    let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    block_on(client.v3().kv().get("a")).unwrap();
    assert_eq!(client.stats(), None);
}

/// A transport that shows the traces of its requests.
#[derive(Debug)]
struct Traced(FakeEtcd, std::sync::Mutex<Vec<Option<String>>>);

#[async_trait]
impl Transport for Traced {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let trace = request.headers().get("traceparent");
        let trace = trace.map(|it| it.to_str().unwrap().to_owned());
        self.1.lock().unwrap().push(trace);
        self.0.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    fn now(&self) -> std::time::Instant {
        self.0.now()
    }
}

#[test]
fn a_trace_is_passed_on_with_calls_and_streams_by_either_wire() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    type With = fn(ClientBuilder<Traced>) -> ClientBuilder<Traced>;
    let with: [(With, Option<&str>); 3] = [
        (|builder| builder, None),
        (
            |builder| builder.traceparent(|| Some(TRACE.to_owned())),
            Some(TRACE),
        ),
        // It is no header.
        (
            |builder| builder.traceparent(|| Some("a\nb".to_owned())),
            None,
        ),
    ];
    for protocol in [Protocol::Grpc, Protocol::Gateway] {
        for (with, expected) in with {
            let etcd = jumping().build();
            let builder = Client::builder(Traced(etcd.clone(), Default::default()));
            let builder = builder.endpoints(etcd.endpoints()).protocol(protocol);
            let client = with(builder).build().unwrap();
            block_on(async {
                client.v3().kv().put("a", "1").await.unwrap();
                client.v2().get("/").await.unwrap();
                let mut stream = client.open(Watch::new("a").from_revision(1));
                stream.next().await.unwrap().unwrap();
            });
            let seen = client.transport().1.lock().unwrap();
            assert!(seen.len() >= 3);
            assert!(seen.iter().all(|it| it.as_deref() == expected), "{seen:?}");
        }
    }
}
