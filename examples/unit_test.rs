//! A small service and its unit tests: no server, no port, no waiting.
//!
//! The service runs in several processes. One of them leads as long as it renews its lease; all follow the
//! configuration. `main` shows the death of a leader; the tests are at the end.
//!
//! ```text
//! cargo run --example unit_test --features fake
//! cargo test --example unit_test --features fake
//! ```

use std::{cell::Cell, time::Duration};

use etcd_http::{
    Client, Result, RetryPolicy,
    fake::{Clock, FakeEtcd},
    transport::Transport,
    v3::{Compare, KeyValue, LeaseId, Put, Range, Txn, Watch},
};
use futures::{
    StreamExt,
    executor::block_on,
    future::{join3, try_join},
};

const LEADER: &str = "service/leader";
const LOG_LEVEL: &str = "service/log-level";

/// Another leader follows a dead one after this time, or at most half a second later.
const TTL: Duration = Duration::from_secs(10);

/// Often enough to tolerate two lost renewals in a row.
const RENEW: Duration = Duration::from_secs(3);

/// Generic over the transport: reqwest in production, the fake in tests.
struct Service<T> {
    name: &'static str,
    client: Client<T>,
    /// The lease that this instance leads with, or would.
    lease: Cell<Option<LeaseId>>,
}

impl<T: Transport> Service<T> {
    fn new(name: &'static str, client: Client<T>) -> Self {
        // A renewal that takes longer counts as failed: two more attempts fit before the lease is over.
        let client = client
            .with_timeout(Duration::from_secs(1))
            .with_retry(RetryPolicy::never());
        let lease = Cell::new(None);
        Self {
            name,
            client,
            lease,
        }
    }

    /// Renews the lease, takes the lead if it is free, and returns whether this instance has it now.
    async fn campaign(&self) -> Result<bool> {
        let lease = self.live_lease().await?;
        // The key goes away with the lease, and another instance leads.
        let txn = Txn::new()
            .when(Compare::missing(LEADER))
            .then(Put::new(LEADER, self.name).lease(lease))
            .otherwise(Range::new(LEADER));
        let done = self.client.send(txn).await?;
        let leader = done.range(0).and_then(|found| found.kvs.first());
        Ok(done.succeeded || leader.is_some_and(|leader| leader.lease == lease))
    }

    async fn live_lease(&self) -> Result<LeaseId> {
        let v3 = self.client.v3();
        if let Some(lease) = self.lease.get()
            && v3.leases().keep_alive_once(lease).await?.is_some()
        {
            return Ok(lease);
        }
        let lease = v3.leases().grant(TTL).await?.id;
        self.lease.set(Some(lease));
        Ok(lease)
    }

    /// Leads whenever it can, for `rounds` rounds. The time is the transport's, so the clock of a test drives this
    /// loop.
    async fn run(&self, rounds: usize, leads: &Cell<bool>) {
        for _ in 0..rounds {
            // Without certainty, the instance does not lead. The next round shows.
            leads.set(self.campaign().await.unwrap_or(false));
            self.client.transport().sleep(RENEW).await;
        }
        leads.set(false);
    }

    /// Calls `set` with the current log level and with each change, up to `last`.
    async fn follow(&self, last: &str, mut set: impl FnMut(&str)) -> Result<()> {
        let mut set = |kv: &KeyValue| {
            let level = String::from_utf8_lossy(&kv.value);
            set(&level);
            level == last
        };
        let now = self.client.v3().kv().range(LOG_LEVEL).await?;
        for kv in &now.kvs {
            set(kv);
        }
        let watch = Watch::new(LOG_LEVEL).after_revision(now.header.revision);
        let mut revisions = self.client.open(watch);
        while let Some(changes) = revisions.next().await {
            for event in &changes?.events {
                if set(&event.kv) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn service(name: &'static str, etcd: &FakeEtcd) -> Service<FakeEtcd> {
    let client = Client::new(etcd.clone(), etcd.endpoints()).expect("the fake's own URLs");
    Service::new(name, client)
}

fn main() -> Result<()> {
    // A clock that jumps ahead when everything waits: half a minute passes immediately.
    let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
    let (a, b) = (service("a", &etcd), service("b", &etcd));
    let (a_leads, b_leads) = (Cell::new(false), Cell::new(false));
    let look_on = async {
        b.client.v3().kv().put(LOG_LEVEL, "info").await?;
        let follow = b.follow("debug", |level| {
            println!("{:>4?}  log level: {level}", etcd.elapsed());
        });
        let operate = async {
            for second in 0..30 {
                etcd.sleep(Duration::from_secs(1)).await;
                if second == 10 {
                    a.client.v3().kv().put(LOG_LEVEL, "debug").await?;
                }
                if second % 3 == 0 {
                    let (a, b) = (a_leads.get(), b_leads.get());
                    println!("{:>4?}  a leads: {a:5}  b leads: {b:5}", etcd.elapsed());
                }
            }
            Ok(())
        };
        try_join(follow, operate).await
    };
    // After three rounds a dies silently.
    let (_, _, looked) = block_on(join3(a.run(3, &a_leads), b.run(10, &b_leads), look_on));
    looked?;
    println!("\nthe requests:\n{}", etcd.log_text());
    Ok(())
}

#[cfg(test)]
mod tests {
    use etcd_http::{
        Outcome,
        fake::{Exchange, Fault, When},
    };
    use futures::future::join;

    use super::*;

    #[test]
    fn of_two_one_leads() -> Result<()> {
        let etcd = FakeEtcd::new();
        let (a, b) = (service("a", &etcd), service("b", &etcd));
        assert!(block_on(a.campaign())?);
        assert!(!block_on(b.campaign())?);
        assert!(block_on(a.campaign())?);
        // What is stored can be read without a request, and the requests themselves, too.
        assert_eq!(etcd.get(LEADER).unwrap().value, "a");
        assert_eq!(etcd.history().len(), 1);
        assert_eq!(etcd.leases().len(), 2);
        let of_leader =
            |request: &Exchange| request.line().contains("success.0.request_put.value=a");
        etcd.assert_count(&When::any().matching(of_leader), 2);
        Ok(())
    }

    /// The test controls the clock.
    #[test]
    fn a_leader_that_dies_is_followed_when_its_lease_is_over() -> Result<()> {
        let etcd = FakeEtcd::new();
        let (a, b) = (service("a", &etcd), service("b", &etcd));
        assert!(block_on(a.campaign())?);
        etcd.advance(TTL - Duration::from_secs(1));
        assert!(!block_on(b.campaign())?);
        // etcd looks for expired leases every half second.
        etcd.advance(Duration::from_millis(1500));
        assert!(block_on(b.campaign())?);
        Ok(())
    }

    /// A fault: etcd makes it the leader, and the response is lost.
    #[test]
    fn a_lost_response_makes_no_two_leaders_and_no_vacancy() -> Result<()> {
        let etcd = FakeEtcd::new();
        let (a, b) = (service("a", &etcd), service("b", &etcd));
        // By gRPC or by the gateway.
        etcd.inject(When::any().path("/v3/kv/txn").once(), Fault::break_after());
        let error = block_on(a.campaign()).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert!(!block_on(b.campaign())?);
        assert!(
            block_on(a.campaign())?,
            "the next round finds that it has it"
        );
        Ok(())
    }

    /// An hour over a bad network: every tenth response and every thirteenth request is lost.
    #[test]
    fn there_are_never_two_leaders() {
        let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
        etcd.inject(When::any().every(10), Fault::break_after());
        etcd.inject(When::any().every(13), Fault::silence());
        let (a, b) = (service("a", &etcd), service("b", &etcd));
        let (a_leads, b_leads) = (Cell::new(false), Cell::new(false));
        let mut led = 0;
        let look_on = async {
            for _ in 0..3600 {
                etcd.sleep(Duration::from_secs(1)).await;
                assert!(!(a_leads.get() && b_leads.get()), "{}", etcd.log_text());
                led += usize::from(a_leads.get() || b_leads.get());
            }
        };
        block_on(join3(a.run(1200, &a_leads), b.run(1200, &b_leads), look_on));
        assert!(
            led > 1800,
            "there is a leader most of the time: {led} of 3600 seconds"
        );
    }

    #[test]
    fn the_configuration_is_followed_over_a_broken_watch() -> Result<()> {
        let etcd = FakeEtcd::builder().clock(Clock::auto()).build();
        let (a, operator) = (service("a", &etcd), service("operator", &etcd));
        block_on(operator.client.v3().kv().put(LOG_LEVEL, "info"))?;
        // The first event never arrives: the connection breaks in the middle of it.
        let watch = When::any().matching(|request| request.path().to_lowercase().contains("watch"));
        etcd.inject(watch.once(), Fault::break_body(200));
        let mut levels = Vec::new();
        let change = async {
            for level in ["debug", "trace", "warn"] {
                etcd.sleep(Duration::from_secs(60)).await;
                operator.client.v3().kv().put(LOG_LEVEL, level).await?;
            }
            Ok(())
        };
        let (followed, changed): (_, Result<()>) = block_on(join(
            a.follow("warn", |level| levels.push(level.to_owned())),
            change,
        ));
        followed.and(changed)?;
        assert_eq!(levels, ["info", "debug", "trace", "warn"]);
        Ok(())
    }
}
