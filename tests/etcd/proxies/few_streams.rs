//! A proxy that allows few streams on each HTTP/2 connection, and more watches than that.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    isahc::IsahcTransport,
    reqwest::ReqwestTransport,
    server::Server,
    transport::Transport,
    v3::{KeyRange, LeaseKeeper, Put, Watch},
};
use futures::{
    FutureExt, StreamExt,
    future::{Either, join_all, select},
};
use harness::{
    certificates::Authority,
    proxy::Nghttpx,
    real::{Executor, NoRuntime, Tokio},
    stall_monitor::StallMonitor,
};

use crate::{Trusting, works::works};

#[test]
fn no_call_waits_for_watches_over_reqwest() {
    Tokio::block_on(no_call_waits_for_watches::<ReqwestTransport>());
}

#[test]
fn no_call_waits_for_watches_over_isahc() {
    NoRuntime::block_on(no_call_waits_for_watches::<IsahcTransport>());
}

#[test]
fn everything_works_through_an_nghttpx_over_reqwest() {
    Tokio::block_on(everything_works_through_an_nghttpx::<ReqwestTransport>());
}

#[test]
fn everything_works_through_an_nghttpx_over_isahc() {
    NoRuntime::block_on(everything_works_through_an_nghttpx::<IsahcTransport>());
}

async fn everything_works_through_an_nghttpx<T: Trusting>() {
    let mut authority = Authority::new();
    let server = Server::start().unwrap();
    let proxy = Nghttpx::before(server.client_url(), &authority.issue("127.0.0.1")).start();
    let client = Client::new(T::trusting(&authority.certificate()), [proxy.url()]).unwrap();
    works(&client, "/nghttpx").await;
}

/// How many watches there are: twice what one connection has room for.
const WATCHES: usize = 40;
const MAX_STREAMS: u32 = 20;

/// Short enough to die here if it is not renewed, longer than a busy machine stalls.
const TTL: Duration = Duration::from_secs(4);

/// Far below the time limit of a call, far above what a busy machine takes.
const PROMPT: Duration = Duration::from_secs(2);

async fn no_call_waits_for_watches<T: Trusting>() {
    let mut authority = Authority::new();
    let server = Server::start().unwrap();
    let proxy = Nghttpx::before(server.client_url(), &authority.issue("127.0.0.1"))
        .max_streams(MAX_STREAMS)
        .start();
    let client = Client::new(T::trusting(&authority.certificate()), [proxy.url()]).unwrap();
    let (keeper, keep) = LeaseKeeper::new(&client);
    let machine = StallMonitor::start();
    let work = async {
        let mut leases = Vec::new();
        for _ in 0..5 {
            leases.push(keeper.grant(TTL).await.unwrap());
        }
        let first = client.send(Put::new("start", "")).await.unwrap();
        let first = first.header.revision + 1;
        let watch = |number| {
            let range = KeyRange::key(format!("key/{number}"));
            client.open(Watch::new(range).from_revision(first))
        };
        let mut watches: Vec<_> = (0..WATCHES).map(watch).collect();
        let mut slowest = Duration::ZERO;
        for round in 0..5 {
            let puts = async {
                let mut revisions = Vec::new();
                for number in 0..WATCHES {
                    let began = Instant::now();
                    let put = Put::new(format!("key/{number}"), round.to_string());
                    revisions.push(client.send(put).await.unwrap().header.revision);
                    slowest = slowest.max(machine.elapsed(began));
                }
                client.transport().sleep(TTL / 2).await;
                revisions
            };
            let reported = join_all(watches.iter_mut().map(|watch| watch.next()));
            let reported = prompt(&client, &machine, TTL / 2, reported);
            let (revisions, reported) = futures::join!(puts, reported);
            let reported: Vec<_> = reported
                .into_iter()
                .map(|change| change.unwrap().unwrap().revision)
                .collect();
            assert_eq!(reported, revisions);
        }
        assert!(slowest < PROMPT, "a put took {slowest:?}");
        for lease in &leases {
            if let Some(loss) = lease.lost().now_or_never() {
                panic!("{loss}");
            }
        }
    };
    let (work, keep) = (pin!(work), pin!(keep));
    assert!(matches!(select(work, keep).await, Either::Left(_)));
}

/// Waits for what must be there soon after this time, stalls of the machine aside.
async fn prompt<T: Transport, F: Future>(
    client: &Client<T>,
    machine: &StallMonitor,
    after: Duration,
    what: F,
) -> F::Output {
    let began = Instant::now();
    let mut what = pin!(what);
    loop {
        let left = (after + PROMPT).saturating_sub(machine.elapsed(began));
        assert!(!left.is_zero(), "some watches wait");
        match select(what, pin!(client.transport().sleep(left))).await {
            Either::Left((output, _)) => return output,
            Either::Right(((), again)) => what = again,
        }
    }
}
