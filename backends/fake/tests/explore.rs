//! Tests under schedules of faults: what a run does to a test, what its seed reproduces, and what a failure tells.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt::Display,
    future::{Future, pending, poll_fn},
    task::Poll,
    time::Duration,
};

use etcd_http_fake::{
    Explore, FakeEtcd,
    explore::{Cause, FaultKind},
};
use etcd_transport::{Body, Transport, TransportError, http};
use futures::future::join;

/// A call of an endpoint; its body, all of it.
async fn call(etcd: &FakeEtcd, endpoint: usize, path: &str, json: &str) -> Result<String, String> {
    let uri = format!("{}/v3/{path}", etcd.endpoint(endpoint).url());
    let request = http::Request::post(uri).body(Body::from(json.to_owned()));
    let response = etcd.send(request.expect("a valid request")).await;
    let body = response.map_err(text)?.into_body().collect(1 << 20).await;
    let body = body.map_err(text)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// `a`, base64, to one value.
async fn put(etcd: &FakeEtcd, endpoint: usize) -> Result<String, String> {
    call(etcd, endpoint, "kv/put", r#"{"key":"YQ==","value":"MQ=="}"#).await
}

/// The first message of a watch of `a`, and then the next one or its end.
async fn watch(etcd: &FakeEtcd) -> Result<(), TransportError> {
    let uri = format!("{}/v3/watch", etcd.endpoint(0).url());
    let json = r#"{"create_request":{"key":"YQ=="}}"#;
    let request = http::Request::post(uri).body(Body::from(json.to_owned()));
    let response = etcd.send(request.expect("a valid request")).await?;
    let mut body = response.into_body();
    for _ in 0..2 {
        if let Some(frame) = body.frame().await {
            frame?;
        }
    }
    Ok(())
}

/// Some requests and a pause. What is lost is given up after a while.
async fn traffic(etcd: FakeEtcd) -> Result<(), String> {
    let work = async |endpoint| {
        for _ in 0..3 {
            let put = std::pin::pin!(put(&etcd, endpoint));
            let limit = etcd.sleep(Duration::from_secs(20));
            let _ = futures::future::select(put, limit).await;
            etcd.sleep(Duration::from_millis(50)).await;
        }
    };
    join(work(0), work(1)).await;
    Ok(())
}

/// A test that fails once all requests of these numbers were late: the faults that it takes are known.
async fn fails_when_late(etcd: FakeEtcd, numbers: &[usize]) -> Result<(), String> {
    let late = RefCell::new(BTreeSet::new());
    for number in 1..=6 {
        let before = etcd.elapsed();
        let _ = put(&etcd, 0).await;
        if etcd.elapsed() > before {
            late.borrow_mut().insert(number);
        }
    }
    let late = late.into_inner();
    match numbers.iter().all(|number| late.contains(number)) {
        true => Err(format!("{numbers:?} were late")),
        false => Ok(()),
    }
}

#[test]
fn a_test_that_no_fault_harms_passes_all_runs() {
    let explored = Explore::new().runs(500).run(traffic).unwrap();
    assert_eq!(explored.runs, 500);
    assert!(explored.requests >= 6 * 500);
    assert!(explored.faults > 500, "{explored}");
}

#[test]
fn what_fails_is_shrunk_to_the_faults_that_it_takes() {
    for numbers in [&[4][..], &[2, 5], &[1, 3, 6]] {
        let explore = Explore::new().runs(5000).budget(8);
        let explore = explore.faults([FaultKind::Delay, FaultKind::Compaction]);
        let failure = explore.run(|etcd| fails_when_late(etcd, numbers));
        let failure = failure.unwrap_err();
        assert_eq!(failure.faults().len(), numbers.len(), "{failure}");
        for (fault, number) in failure.faults().iter().zip(numbers) {
            assert_eq!(fault.kind(), FaultKind::Delay);
            let start = format!("request {number} arrives ");
            assert!(fault.to_string().starts_with(&start), "{fault}");
        }
    }
}

#[test]
fn a_seed_reproduces_a_failure_to_the_letter() {
    let explore = Explore::new().runs(5000).seed(77);
    let find = |explore: &Explore| {
        let failure = explore.run(|etcd| fails_when_late(etcd, &[2, 5]));
        failure.unwrap_err()
    };
    let failure = find(&explore);
    assert_eq!(find(&explore), failure);
    assert_eq!(find(&explore.clone().runs(1).seed(failure.seed())), failure);
    assert!(failure.seed() >= 77);
}

/// The choices of `fastrand` on this thread, as those of a client, follow the seed, and are free again after it.
#[test]
fn what_others_choose_at_random_follows_the_seed() {
    let chosen = RefCell::new(Vec::new());
    let choose = |_: FakeEtcd| async {
        chosen.borrow_mut().push(fastrand::u64(..));
        Ok::<(), String>(())
    };
    fastrand::seed(4);
    let next = fastrand::Rng::with_seed(4).u64(..);
    Explore::new().runs(3).run(choose).unwrap();
    assert_eq!(fastrand::u64(..), next);
    let first = chosen.take();
    Explore::new().runs(3).run(choose).unwrap();
    assert_eq!(chosen.take(), first);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn a_failure_tells_what_happened_and_when() {
    let explore = Explore::new().runs(1000).faults([FaultKind::DelayResponse]);
    let failure = explore.run(|etcd| fails_when_late(etcd, &[2]));
    let failure = failure.unwrap_err();
    let report = failure.to_string();
    let fault = failure.faults()[0].to_string();
    assert!(report.starts_with(&format!("with seed {}, the test", failure.seed())));
    let line = "request 2: #0 POST /v3/kv/put key=a value=1 → 200 at ";
    let [first, second, ..] = failure.timeline() else {
        panic!("{report}");
    };
    assert!(
        first.trim_start().starts_with("0ns  request 1: "),
        "{report}"
    );
    assert!(second.contains(line) && second.contains(&fault), "{report}");
    assert!(
        report.ends_with("the test returned an error: [2] were late\n"),
        "{report}"
    );
}

fn cause<F>(test: impl Fn(FakeEtcd) -> F) -> Cause
where
    F: Future<Output = Result<(), String>>,
{
    let explore = Explore::new().time_limit(Duration::from_secs(60));
    let failure = explore.run(test).unwrap_err();
    assert!(failure.faults().is_empty(), "{failure}");
    failure.cause().clone()
}

#[test]
fn a_panic_is_a_failure_and_so_is_a_test_that_does_not_end() {
    assert_eq!(
        cause(|_| async { panic!("a number: {}", 7) }),
        Cause::Panicked("a number: 7".to_owned())
    );
    assert_eq!(
        cause(|_| async { Err("no".to_owned()) }),
        Cause::Error("no".to_owned())
    );
    assert_eq!(cause(|_| pending()), Cause::Hung);
    assert_eq!(
        cause(|etcd| async move {
            loop {
                etcd.sleep(Duration::from_secs(1)).await;
            }
        }),
        Cause::TimeLimit(Duration::from_secs(60))
    );
    let busy = |_| {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    };
    assert_eq!(cause(busy), Cause::Busy);
}

/// A response that never comes leaves a test without a time limit of its own with nothing to wait for.
#[test]
fn a_test_that_waits_for_a_lost_response_hangs() {
    let explore = Explore::new().faults([FaultKind::LostResponse]);
    let failure = explore.run(|etcd| async move {
        let _ = put(&etcd, 0).await;
        Ok::<(), String>(())
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.cause(), &Cause::Hung);
    let report = failure.to_string();
    assert!(report.contains("is lost: nothing comes back"), "{report}");
    assert!(report.contains("… no response yet"), "{report}");
}

/// Each kind of fault does what it says to somebody who does not expect it.
#[test]
fn every_kind_of_fault_happens() {
    for kind in FaultKind::ALL {
        let explore = Explore::new().runs(300).faults([kind]);
        let failure = explore.run(|etcd| async move { suspicious(&etcd, kind).await });
        let failure = failure.unwrap_err();
        assert_eq!(failure.faults().len(), 1, "{failure}");
        assert_eq!(failure.faults()[0].kind(), kind, "{failure}");
    }
}

/// Fails as soon as it sees a fault of this kind.
async fn suspicious(etcd: &FakeEtcd, kind: FaultKind) -> Result<(), String> {
    match kind {
        FaultKind::CutStream => {
            let watched = Cell::new(None);
            let watching = async { watched.set(Some(watch(etcd).await)) };
            let writing = async {
                etcd.sleep(Duration::from_secs(1)).await;
                put(etcd, 0).await
            };
            join(watching, writing).await.1?;
            watched.take().unwrap_or(Ok(())).map_err(text)
        }
        FaultKind::Lag => {
            for endpoint in 0..3 {
                call(
                    etcd,
                    endpoint,
                    "kv/range",
                    r#"{"key":"YQ==","serializable":true}"#,
                )
                .await
                .map_err(text)?;
            }
            put(etcd, 0).await?;
            let missed: usize = (0..3).map(|number| etcd.endpoint(number).missed()).sum();
            etcd.sleep(Duration::from_secs(10)).await;
            let left: usize = (0..3).map(|number| etcd.endpoint(number).missed()).sum();
            assert_eq!(left, 0, "they have caught up");
            if missed > 0 {
                Err(format!("{missed} missed"))
            } else {
                Ok(())
            }
        }
        FaultKind::Compaction => {
            put(etcd, 0).await?;
            put(etcd, 0).await?;
            let found = call(etcd, 0, "kv/range", r#"{"key":"YQ==","revision":"2"}"#).await;
            let found = found?;
            if found.contains("compacted") {
                Err(found)
            } else {
                Ok(())
            }
        }
        FaultKind::Expiry => {
            let grant = r#"{"ID":"7","TTL":"5"}"#;
            call(etcd, 0, "lease/grant", grant).await?;
            let key = r#"{"key":"YQ==","lease":"7"}"#;
            let done = call(etcd, 0, "kv/put", key).await?;
            if done.contains("lease not found") {
                Err(done)
            } else {
                Ok(())
            }
        }
        _ => {
            let before = etcd.elapsed();
            put(etcd, 0).await?;
            put(etcd, 1).await?;
            if etcd.elapsed() > before {
                return Err(format!("took {:?}", etcd.elapsed() - before));
            }
            Ok(())
        }
    }
}
