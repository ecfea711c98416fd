//! Watches over faults at every point: all events once and in order, or an error, never a gap.

use std::{
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Result,
    fake::{FakeEtcd, Fault, When},
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait, http_body::Body as _,
    },
    v2::{Event, Node, Watch, WatchUpdate},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
};

use crate::support::{block_on, client, jumping, millis, misfortunes, seconds};

const WRITES: usize = 5;

/// Writes from time to time while a watch is open. Faults apply only to the watch: it requests the directory itself.
fn watch_while_writing(etcd: &FakeEtcd) -> (Vec<Node>, Vec<Result<Event>>) {
    let (writer, watcher) = (client(etcd), client(etcd));
    let writes = async {
        let mut made = Vec::new();
        for n in 0..WRITES {
            // One before the first poll, others while one is open, two in quick succession.
            if n != 2 {
                etcd.sleep(seconds(n as u64)).await;
            }
            let key = format!("/d/{}", n % 2);
            let event = writer.v2().set(key, n.to_string()).await.unwrap();
            made.push(event.node);
        }
        made
    };
    let watch = Watch::new("/d")
        .recursive(true)
        .from_index(etcd.index() + 1);
    let events = watcher.open(watch).take(WRITES).collect::<Vec<_>>();
    let both = join(writes, events);
    match block_on(select(pin!(both), etcd.sleep(seconds(600)))) {
        Either::Left((both, _)) => both,
        Either::Right(_) => panic!("no event for ten minutes\n{}", etcd.log_text()),
    }
}

fn of_the_watch() -> When {
    When::method("GET").path("/v2/keys/d")
}

#[track_caller]
fn assert_all_seen(made: &[Node], events: Vec<Result<Event>>, what: &str) {
    let seen: Result<Vec<_>> = events.into_iter().collect();
    let seen = seen.unwrap_or_else(|error| panic!("{what}: {error}"));
    let seen: Vec<_> = seen.into_iter().map(|event| event.node).collect();
    assert_eq!(seen, made, "{what}");
}

#[test]
fn a_watch_loses_nothing_whichever_request_fails_and_however() {
    for misfortune in misfortunes() {
        for n in 1.. {
            let etcd = jumping().build();
            etcd.inject(of_the_watch().nth(n), misfortune.fault.clone());
            let (made, events) = watch_while_writing(&etcd);
            assert_all_seen(&made, events, &format!("number {n} {}", misfortune.name));
            if etcd.pending_faults() > 0 {
                assert!(n as usize > WRITES, "every event takes a request");
                break;
            }
        }
    }
}

/// The head of a poll arrives with the first byte of the body, as over isahc.
#[derive(Debug)]
struct Headless(FakeEtcd);

#[async_trait]
impl Transport for Headless {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let is_poll = request.uri().query().is_some();
        let response = self.0.send(request).await?;
        if !is_poll {
            return Ok(response);
        }
        let (head, mut body) = response.into_parts();
        let mut first = body.frame().await;
        let body = Body::poll_fn(move |cx| match first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut body).poll_frame(cx),
        });
        Ok(Response::from_parts(head, body))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// Watches a directory with few events, in a store with 400 events a second.
fn watch_a_fast_store<T: Transport>(
    etcd: &FakeEtcd,
    transport: T,
) -> (Vec<Node>, Vec<Result<Event>>) {
    const WRITES: [usize; 4] = [110, 215, 215, 340];
    let (writer, watcher) = (
        client(etcd),
        Client::new(transport, etcd.endpoints()).unwrap(),
    );
    let writes = async {
        let mut made = Vec::new();
        // Each is 10 ms.
        for n in 0..=WRITES[3] {
            for _ in 0..4 {
                writer.v2().set("/elsewhere", "x").await.unwrap();
            }
            for _ in WRITES.iter().filter(|write| **write == n) {
                let event = writer.v2().set(format!("/d/{}", n % 2), n.to_string());
                made.push(event.await.unwrap().node);
            }
            etcd.sleep(millis(10)).await;
        }
        made
    };
    let watch = Watch::new("/d")
        .recursive(true)
        .from_index(etcd.index() + 1);
    let events = watcher.open(watch).take(WRITES.len()).collect::<Vec<_>>();
    block_on(async {
        let limit = etcd.sleep(seconds(60));
        match select(pin!(join(writes, events)), limit).await {
            Either::Left((both, _)) => both,
            Either::Right(_) => panic!("no event for a minute"),
        }
    })
}

/// No event is skipped by the polls that are open at the same time, whichever of them stalls.
#[test]
fn a_watch_of_a_fast_store_loses_nothing_whichever_poll_stalls() {
    for misfortune in misfortunes() {
        if !misfortune.name.starts_with("silent") {
            continue;
        }
        for n in 1..=6 {
            for headless in [false, true] {
                let etcd = jumping().build();
                etcd.inject(of_the_watch().nth(n), misfortune.fault.clone());
                let (made, events) = if headless {
                    watch_a_fast_store(&etcd, Headless(etcd.clone()))
                } else {
                    watch_a_fast_store(&etcd, etcd.clone())
                };
                let what = format!("number {n} {}, headless: {headless}", misfortune.name);
                assert_all_seen(&made, events, &what);
                assert_eq!(etcd.pending_faults(), 0, "{what}");
            }
        }
    }
}

#[test]
fn a_watch_loses_nothing_when_two_requests_in_a_row_fail() {
    for first in misfortunes() {
        for second in misfortunes() {
            for n in 1..=4 {
                let etcd = jumping().build();
                etcd.inject(of_the_watch().nth(n), first.fault.clone());
                etcd.inject(of_the_watch().nth(n + 1), second.fault.clone());
                let (made, events) = watch_while_writing(&etcd);
                let what = format!("number {n} {}, then {}", first.name, second.name);
                assert_all_seen(&made, events, &what);
            }
        }
    }
}

#[test]
fn a_watch_loses_nothing_when_any_request_may_fail() {
    let misfortunes = misfortunes();
    for seed in 0..200 {
        let etcd = jumping().seed(seed).build();
        for misfortune in &misfortunes {
            etcd.inject(of_the_watch().with_chance(0.03), misfortune.fault.clone());
        }
        let (made, events) = watch_while_writing(&etcd);
        assert_all_seen(&made, events, &format!("seed {seed}"));
    }
}

/// A response that etcd does not send may hide an event: it ends the watch, after the events before it.
#[test]
fn a_response_that_is_no_event_ends_a_watch_with_an_error() {
    for (name, fault) in [
        ("cut short", Fault::truncate(30)),
        ("followed by more", Fault::append("{")),
        ("a page", Fault::html(200)),
        ("elsewhere", Fault::redirect(301, "http://elsewhere/")),
        ("not found", Fault::html(404)),
    ] {
        for n in 1..=WRITES as u64 {
            let etcd = jumping().build();
            etcd.inject(of_the_watch().nth(n), fault.clone());
            let (made, mut events) = watch_while_writing(&etcd);
            if events.iter().all(Result::is_ok) {
                assert_all_seen(&made, events, name);
                continue;
            }
            assert!(
                events.pop().unwrap().is_err(),
                "{name}: the error is the last"
            );
            assert_all_seen(&made[..events.len()], events, name);
        }
    }
}

#[test]
fn a_watch_goes_on_over_restarts_of_the_server() {
    let etcd = jumping().build();
    let restarts = async {
        for _ in 0..20 {
            etcd.sleep(std::time::Duration::from_millis(700)).await;
            etcd.restart();
        }
    };
    let ((), (made, events)) = block_on(join(restarts, async {
        let writer = client(&etcd);
        let watch = Watch::new("/d")
            .recursive(true)
            .from_index(etcd.index() + 1);
        let events = client(&etcd).open(watch).take(WRITES).collect::<Vec<_>>();
        let writes = async {
            let mut made = Vec::new();
            for n in 0..WRITES {
                etcd.sleep(seconds(3)).await;
                let event = writer.v2().set("/d/a", n.to_string()).await;
                made.push(event.unwrap().node);
            }
            made
        };
        join(writes, events).await
    }));
    assert_all_seen(&made, events, "restarts");
}

/// Whatever part of the history is lost, a resyncing watch arrives at the state of the store.
#[test]
fn a_resyncing_watch_arrives_at_the_truth_though_history_is_lost_and_requests_fail() {
    for misfortune in misfortunes() {
        for n in 1..=8 {
            let etcd = jumping().build();
            etcd.inject(of_the_watch().nth(n), misfortune.fault.clone());
            let (writer, watcher) = (client(&etcd), client(&etcd));
            let watch = Watch::new("/d/a").from_index(etcd.index() + 1).resyncing();
            let mut last = None;
            let updates = async {
                let mut updates = watcher.open(watch);
                while last.as_deref() != Some("end") {
                    last = match updates.next().await.unwrap().unwrap() {
                        WatchUpdate::Event(event) => event.node.value,
                        WatchUpdate::Resync(resync) => resync.state.and_then(|node| node.value),
                    };
                }
            };
            let writes = async {
                for value in ["1", "2", "3", "end"] {
                    writer.v2().set("/d/a", value).await.unwrap();
                    writer.v2().set("/other", value).await.unwrap();
                    etcd.clear_history();
                    etcd.sleep(seconds(2)).await;
                }
            };
            block_on(join(updates, writes));
        }
    }
}

#[test]
fn a_dropped_watch_leaves_nothing_behind() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let mut watches: Vec<_> = (0..10)
            .map(|n| client.v2().watch(format!("/{n}")))
            .collect();
        let all = futures::future::join_all(watches.iter_mut().map(StreamExt::next));
        futures::future::select(all, etcd.sleep(seconds(3))).await;
        assert_eq!(etcd.open_watches(), 10);
        drop(watches);
    });
    assert_eq!((etcd.open_watches(), etcd.open_exchanges()), (0, 0));
    assert_eq!(etcd.sleeping(), 0);
}
