//! Many watches that have nothing to tell: one timer, and one of them is woken.

use std::{cell::Cell, future::poll_fn, task::Poll};

use etcd_http::{
    Client, Result,
    fake::{FakeEtcd, Fault, When},
    transport::Transport,
    v3::{Changes, Watch},
};
use futures::{
    FutureExt, StreamExt,
    future::{Either, select},
    stream::{BoxStream, FuturesUnordered},
};

use crate::support::{block_on, client, jumping, millis, seconds};

const COUNT: usize = 200;

type Items = BoxStream<'static, Result<Changes>>;

fn open(client: &Client<FakeEtcd>, count: usize) -> impl Iterator<Item = Items> {
    let watch = |number| client.open(Watch::new(format!("quiet/{number}")));
    (0..count).map(watch)
}

/// Moves the time on, and polls those of these watches that are woken. None of them may have an event or end.
fn pass(watches: &mut FuturesUnordered<impl Future>, etcd: &FakeEtcd, seconds: u64) {
    for _ in 0..10 * seconds {
        etcd.advance(millis(100));
        assert!(watches.next().now_or_never().is_none());
    }
}

#[test]
fn of_many_quiet_watches_one_is_woken_to_ask_whether_the_server_is_alive() {
    let etcd = FakeEtcd::builder().log_capacity(10_000).build();
    let client = client(&etcd);
    let polls = &Cell::new(0);
    let counted = |mut watch: Items| {
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            watch.poll_next_unpin(cx)
        })
    };
    let mut watches: FuturesUnordered<_> = open(&client, COUNT).map(counted).collect();
    pass(&mut watches, &etcd, 1);
    etcd.clear_log();
    let opened = polls.get();
    pass(&mut watches, &etcd, 140);
    // 27 or 28 questions, and not 200 times as many wake-ups.
    let woken = polls.get() - opened;
    assert!((27..5 * 28).contains(&woken), "{woken}");
    let questions = etcd.count(&When::any().path("/v3/maintenance/status"));
    assert!((26..=28).contains(&questions), "{questions}");
    // After 150 s each is opened again: its connection may be dead.
    etcd.clear_log();
    pass(&mut watches, &etcd, 25);
    etcd.assert_count(&When::any().path("/v3/watch"), COUNT);
    pass(&mut watches, &etcd, 100);
    etcd.assert_count(&When::any().path("/v3/watch"), COUNT);
}

#[test]
fn a_watch_that_is_not_polled_keeps_no_other_from_leaving_a_halted_member() {
    for parked in [0, 1, COUNT - 1] {
        let etcd = FakeEtcd::builder().members(3).log_capacity(10_000).build();
        let client = client(&etcd);
        let is_parked = &Cell::new(false);
        let parking = |(number, mut watch): (usize, Items)| {
            poll_fn(move |cx| match is_parked.get() && number < parked {
                // Its program does something else, and does not poll it when it is woken.
                true => Poll::Pending,
                false => watch.poll_next_unpin(cx),
            })
        };
        let watches = open(&client, COUNT).enumerate().map(parking);
        let mut watches: FuturesUnordered<_> = watches.collect();
        pass(&mut watches, &etcd, 7);
        etcd.clear_log();
        is_parked.set(true);
        etcd.inject(When::any().endpoint(0), Fault::silence());
        pass(&mut watches, &etcd, 10);
        let opened = [1, 2].map(|it| etcd.count(&When::any().path("/v3/watch").endpoint(it)));
        assert_eq!(
            opened.iter().sum::<usize>(),
            COUNT - parked,
            "{parked} are not polled"
        );
    }
}

#[test]
fn watches_that_come_and_go_leave_the_others_as_they_are() {
    let etcd = jumping().log_capacity(10_000).build();
    let client = client(&etcd);
    let mut quiet: FuturesUnordered<_> = open(&client, 20).map(StreamExt::into_future).collect();
    block_on(async {
        let come_and_go = async {
            loop {
                for mut watch in open(&client, 5) {
                    select(watch.next(), etcd.sleep(seconds(1))).await;
                }
            }
        };
        let busy = async {
            let mut events = client.open(Watch::new("busy"));
            let write = async {
                for number in 0.. {
                    let put = client.v3().kv().put("busy", number.to_string());
                    put.await.unwrap();
                    etcd.sleep(seconds(2)).await;
                }
            };
            let read = async { while events.next().await.is_some() {} };
            futures::join!(read, write);
        };
        let others = Box::pin(select(Box::pin(come_and_go), Box::pin(busy)));
        let all = async {
            let heard = select(quiet.next(), etcd.sleep(seconds(120))).await;
            assert!(matches!(heard, Either::Right(_)));
        };
        select(Box::pin(all), others).await;
        // Calls show that the server is alive, so that nobody asks.
        etcd.assert_count(&When::any().path("/v3/maintenance/status"), 0);
    });
}
