//! v2 watches whose responses are slow to arrive: what has begun to arrive is not silence.

use std::{
    pin::{Pin, pin},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::{Poll, ready},
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    fake::FakeEtcd,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait,
        bytes::Bytes,
        http_body::{Body as _, Frame},
    },
    v2::Watch,
};
use futures::{
    StreamExt,
    future::{BoxFuture, Either, join, select},
};

use crate::support::{block_on, client, jumping, millis, seconds};

fn is_poll(request: &Request) -> bool {
    let query = request.uri().query();
    query.is_some_and(|query| query.contains("wait=true"))
}

/// The first 100 bytes of an event arrive when it happens, and the rest later: a large value over a slow link.
#[derive(Debug)]
struct SlowLink {
    etcd: FakeEtcd,
    rest: Duration,
}

#[async_trait]
impl Transport for SlowLink {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let is_poll = is_poll(&request);
        let response = self.etcd.send(request).await?;
        if !is_poll {
            return Ok(response);
        }
        let (etcd, rest) = (self.etcd.clone(), self.rest);
        let mut under_way: Option<(Bytes, BoxFuture<'static, ()>)> = None;
        Ok(response.map(|mut body| {
            Body::poll_fn(move |cx| {
                if let Some((_, arrival)) = &mut under_way {
                    ready!(arrival.as_mut().poll(cx));
                    let data = under_way.take().map(|(data, _)| Ok(Frame::data(data)));
                    return Poll::Ready(data);
                }
                let frame = ready!(Pin::new(&mut body).poll_frame(cx));
                let Some(Ok(frame)) = frame else {
                    return Poll::Ready(frame);
                };
                Poll::Ready(Some(Ok(frame.map_data(|mut data| {
                    let first = data.split_to(data.len().min(100));
                    if !data.is_empty() {
                        let etcd = etcd.clone();
                        under_way = Some((data, Box::pin(async move { etcd.sleep(rest).await })));
                    }
                    first
                }))))
            })
        }))
    }

    async fn sleep(&self, duration: Duration) {
        self.etcd.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.etcd.now()
    }
}

#[test]
fn an_event_that_takes_longer_than_a_poll_is_not_passed_over() {
    // So many events elsewhere in 10 ms.
    for (rate, rest, may_lose) in [(1, 4.0, false), (2, 3.0, false), (4, 3.0, true)] {
        let etcd = jumping().build();
        let rest = Duration::from_secs_f64(rest);
        let link = SlowLink {
            etcd: etcd.clone(),
            rest,
        };
        let (writer, watcher) = (client(&etcd), Client::new(link, etcd.endpoints()).unwrap());
        let writes = async {
            let mut made = Vec::new();
            for n in 0..1500 {
                for _ in 0..rate {
                    writer.v2().set("/elsewhere", "x").await.unwrap();
                }
                if [340, 1100].contains(&n) {
                    let set = writer.v2().set(format!("/d/{n}"), "v".repeat(300));
                    made.push(set.await.unwrap().index());
                }
                etcd.sleep(millis(10)).await;
            }
            made
        };
        let from = etcd.index() + 1;
        let watch = Watch::new("/d").recursive(true).from_index(from);
        let events = watcher.open(watch).take(2).collect::<Vec<_>>();
        let both = pin!(join(writes, events));
        let Either::Left(((made, events), _)) = block_on(select(both, etcd.sleep(seconds(60))))
        else {
            panic!("no event for a minute")
        };
        let mut expected = made.into_iter();
        for event in events {
            match event {
                Ok(event) => assert_eq!(Some(event.index()), expected.next(), "{rate}, {rest:?}"),
                // The history passes on while an event arrives.
                Err(error) => assert!(may_lose && error.is_history_cleared(), "{rate}: {error}"),
            }
        }
    }
}

/// The first poll is dead, and of the next one the head arrives alone, which says that the history is lost.
#[derive(Debug)]
struct StalledRefusal {
    etcd: FakeEtcd,
    polls: AtomicU32,
}

#[async_trait]
impl Transport for StalledRefusal {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let is_poll = is_poll(&request);
        let response = self.etcd.send(request).await?;
        if !is_poll || self.polls.fetch_add(1, Relaxed) >= 2 {
            return Ok(response);
        }
        Ok(response.map(|body| {
            Body::poll_fn(move |_| {
                let _ = &body;
                Poll::Pending
            })
        }))
    }

    async fn sleep(&self, duration: Duration) {
        self.etcd.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.etcd.now()
    }
}

#[test]
fn the_head_of_a_refusal_is_no_silence() {
    let etcd = jumping().build();
    let transport = StalledRefusal {
        etcd: etcd.clone(),
        polls: AtomicU32::new(0),
    };
    let watcher = Client::new(transport, etcd.endpoints()).unwrap();
    let writer = client(&etcd);
    let writes = async {
        etcd.sleep(millis(500)).await;
        writer.v2().set("/d/1", "lost").await.unwrap();
        for _ in 0..1500 {
            writer.v2().set("/elsewhere", "x").await.unwrap();
        }
        etcd.sleep(seconds(20)).await;
        writer.v2().set("/d/2", "later").await.unwrap();
    };
    let from = etcd.index() + 1;
    let watch = Watch::new("/d").recursive(true).from_index(from);
    let mut events = watcher.open(watch);
    let (event, ()) = block_on(join(events.next(), writes));
    let error = event.unwrap().unwrap_err();
    assert!(error.is_history_cleared(), "{error}");
}

#[test]
fn a_watch_leaves_a_member_that_lags_behind_the_majority() {
    let etcd = jumping().members(3).build();
    let writer = Client::new(etcd.clone(), [etcd.endpoint(2).url()]).unwrap();
    let urls = [1, 0, 2].map(|member| etcd.endpoint(member).url());
    let watcher = Client::new(etcd.clone(), urls).unwrap();
    let from = etcd.index() + 1;
    let watch = Watch::new("/d").recursive(true).from_index(from);
    let events = watcher.open(watch).take(40).collect::<Vec<_>>();
    let writes = async {
        etcd.sleep(millis(500)).await;
        etcd.endpoint(0).lag();
        let mut made = Vec::new();
        for n in 0..40 {
            if n == 20 {
                // The next one in order is the one that lags.
                etcd.endpoint(1).stop();
            }
            let set = writer.v2().set("/d/1", n.to_string()).await;
            made.push(set.unwrap().index());
            etcd.sleep(seconds(1)).await;
        }
        made
    };
    let both = pin!(join(events, writes));
    let Either::Left(((events, made), _)) = block_on(select(both, etcd.sleep(seconds(300)))) else {
        panic!("no event for minutes")
    };
    let events = events.into_iter().map(|event| event.unwrap().index());
    assert_eq!(events.collect::<Vec<_>>(), made);
}

#[test]
fn a_watch_leaves_a_member_that_is_cut_off() {
    let etcd = jumping().members(3).build();
    let writer = Client::new(etcd.clone(), [etcd.endpoint(2).url()]).unwrap();
    let watcher = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    let from = etcd.index() + 1;
    let watch = Watch::new("/d").recursive(true).from_index(from);
    let mut events = watcher.open(watch);
    let writes = async {
        etcd.sleep(seconds(60)).await;
        etcd.endpoint(0).isolate();
        writer.v2().set("/d/1", "1").await.unwrap().index()
    };
    let limit = etcd.sleep(seconds(100));
    let Either::Left(((event, index), _)) =
        block_on(select(pin!(join(events.next(), writes)), limit))
    else {
        panic!("no event within 40 s")
    };
    assert_eq!(event.unwrap().unwrap().index(), index);
}
