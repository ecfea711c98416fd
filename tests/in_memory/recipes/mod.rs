//! Recipes under faults, in virtual time.

mod cache;
mod cache_lag;
mod claims;
mod compacted;
mod config;
mod controlled;
mod controller;
mod dropped;
mod elected;
mod exactness;
mod late;
mod migration;
mod observers;
mod pages;
mod registry;
mod safety;
mod serializable;
mod session;
mod v2;
mod waits;

use std::{num::NonZeroUsize, time::Duration};

use etcd_http::{
    fake::FakeEtcd,
    recipes::{
        Barrier, Cache, CacheDriver, CacheUpdate, Config, Counter, DoubleBarrier, Election,
        Entered, Held, Leadership, Mutex, PriorityQueue, Queue, RecipeError, Registry, RwMutex,
        Semaphore, Session, SessionDriver, Snapshot, Stm,
    },
    transport::Transport,
};

use crate::support::{block_on, client, seconds};

const TTL: Duration = seconds(10);

/// A session of a client of its own.
async fn session(etcd: &FakeEtcd) -> (Session<FakeEtcd>, SessionDriver) {
    Session::open(client(etcd).v3(), TTL).await.unwrap()
}

/// Futures of recipes can be spawned on a runtime with several threads, for any transport.
#[test]
fn futures_can_be_sent_to_other_threads() {
    fn check<T: Transport>(session: &Session<T>, driver: SessionDriver) {
        fn can_be_sent(_: impl Future + Send) {}
        fn can_be_shared<V: Send + Sync>() {}
        can_be_shared::<(Session<T>, Held<T>, Leadership<T>, Entered<T>, RecipeError)>();
        let name = "name";
        can_be_sent(driver);
        can_be_sent(Session::open(session.namespace(), TTL));
        can_be_sent(session.reestablish());
        can_be_sent(session.close());
        can_be_sent(session.run(async {}, async {}));
        let mutex = Mutex::new(session, name);
        can_be_sent(mutex.lock());
        can_be_sent(mutex.lock_within(TTL));
        can_be_sent(mutex.try_lock());
        can_be_sent(async { mutex.lock().await?.run(async {}).await });
        let election = Election::new(session, name);
        can_be_sent(election.campaign(name));
        can_be_sent(election.run_while_leader(name, async |leader| leader.proclaim(name).await));
        can_be_sent(RwMutex::new(session, name).write());
        can_be_sent(Semaphore::new(session, name, NonZeroUsize::MIN).acquire());
        can_be_sent(Barrier::new(session, name).wait());
        let double = DoubleBarrier::new(session, name, NonZeroUsize::MIN);
        can_be_sent(async { double.enter().await?.leave().await });
        can_be_sent(Queue::new(session, name).pop());
        can_be_sent(async { Queue::new(session, name).claim().await?.ack().await });
        can_be_sent(PriorityQueue::new(session, name).push(name, 1));
        can_be_sent(Counter::new(session, name).add(1));
        can_be_sent(Registry::new(session, name).run_registered(name, name, async {}));
        let stm = Stm::new(session.namespace());
        can_be_sent(stm.run(async |txn| {
            txn.put(name, "");
            txn.get(name).await
        }));
    }
    fn check_caches<V: Send + Sync + 'static>(cache: &Cache<V>, driver: CacheDriver) {
        fn can_be_sent(_: impl Future + Send + 'static) {}
        fn can_be_shared<V: Send + Sync>() {}
        can_be_shared::<(Cache<V>, CacheUpdate<V>, Snapshot<V>)>();
        can_be_sent(driver);
        let cache = cache.clone();
        can_be_sent(async move { cache.wait_until(1).await });
    }
    fn check_settings<V: Send + Sync + 'static>(config: &Config<V>) {
        fn can_be_sent(_: impl Future + Send) {}
        can_be_sent(async { config.ready().await });
    }
    let etcd = FakeEtcd::new();
    let settings = Config::new(client(&etcd).v3(), "name", 1, |_: &u32| Ok::<_, String>(()));
    check_settings(&settings.0);
    let (cache, caches) = Cache::<u32>::json(client(&etcd).v3(), "name");
    check_caches(&cache, caches);
    let (session, driver) = block_on(session(&etcd));
    check(&session, driver);
}
