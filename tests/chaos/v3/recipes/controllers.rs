//! The guarantees of controllers that an election decides about:
//!
//! - *the last state*: when the faults are over, every key is made what it says, deleted ones as well;
//! - *one at a time*: no key is reconciled twice at once by one controller, and no two controllers work at the same time, with a
//!   live lease.
//!
//! Each controller lives for some seconds, and is stopped, or dropped as by a crash.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcd_http::{
    Client,
    recipes::{
        Cache, Controller, ControllerDriver, ControllerStats, Election, ReconcileRequest,
        Reconciled, Session,
    },
    transport::Transport,
    v3::{Compare, KeyRange, Put, Range, Txn},
};

use crate::{
    is_over,
    v3::{
        Task,
        history::{History, Times},
        holding::{Holding, exclusive},
        journal::Journal,
    },
};

const NAME: &str = "chaos/controller";
const TTL: Duration = Duration::from_secs(3);

/// The keys that are reconciled, and what is made of them: the revision that wrote a key, or 0.
const WISHES: &str = "chaos/wished/";
const MADE: &str = "chaos/made/";
const KEYS: usize = 12;

/// How soon the last state is reconciled after the faults.
const CONVERGENCE: Duration = Duration::from_secs(60);

/// What controllers did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// From the first to the last sign of work, of each controller by its token.
    terms: Vec<Holding>,
    lives: usize,
    started: u64,
    failed: u64,
    retried: u64,
    dropped: u64,
}

impl<T: Transport> Task<T> {
    /// Writes keys and deletes some.
    pub(super) async fn wish(mut self) {
        while self.goes_on().await {
            let key = format!("{WISHES}{}", self.random.usize(0..KEYS));
            let value = self.unique();
            let is_delete = self.random.u8(0..4) == 0;
            let kv = self.client.v3().kv();
            let result = match is_delete {
                true => kv.delete(key).await.map(drop),
                false => kv.put(key, value).await.map(drop),
            };
            self.journal.count("wish", &result);
        }
    }

    /// Reconciles the keys, in one life after the other.
    pub(super) async fn control(mut self) {
        while self.goes_on().await {
            let Some((session, session_driver)) = self.session(TTL).await else {
                continue;
            };
            let (cache, cache_driver) =
                Cache::new(self.client.v3(), KeyRange::prefix(WISHES), |_| {
                    Ok::<_, Infallible>(())
                });
            let following = tokio::spawn(cache_driver);
            let terms = Terms::new(&self.name, &self.journal);
            let (controller, driver) = self.controller(&session, &cache, &terms);
            let working = tokio::spawn(driver);
            let until = Instant::now() + self.between(2_000, 10_000);
            while Instant::now() < until && !self.is_over() {
                let look = self.between(50, 200);
                self.sleep(look).await;
            }
            if self.is_over() {
                self.converge().await;
            }
            match self.random.u8(0..3) {
                0 => working.abort(),
                _ => {
                    let limit = self.between(1, 1_000);
                    let stopped = controller.stop(limit).await;
                    self.journal.count_recipe("stop a controller", &stopped);
                }
            }
            // It is canceled, or has ended.
            let _ = working.await;
            drop(cache);
            following.await.unwrap();
            terms.record(controller.stats());
            self.end_session(session, session_driver).await;
        }
    }

    fn controller(
        &self,
        session: &Session<T>,
        cache: &Cache<()>,
        terms: &Terms,
    ) -> (Controller, ControllerDriver) {
        let election = Election::new(session, NAME);
        let (client, terms) = (self.client.clone(), terms.clone());
        Controller::builder(&self.client, cache)
            .concurrency(3)
            .backoff(Duration::from_millis(50), Duration::from_secs(2))
            .resync_interval(Duration::from_secs(30))
            .elected(&election, self.name.clone())
            .reconcile(move |request| make(client.clone(), terms.clone(), request))
    }

    /// Waits until everything is made, while the controllers work.
    async fn converge(&self) {
        let began = Instant::now();
        let mut left = "nothing could be read".to_owned();
        while !is_over(began, CONVERGENCE) {
            let both = Txn::new()
                .then(Range::new(KeyRange::prefix(WISHES)))
                .then(Range::new(KeyRange::prefix(MADE)));
            if let Ok(both) = self.client.send(both).await {
                let of = |number| both.range(number).map_or(&[][..], |range| &range.kvs);
                let name =
                    |key: &Bytes| key.rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec);
                let mut wished: BTreeMap<_, String> = BTreeMap::new();
                // A key that is not there any more was deleted.
                wished.extend(of(1).iter().map(|kv| (name(&kv.key), "0".to_owned())));
                let present = of(0).iter();
                wished.extend(present.map(|kv| (name(&kv.key), kv.mod_revision.to_string())));
                let made = of(1).iter();
                let made: BTreeMap<_, _> = made
                    .map(|kv| {
                        (
                            name(&kv.key),
                            String::from_utf8_lossy(&kv.value).into_owned(),
                        )
                    })
                    .collect();
                if wished == made {
                    return;
                }
                left = format!("{wished:?} is wished, and {made:?} made");
            }
            self.sleep(Duration::from_millis(200)).await;
        }
        self.journal.oddity(format!("not reconciled: {left}"));
    }
}

/// Makes a key what it says, by a write that only a leader can make, and none that is late.
async fn make<T: Transport>(
    client: Client<T>,
    terms: Terms,
    request: ReconcileRequest<()>,
) -> Result<Reconciled, String> {
    let work = terms.begin(&request);
    let name = String::from_utf8_lossy(&request.key[WISHES.len()..]).into_owned();
    let made = format!("{MADE}{name}");
    let found = client.v3().kv().get(&*made).await;
    work.goes_on();
    let found = found.map_err(|error| error.to_string())?;
    let written = found.map_or(0, |kv| kv.mod_revision);
    client.transport().sleep(Duration::from_millis(100)).await;
    work.goes_on();
    let write = Txn::new()
        .when(Compare::mod_revision(&*made).equal(written))
        .then(Put::new(&*made, request.mod_revision().to_string()));
    let done = client.send(request.guard(write)).await;
    work.goes_on();
    match done.map_err(|error| error.to_string())?.succeeded {
        true => Ok(Reconciled::AwaitChange),
        false => Err("another write was there".to_owned()),
    }
}

/// The terms of one controller.
#[derive(Clone)]
struct Terms {
    who: String,
    journal: Arc<Journal>,
    inner: Arc<Mutex<Working>>,
}

#[derive(Default)]
struct Working {
    terms: BTreeMap<i64, Holding>,
    running: HashSet<Bytes>,
}

/// A key that is being reconciled, until this is dropped.
struct Work {
    terms: Terms,
    key: Bytes,
    token: i64,
}

impl Terms {
    fn new(who: &str, journal: &Arc<Journal>) -> Self {
        Self {
            who: who.to_owned(),
            journal: Arc::clone(journal),
            inner: Arc::default(),
        }
    }

    fn begin(&self, request: &ReconcileRequest<()>) -> Work {
        let fence = request.fence.as_ref().expect("there is an election");
        let now = Instant::now();
        let mut inner = self.inner.lock().unwrap();
        if !inner.running.insert(request.key.clone()) {
            let what = format!("{:?} was reconciled twice at once", request.key);
            self.journal.oddity(what);
        }
        let token = fence.token();
        let term = inner.terms.entry(token).or_insert_with(|| Holding {
            who: self.who.clone(),
            key: String::from_utf8_lossy(fence.key()).into_owned(),
            token,
            from: now,
            until: now,
        });
        term.until = now;
        Work {
            terms: self.clone(),
            key: request.key.clone(),
            token,
        }
    }

    fn record(&self, stats: ControllerStats) {
        let terms = std::mem::take(&mut self.inner.lock().unwrap().terms);
        self.journal.record(|records| {
            let record = &mut records.controllers;
            record.terms.extend(terms.into_values());
            record.lives += 1;
            record.started += stats.started;
            record.failed += stats.failed;
            record.retried += stats.retried;
            record.dropped += stats.dropped;
        });
    }
}

impl Work {
    /// It was polled, so the controller believes that it leads.
    fn goes_on(&self) {
        let mut inner = self.terms.inner.lock().unwrap();
        if let Some(term) = inner.terms.get_mut(&self.token) {
            term.until = Instant::now();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut inner = self.terms.inner.lock().unwrap();
        inner.running.remove(&self.key);
    }
}

pub(crate) fn check(
    record: &Record,
    history: &History,
    times: &Times,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (Figures, Vec<String>) {
    let ownerships = history.ownerships(&format!("{NAME}/"));
    let terms = record.terms.clone();
    let (cut_short, problems) = exclusive(terms, TTL, history, &ownerships, times, explains);
    let made = history.events.iter();
    let made = made.filter(|event| event.key.starts_with(MADE)).count();
    let figures = Figures {
        record: record.clone(),
        cut_short,
        made,
    };
    (figures, problems)
}

pub(crate) struct Figures {
    record: Record,
    cut_short: usize,
    made: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record {
            terms,
            lives,
            started,
            failed,
            retried,
            dropped,
        } = &self.record;
        writeln!(
            f,
            "  {lives} controllers, {} of them led; {started} keys reconciled, {retried} of them again, {failed} failed, {dropped} \
             dropped; {} writes; {} terms cut short by etcd",
            terms.len(),
            self.made,
            self.cut_short
        )
    }
}
