//! Safety under schedules of faults: requests late or lost, streams cut, leaders that change, members that lag, compaction, and
//! requests that arrive right after a lease has expired.
//!
//! `ETCD_HTTP_SCHEDULES` is the number of schedules of each test and defaults to 300. A failure shows its seed.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
    rc::Rc,
    time::Duration,
};

use etcd_http::{
    fake::{Explore, FakeEtcd},
    recipes::{
        Counter, Election, Held, Isolation, Mutex, Queue, RecipeError, RwMutex, Semaphore, Session,
        Stm,
    },
    transport::Transport,
    v3::{Put, Txn},
};
use futures::future::join_all;

use crate::support::{client, millis, seconds};

const TTL: Duration = seconds(5);

pub(super) fn explore<F>(name: &str, test: impl Fn(FakeEtcd) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let runs = env::var("ETCD_HTTP_SCHEDULES").map_or(300, |runs| runs.parse().unwrap());
    match Explore::new().runs(runs).budget(4).run(test) {
        Ok(explored) => println!("{name}: {explored}"),
        Err(failure) => panic!("{name}: {failure}"),
    }
}

/// Runs work in a session of its own, and again in another lease after the loss of one, until it is done.
pub(super) async fn with_session<O>(
    etcd: &FakeEtcd,
    work: impl AsyncFn(&Session<FakeEtcd>) -> Result<O, RecipeError>,
) -> Result<O, String> {
    let client = client(etcd);
    let (session, driver) = loop {
        match Session::open(client.v3(), TTL).await {
            Ok(opened) => break opened,
            Err(_) => etcd.sleep(seconds(1)).await,
        }
    };
    let persist = async {
        for _ in 0..50 {
            match work(&session).await {
                Ok(output) => return Ok(output),
                Err(RecipeError::SessionLost(_)) => session.reestablish().await,
                Err(_) => Ok(()),
            }
            .map_err(|error| error.to_string())?;
            etcd.sleep(millis(100)).await;
        }
        Err("no end of failures".to_owned())
    };
    session.run(driver, persist).await
}

/// The holders of something, as their own clocks see it, and a store outside etcd that fences by tokens.
#[derive(Default)]
struct Holders {
    held: RefCell<Vec<Rc<Held<FakeEtcd>>>>,
    tokens: RefCell<BTreeMap<i64, String>>,
    problem: RefCell<Option<String>>,
}

impl Holders {
    /// Notes a holder. At most `limit` may hold it at a time.
    fn enter(&self, held: &Rc<Held<FakeEtcd>>, limit: usize) {
        let mut all = self.held.borrow_mut();
        all.retain(|held| held.is_held());
        all.push(Rc::clone(held));
        if held.is_held() && all.len() > limit {
            *self.problem.borrow_mut() = Some(format!("{} holders: {all:?}", all.len()));
        }
        let key = String::from_utf8_lossy(held.key()).into_owned();
        let mut tokens = self.tokens.borrow_mut();
        if let Some(other) = tokens.insert(held.fencing_token(), key.clone())
            && other != key
        {
            *self.problem.borrow_mut() = Some(format!("{other} and {key} had the same token"));
        }
    }

    fn leave(&self, held: Rc<Held<FakeEtcd>>) -> Held<FakeEtcd> {
        self.held.borrow_mut().retain(|it| !Rc::ptr_eq(it, &held));
        Rc::into_inner(held).expect("the only one")
    }

    fn check(&self) -> Result<(), String> {
        self.problem.take().map_or(Ok(()), Err)
    }
}

/// Three sessions increment a number under a mutex, twice each: by a transaction that compares the mutex, and in a store that
/// knows nothing of etcd and fences by the token.
#[test]
fn a_mutex_never_has_two_holders_with_valid_tokens() {
    explore("mutex", async |etcd| {
        let holders = Holders::default();
        let (token, fenced) = (Cell::new(0), Cell::new(0));
        let guarded = Cell::new(0);
        let worker = async |number: u64| {
            let rounds = Cell::new(0);
            with_session(&etcd, async |session| {
                let mutex = Mutex::new(session, "lock");
                while rounds.get() < 2 {
                    let held = Rc::new(mutex.lock().await?);
                    holders.enter(&held, 1);
                    let counter = session.namespace().kv().get("count").await;
                    let count: Option<i64> = match counter {
                        Ok(None) => Some(0),
                        Ok(Some(kv)) => kv.value_str().ok().and_then(|text| text.parse().ok()),
                        Err(_) => None,
                    };
                    // A fenced store applies nothing of a former holder.
                    if held.fencing_token() >= token.get() {
                        token.set(held.fencing_token());
                        fenced.set(fenced.get() + 1);
                    }
                    etcd.sleep(millis(number * 700)).await;
                    if let Some(count) = count {
                        let write = Txn::new()
                            .when(held.is_held_compare())
                            .then(Put::new("count", (count + 1).to_string()));
                        let done = session.namespace().send(write).await;
                        let more = done.map_or(i64::MIN / 64, |done| i64::from(done.succeeded));
                        guarded.set(guarded.get() + more);
                    }
                    rounds.set(rounds.get() + 1);
                    holders.leave(held).release().await?;
                }
                Ok(())
            })
            .await
        };
        for done in join_all((1..=3).map(worker)).await {
            done?;
        }
        holders.check()?;
        let count = etcd.get("count").map_or(0, |kv| {
            String::from_utf8_lossy(&kv.value)
                .parse::<i64>()
                .unwrap_or(-1)
        });
        // Unless the outcome of one is unknown.
        if guarded.get() >= 0 && count != guarded.get() {
            return Err(format!(
                "{} increments, and the number is {count}",
                guarded.get()
            ));
        }
        Ok(())
    });
}

#[test]
fn a_lock_never_has_a_writer_and_another_holder_nor_a_semaphore_one_too_many() {
    explore("rw_mutex and semaphore", async |etcd| {
        let (writers, permits) = (Holders::default(), Holders::default());
        let readers: RefCell<Vec<Rc<Held<FakeEtcd>>>> = RefCell::default();
        let problem = RefCell::new(None);
        let worker = async |number: u64| {
            with_session(&etcd, async |session| {
                let lock = RwMutex::new(session, "lock");
                let semaphore = Semaphore::new(session, "limit", 2.try_into().expect("not 0"));
                let permit = Rc::new(semaphore.acquire().await?);
                permits.enter(&permit, 2);
                let is_writer = number.is_multiple_of(2);
                let held = if is_writer {
                    lock.write().await?
                } else {
                    lock.read().await?
                };
                let held = Rc::new(held);
                readers.borrow_mut().retain(|it| it.is_held());
                writers.held.borrow_mut().retain(|it| it.is_held());
                if is_writer {
                    writers.enter(&held, 1);
                    if held.is_held() && !readers.borrow().is_empty() {
                        *problem.borrow_mut() = Some("a writer beside readers".to_owned());
                    }
                } else {
                    readers.borrow_mut().push(Rc::clone(&held));
                    if held.is_held() && !writers.held.borrow().is_empty() {
                        *problem.borrow_mut() = Some("a reader beside a writer".to_owned());
                    }
                }
                etcd.sleep(millis(300)).await;
                readers.borrow_mut().retain(|it| !Rc::ptr_eq(it, &held));
                writers.leave(held).release().await?;
                permits.leave(permit).release().await
            })
            .await
        };
        for done in join_all((0..4).map(worker)).await {
            done?;
        }
        problem.take().map_or(Ok(()), Err)?;
        writers.check()?;
        permits.check()
    });
}

#[test]
fn an_election_never_has_two_leaders_by_revision() {
    explore("election", async |etcd| {
        let leaders = Holders::default();
        let candidate = async |number: u64| {
            with_session(&etcd, async |session| {
                let election = Election::new(session, "leader");
                let mut leadership = election.campaign(format!("{number}")).await?;
                // As etcd sees it, the leader is the candidate whose key was created first.
                let queue = etcd.get_prefix("leader/");
                let first = queue.iter().min_by_key(|kv| kv.create_revision);
                let own = queue.iter().any(|kv| kv.key == **leadership.key());
                if own
                    && first
                        .is_some_and(|first| first.create_revision != leadership.fencing_token())
                {
                    *leaders.problem.borrow_mut() = Some(format!("not the first: {leadership:?}"));
                }
                let token = leadership.fencing_token();
                let before = leaders.tokens.borrow().keys().next_back().copied();
                if leadership.is_held() && before.is_some_and(|before| before > token) {
                    *leaders.problem.borrow_mut() = Some(format!("tokens fell to {token}"));
                }
                leaders.tokens.borrow_mut().insert(token, String::new());
                leadership.proclaim("leads").await?;
                etcd.sleep(millis(500)).await;
                leadership.resign().await
            })
            .await
        };
        for done in join_all((0..3).map(candidate)).await {
            done?;
        }
        leaders.check()
    });
}

/// Items that a failed push may have added may be there; one for each failed pop may be missing; nothing else.
#[test]
fn an_item_of_a_queue_is_never_taken_twice_nor_lost() {
    const ITEMS: usize = 3;
    explore("queue", async |etcd| {
        let (pushed, maybe) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let taken = RefCell::new(Vec::new());
        let failed_pops = Cell::new(0);
        let producers = Cell::new(2);
        let produce = async |number: usize| {
            let next = Cell::new(0);
            let done = with_session(&etcd, async |session| {
                let queue = Queue::new(session, "queue");
                while next.get() < ITEMS {
                    let item = format!("{number}.{}", next.get());
                    next.set(next.get() + 1);
                    if let Err(error) = queue.push(&item).await {
                        maybe.borrow_mut().push(item);
                        return Err(error);
                    }
                    pushed.borrow_mut().push(item);
                    etcd.sleep(millis(200)).await;
                }
                Ok(())
            })
            .await;
            producers.set(producers.get() - 1);
            done
        };
        let consume = async |_| {
            with_session(&etcd, async |session| {
                let queue = Queue::new(session, "queue");
                loop {
                    let is_over = producers.get() == 0;
                    match queue.try_pop().await {
                        Ok(Some(item)) => {
                            let item = String::from_utf8_lossy(&item.value).into_owned();
                            taken.borrow_mut().push(item);
                        }
                        // What is late has arrived.
                        Ok(None) if is_over => {
                            etcd.sleep(seconds(20)).await;
                            if etcd.get_prefix("queue/").is_empty() {
                                return Ok(());
                            }
                        }
                        Ok(None) => etcd.sleep(millis(100)).await,
                        Err(error) => {
                            failed_pops.set(failed_pops.get() + 1);
                            return Err(error);
                        }
                    }
                }
            })
            .await
        };
        let (produced, consumed) =
            futures::future::join(join_all((0..2).map(produce)), join_all((0..2).map(consume)))
                .await;
        for done in produced.into_iter().chain(consumed) {
            done?;
        }
        let mut taken = taken.into_inner();
        taken.sort_unstable();
        let all = taken.len();
        taken.dedup();
        if taken.len() != all {
            return Err(format!("taken twice: {taken:?}"));
        }
        let (pushed, maybe) = (pushed.into_inner(), maybe.into_inner());
        let missing = pushed.iter().filter(|item| !taken.contains(item)).count();
        if missing > failed_pops.get() {
            return Err(format!(
                "{missing} lost, and {} pops failed",
                failed_pops.get()
            ));
        }
        match taken
            .iter()
            .find(|item| !pushed.contains(item) && !maybe.contains(item))
        {
            Some(item) => Err(format!("{item} was never pushed")),
            None => Ok(()),
        }
    });
}

/// Each client's numbers rise, none is given twice, and none is beyond what may have been added.
#[test]
fn a_counter_is_serializable() {
    explore("counter and stm", async |etcd| {
        let (numbers, unknown) = (RefCell::new(Vec::new()), Cell::new(0));
        let worker = async |number: usize| {
            let rounds = Cell::new(0);
            with_session(&etcd, async |session| {
                let level = [Isolation::Serializable, Isolation::RepeatableReads][number % 2];
                let stm = Stm::new(session.namespace()).isolation(level);
                let stm = stm.exactly_once(session).tries(1_000);
                let mut last = 0;
                while rounds.get() < 3 {
                    rounds.set(rounds.get() + 1);
                    let added = if number == 0 {
                        Counter::new(session, "count").add(1).await
                    } else {
                        let done = stm.run(async |txn| {
                            let count: i64 = txn.get_parsed("count").await?.unwrap_or(0);
                            txn.put("count", (count + 1).to_string());
                            Ok(count + 1)
                        });
                        done.await.map(|done| done.output)
                    };
                    match added {
                        Ok(count) if count > last => last = count,
                        Ok(count) => return Err(RecipeError::abort(format!("{count} <= {last}"))),
                        Err(error) => {
                            unknown.set(unknown.get() + 1);
                            return Err(error);
                        }
                    }
                    numbers.borrow_mut().push(last);
                }
                Ok(())
            })
            .await
        };
        for done in join_all((0..3).map(worker)).await {
            done?;
        }
        let mut numbers = numbers.into_inner();
        numbers.sort_unstable();
        let all = numbers.len() as i64;
        numbers.dedup();
        let stored = etcd.get("count").map_or(0, |kv| {
            String::from_utf8_lossy(&kv.value)
                .parse::<i64>()
                .unwrap_or(-1)
        });
        if numbers.len() as i64 != all || !(all..=all + unknown.get()).contains(&stored) {
            return Err(format!(
                "{numbers:?}, {} unknown, and {stored} is stored",
                unknown.get()
            ));
        }
        Ok(())
    });
}
