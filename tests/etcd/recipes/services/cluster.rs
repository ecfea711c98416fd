//! Both modules on a cluster of three, whose members are killed and halted, while a process dies and another one is halted.

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use etcd_http::{Client, hyper::HyperTransport, server::Cluster, v3::Namespace};
use futures::future::{Either, join, select};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    TTL, beside,
    discovery::Discovery,
    instance,
    metadata::{MetadataStore, Write, WriteError},
    next,
};

/// A process that can be halted, as by SIGSTOP: none of its futures is polled.
#[derive(Default)]
struct Process {
    is_halted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Process {
    async fn run<O>(&self, work: impl Future<Output = O>) -> O {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if self.is_halted.get() {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            work.as_mut().poll(cx)
        })
        .await
    }

    fn resume(&self) {
        self.is_halted.set(false);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A process has a client of its own, which begins with another member.
fn keys(cluster: &Cluster, first: usize) -> Namespace<HyperTransport> {
    let mut urls = cluster.client_urls();
    urls.rotate_left(first);
    let client = Client::builder(HyperTransport::default()).endpoints(urls);
    // A halted member costs each call this long at most.
    let client = client.timeout(Duration::from_secs(1)).build().unwrap();
    client.v3().namespace("app/")
}

#[test]
fn services_go_on_while_members_are_killed_and_halted() {
    let cluster = Arc::new(Cluster::start(3).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (ready, is_over) = (Cell::new(0), Cell::new(false));
    let faults = async {
        while ready.get() < 2 {
            sleep(PAUSE).await;
        }
        let cluster = Arc::clone(&cluster);
        spawn_blocking(move || inject_faults(&cluster))
            .await
            .unwrap();
        is_over.set(true);
    };
    let services = async {
        // On the heap: they are more than the stack of a test takes.
        let discovery = Box::pin(discover(&cluster, &ready, &is_over));
        let store = Box::pin(store(&cluster, &ready, &is_over));
        futures::join!(discovery, store, faults);
    };
    let done = runtime.block_on(async { timeout(Duration::from_secs(60), services).await });
    done.expect("a service hangs");
}

/// The leader is killed and started again, then another member is halted.
fn inject_faults(cluster: &Cluster) {
    let leader = cluster.leader().unwrap();
    cluster.member(leader).kill().unwrap();
    thread::sleep(TTL);
    cluster.member(leader).restart().unwrap();
    let other = cluster.member((leader + 1) % 3);
    other.pause().unwrap();
    thread::sleep(TTL * 2);
    other.resume().unwrap();
}

/// Two processes know each other all the time. A third one, with a short lease, dies when the faults are over.
async fn discover(cluster: &Cluster, ready: &Cell<u32>, is_over: &Cell<bool>) {
    let join = async |number, ttl| {
        let keys = keys(cluster, number);
        Discovery::join(&keys, "web", ttl).await.unwrap()
    };
    let (first, driver) = join(0, TTL * 4).await;
    let (second, other) = join(1, TTL * 4).await;
    let (third, last) = join(2, TTL).await;
    let mut changes = first.changes();
    let scene = async {
        let stays = async {
            while first.instances().len() < 3 {
                sleep(PAUSE).await;
            }
            ready.set(ready.get() + 1);
            while !is_over.get() || !first.instances().contains_key("c") {
                let known = first.instances();
                assert!(known.contains_key("a") && known.contains_key("b"));
                sleep(PAUSE).await;
            }
        };
        let here = instance("10.0.0.3");
        let serves = beside(last, third.serve("c", &here, pending::<()>()));
        select(Box::pin(stays), Box::pin(serves)).await;
        while first.instances().contains_key("c") {
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    };
    let seen = RefCell::new(Vec::new());
    let watch = async {
        loop {
            let change = next(&mut changes).await;
            seen.borrow_mut().push(change);
        }
    };
    let (here, there) = (instance("10.0.0.1"), instance("10.0.0.2"));
    let scene = beside(watch, scene);
    let served = beside(driver, first.serve("a", &here, scene));
    let other = beside(other, second.serve("b", &there, pending::<()>()));
    match select(Box::pin(served), Box::pin(other)).await {
        Either::Left((served, _)) => served.unwrap(),
        Either::Right((ended, _)) => panic!("{ended:?}"),
    }
    let seen = seen.into_inner();
    println!("{seen:?}");
    assert_eq!(seen.last(), Some(&("down", "c".to_owned())));
    let lost = |(what, id): &(&str, String)| *what == "down" && id != "c";
    assert!(!seen.iter().any(lost));
}

/// The leader writes while members fail. Its process is halted then, until another one has led: it notices first thing.
async fn store(cluster: &Cluster, ready: &Cell<u32>, is_over: &Cell<bool>) {
    let [one, two] = [0, 1].map(|number| MetadataStore::new(&keys(cluster, number), TTL));
    let process = Process::default();
    let was_halted = Cell::new(false);
    let written = Cell::new(0);
    let first = one.lead("one", async |leader| {
        if was_halted.get() {
            return leader.put("last", "one").await;
        }
        // A write whose result was not seen, as this leadership was lost, is applied or will never be.
        written.set(
            one.list("log/")
                .await
                .map_or(written.get(), |log| log.len()),
        );
        while !is_over.get() {
            let append = Write {
                key: format!("log/{:06}", written.get()),
                value: Some(b"entry".into()),
                expected: Some(0),
            };
            match leader.commit(&[append]).await {
                Ok(()) if written.get() == 0 => {
                    written.set(1);
                    ready.set(ready.get() + 1);
                }
                Ok(()) => written.set(written.get() + 1),
                Err(WriteError::Conflict { .. }) => panic!("doubled after {}", written.get()),
                // It is elected again.
                Err(WriteError::Deposed { .. } | WriteError::Client { .. }) => pending().await,
            }
            sleep(Duration::from_millis(5)).await;
        }
        was_halted.set(true);
        process.is_halted.set(true);
        pending().await
    });
    let second = async {
        while !was_halted.get() {
            sleep(PAUSE).await;
        }
        let work = two.lead("two", async |leader| leader.put("last", "two").await);
        work.await.unwrap().unwrap();
        process.resume();
    };
    let (led, ()) = join(process.run(first), second).await;
    led.unwrap().unwrap();
    let entries = two.list("log/").await.unwrap();
    println!("{} entries", entries.len());
    assert_eq!(entries.len(), written.get());
    assert!(entries.iter().all(|entry| entry.version == 1));
    let last = two.get("last").await.unwrap().unwrap();
    assert_eq!((last.value, last.version), ("one".into(), 2));
}

const PAUSE: Duration = Duration::from_millis(50);
