//! The clock: manual, jumping, and real.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
    time::{Duration, Instant, SystemTime},
};

use etcd_http_fake::{Clock, Expiry, FakeEtcd};
use etcd_transport::{Body, Request, Transport, http};
use futures::{
    FutureExt,
    executor::{ThreadPool, block_on},
    future::{Either, join, join_all, poll_fn},
    task::SpawnExt,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn request(method: &str, target: &str) -> Request {
    let uri = format!("http://localhost:2379{target}");
    let request = http::Request::builder().method(method).uri(uri);
    request.body(Body::empty()).unwrap()
}

async fn text(etcd: &FakeEtcd, method: &str, target: &str) -> String {
    let response = etcd.send(request(method, target)).await.unwrap();
    let body = response.into_body().collect(1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn auto() -> FakeEtcd {
    FakeEtcd::builder().clock(Clock::auto()).build()
}

#[test]
fn the_clock_stands_still_until_it_is_moved() {
    let etcd = FakeEtcd::new();
    let before = etcd.now();
    let mut sleep = Box::pin(etcd.sleep(SECOND));
    assert!(sleep.as_mut().now_or_never().is_none());
    etcd.advance(SECOND - Duration::from_nanos(1));
    assert!(sleep.as_mut().now_or_never().is_none());
    etcd.advance(Duration::from_nanos(1));
    assert!(sleep.as_mut().now_or_never().is_some());
    assert_eq!(etcd.now() - before, SECOND);
}

#[test]
fn a_sleep_of_nothing_is_over_at_once() {
    assert!(
        FakeEtcd::new()
            .sleep(Duration::ZERO)
            .now_or_never()
            .is_some()
    );
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    let etcd = FakeEtcd::new();
    let mut sleep = Box::pin(etcd.sleep(SECOND));
    assert!(sleep.as_mut().now_or_never().is_none());
    assert_eq!(etcd.sleeping(), 1);
    drop(sleep);
    assert_eq!(etcd.sleeping(), 0);
    assert_eq!(etcd.advance_to_next(), None);
}

#[test]
fn a_key_expires_at_the_leaders_next_check() {
    let etcd = FakeEtcd::new();
    etcd.advance(Duration::from_millis(1_200));
    block_on(text(&etcd, "PUT", "/v2/keys/a?value=x&ttl=1"));
    etcd.advance(Duration::from_millis(1_299));
    assert!(
        etcd.value("a").is_some(),
        "2.499 s: its time has come, and the leader has not checked"
    );
    etcd.advance(Duration::from_millis(1));
    assert!(etcd.value("a").is_none(), "2.5 s");
}

#[test]
fn a_key_can_expire_at_the_very_nanosecond() {
    let etcd = FakeEtcd::builder().expiry(Expiry::Exact).build();
    etcd.advance(Duration::from_millis(1_200));
    block_on(text(&etcd, "PUT", "/v2/keys/a?value=x&ttl=1"));
    etcd.advance(SECOND - Duration::from_nanos(1));
    assert!(etcd.value("a").is_some());
    etcd.advance(Duration::from_nanos(1));
    assert!(etcd.value("a").is_none());
}

#[test]
fn keys_expire_in_the_order_of_their_times_while_the_clock_is_moved_far() {
    let etcd = FakeEtcd::new();
    for (key, ttl) in [("c", 30), ("a", 10), ("b", 20)] {
        block_on(text(&etcd, "PUT", &format!("/v2/keys/{key}?ttl={ttl}")));
    }
    etcd.advance(HOUR);
    for (index, key) in [(7, "a"), (8, "b"), (9, "c")] {
        let target = format!("/v2/keys?wait=true&recursive=true&waitIndex={index}");
        let event = block_on(text(&etcd, "GET", &target));
        assert!(event.starts_with("{\"action\":\"expire\""), "{event}");
        assert!(
            event.contains(&format!("\"key\":\"/{key}\",\"modifiedIndex\":{index},")),
            "{event}"
        );
    }
}

#[test]
fn the_clock_jumps_when_everything_waits() {
    let etcd = auto();
    let began = Instant::now();
    block_on(etcd.sleep(HOUR));
    assert_eq!(etcd.elapsed(), HOUR);
    assert!(began.elapsed() < HOUR / 60);
}

#[test]
fn sleepers_are_woken_in_the_order_of_their_times() {
    let etcd = auto();
    let order = std::sync::Mutex::new(Vec::new());
    let sleeper = |seconds: u64| {
        let (etcd, order) = (&etcd, &order);
        async move {
            etcd.sleep(Duration::from_secs(seconds)).await;
            order
                .lock()
                .unwrap()
                .push((seconds, etcd.elapsed().as_secs()));
        }
    };
    block_on(join_all([5, 1, 3, 4, 2].map(sleeper)));
    assert_eq!(
        *order.lock().unwrap(),
        [1, 2, 3, 4, 5].map(|second| (second, second))
    );
}

#[test]
fn a_jump_stops_where_a_key_expires_under_a_watch() {
    let etcd = auto();
    block_on(text(&etcd, "PUT", "/v2/keys/a?value=x&ttl=5"));
    let watch = async {
        let event = text(&etcd, "GET", "/v2/keys/a?wait=true").await;
        (event.contains("expire"), etcd.elapsed())
    };
    let (seen, ()) = block_on(join(watch, etcd.sleep(HOUR)));
    assert_eq!(seen, (true, 5 * SECOND));
}

#[test]
fn a_watch_alone_is_enough_to_wait_for() {
    let etcd = auto();
    block_on(text(&etcd, "PUT", "/v2/keys/a?value=x&ttl=5"));
    let event = block_on(text(&etcd, "GET", "/v2/keys/a?wait=true"));
    assert!(event.contains("expire"), "{event}");
}

#[test]
fn a_task_that_has_not_run_yet_runs_before_the_clock_jumps() {
    let etcd = auto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let other = etcd.clone();
        let task = tokio::spawn(async move {
            // As many turns as a chain of tasks may need.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            other.sleep(SECOND).await;
            other.elapsed()
        });
        etcd.sleep(HOUR).await;
        assert_eq!(task.await.unwrap(), SECOND);
    });
}

/// Runs ten tasks that sleep, write and watch; returns the log.
async fn tracked_tasks(
    etcd: FakeEtcd,
    spawn: impl Fn(futures::future::BoxFuture<'static, ()>),
) -> String {
    let done = Arc::new(AtomicU32::new(0));
    let begun: Vec<_> = (1..=10u64)
        .map(|number| {
            let (etcd, done) = (etcd.clone(), Arc::clone(&done));
            let its = etcd.clone();
            let task = async move {
                for round in 1..=20u64 {
                    its.sleep(Duration::from_millis(number * 1_000 + round))
                        .await;
                    text(
                        &its,
                        "PUT",
                        &format!("/v2/keys/k{number}?value={round}&ttl=1"),
                    )
                    .await;
                }
                done.fetch_add(1, Ordering::Relaxed);
            };
            etcd.track(task)
        })
        .collect();
    for task in begun {
        spawn(task.boxed());
    }
    while done.load(Ordering::Relaxed) < 10 {
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    etcd.log_text()
}

#[test]
fn tracked_tasks_do_the_same_on_every_executor() {
    let on_one = {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(tracked_tasks(auto(), |task| drop(tokio::spawn(task))))
    };
    assert!(
        on_one.contains("PUT /v2/keys/k10 ttl=1 value=20"),
        "{on_one}"
    );
    for _ in 0..5 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .build();
        let on_many =
            (runtime.unwrap()).block_on(tracked_tasks(auto(), |task| drop(tokio::spawn(task))));
        assert_eq!(on_many, on_one);
    }
    let pool = ThreadPool::builder().pool_size(3).create().unwrap();
    let on_pool = block_on(tracked_tasks(auto(), |task| pool.spawn(task).unwrap()));
    assert_eq!(on_pool, on_one);
}

/// Whether a future ends in real time: a clock that no longer jumps must not hang the test.
fn ends(future: impl Future<Output = ()> + Send + 'static) -> bool {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        block_on(future);
        sender.send(())
    });
    receiver.recv_timeout(Duration::from_secs(10)).is_ok()
}

#[test]
fn a_tracked_task_that_panics_does_not_stop_the_clock_for_others() {
    let etcd = auto();
    let mut caught = etcd.track(async { panic!("as intended") }).boxed();
    let panicked = block_on(AssertUnwindSafe(&mut caught).catch_unwind());
    assert!(panicked.is_err());
    let (its, hour) = (etcd.clone(), etcd.clone());
    assert!(
        ends(etcd.track(async move { hour.sleep(HOUR).await })),
        "the future that panicked still exists"
    );
    drop(caught);
    assert!(
        ends(etcd.track(async move { its.sleep(HOUR).await })),
        "the future that panicked is gone"
    );
    assert_eq!(etcd.elapsed(), 2 * HOUR);
}

#[test]
fn a_finished_task_that_is_woken_does_not_stop_the_clock_for_others() {
    let etcd = auto();
    let (sender, wakers) = mpsc::channel();
    let mut finished = Box::pin(etcd.track(poll_fn(move |cx| {
        sender.send(cx.waker().clone()).unwrap();
        Poll::Ready(())
    })));
    block_on(&mut finished);
    // Its owner may keep a finished future, but does not poll it.
    wakers.recv().unwrap().wake();
    let its = etcd.clone();
    assert!(ends(etcd.track(async move { its.sleep(HOUR).await })));
    drop(finished);
}

#[test]
fn a_sleep_without_end_never_ends() {
    let grace = Duration::ZERO;
    for clock in [Clock::Manual, Clock::Auto { grace }, Clock::Real] {
        let etcd = FakeEtcd::builder().clock(clock).build();
        let mut sleep = Box::pin(etcd.sleep(Duration::MAX));
        for _ in 0..100 {
            assert!(sleep.as_mut().now_or_never().is_none(), "{clock:?}");
        }
        let mut tracked = Box::pin(etcd.track(etcd.sleep(Duration::MAX)));
        assert!(tracked.as_mut().now_or_never().is_none(), "{clock:?}");
        assert!(etcd.elapsed() < HOUR, "{clock:?}");
        assert_eq!(etcd.advance_to_next(), None, "{clock:?}");
    }
}

#[test]
fn the_clock_jumps_beside_a_sleep_without_end() {
    let etcd = auto();
    let never = etcd.sleep(Duration::MAX);
    let hour = etcd.sleep(HOUR);
    let ended = block_on(futures::future::select(never, hour));
    assert!(matches!(ended, Either::Right(_)));
    assert_eq!(etcd.elapsed(), HOUR);
}

#[test]
fn the_clock_cannot_be_moved_beyond_the_times_that_etcd_knows() {
    let etcd = FakeEtcd::new();
    block_on(text(&etcd, "PUT", "/v2/keys/a?ttl=5"));
    etcd.advance(Duration::MAX);
    assert!(etcd.value("a").is_none());
    let year_2262 = Duration::from_nanos(i64::MAX.unsigned_abs());
    assert_eq!(etcd.system_time(), SystemTime::UNIX_EPOCH + year_2262);
    etcd.advance(SECOND);
    assert_eq!(etcd.system_time(), SystemTime::UNIX_EPOCH + year_2262);
}

#[test]
fn a_clock_that_follows_real_time_wakes_what_sleeps() {
    let etcd = FakeEtcd::builder().clock(Clock::Real).build();
    let began = Instant::now();
    block_on(etcd.sleep(Duration::from_millis(30)));
    assert!(began.elapsed() >= Duration::from_millis(30));
    // Moved by hand, it goes on from there.
    etcd.advance(HOUR);
    assert!(etcd.elapsed() >= HOUR);
    let began = Instant::now();
    block_on(etcd.sleep(Duration::from_millis(20)));
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_watch_receives_an_expiry_in_real_time() {
    let etcd = FakeEtcd::builder().clock(Clock::Real).build();
    block_on(text(&etcd, "PUT", "/v2/keys/a?value=x&ttl=0"));
    let event = block_on(text(&etcd, "GET", "/v2/keys/a?wait=true"));
    assert!(event.contains("expire"), "{event}");
}

#[test]
fn the_date_header_follows_the_clock() {
    let etcd = FakeEtcd::new();
    etcd.advance(HOUR);
    let response = block_on(etcd.send(request("GET", "/version"))).unwrap();
    assert_eq!(response.headers()["date"], "Wed, 01 Jan 2020 01:00:00 GMT");
}

#[test]
fn an_idle_hour_is_quick_however_many_watches_there_are() {
    let etcd = FakeEtcd::new();
    let watches: Vec<_> = (0..10_000)
        .map(|number| {
            let target = format!("/v2/keys/w{number}?wait=true");
            block_on(etcd.send(request("GET", &target))).unwrap()
        })
        .collect();
    assert_eq!(etcd.open_watches(), 10_000);
    block_on(text(&etcd, "PUT", "/v2/keys/other?ttl=1800"));
    let began = Instant::now();
    etcd.advance(HOUR);
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
    drop(watches);
    assert_eq!(etcd.open_exchanges(), 0);
}
