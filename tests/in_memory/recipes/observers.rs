//! Observers of an election: every proclamation or the last one, over outages and compaction.

use std::cell::{Cell, RefCell};

use etcd_http::{
    fake::{Fault, When},
    recipes::{Election, Proclamation, Session},
    transport::Transport,
    v3::KeyValue,
};
use futures::{
    StreamExt,
    future::{Either, join, join_all, select},
    stream::BoxStream,
};

use super::{
    safety::{explore, with_session},
    session,
};
use crate::support::{block_on, client, jumping, millis, seconds};

const FIRST: &str = "first";
const LAST: &str = "last";

fn value(leader: &KeyValue) -> String {
    String::from_utf8_lossy(&leader.value).into_owned()
}

/// Everything up to the last value.
async fn all<I>(mut stream: BoxStream<'static, I>, value: impl Fn(&I) -> String) -> Vec<I> {
    let mut all = Vec::new();
    while all.last().is_none_or(|last| value(last) != LAST) {
        all.push(stream.next().await.unwrap());
    }
    all
}

/// During an outage, one leader proclaims, and another one follows it. Afterwards, history is there, or compacted.
#[test]
fn after_an_outage_each_proclamation_is_delivered_or_the_last_one_is_and_says_so() {
    for is_compacted in [false, true] {
        let etcd = jumping().build();
        block_on(async {
            let (session, driver) = session(&etcd).await;
            let (other, others) = super::session(&etcd).await;
            let [election, next] = [&session, &other].map(|it| Election::new(it, "leader"));
            let (watched, observed) = (election.proclamations(), election.observe());
            let proclaim = async {
                let mut one = election.campaign("1").await.unwrap();
                etcd.sleep(seconds(1)).await;
                one.proclaim("2").await.unwrap();
                etcd.sleep(seconds(1)).await;
                for path in ["/v3/watch", "/v3/election/observe"] {
                    etcd.inject(When::any().path(path), Fault::refuse());
                }
                // Open streams end.
                etcd.restart();
                one.proclaim("3").await.unwrap();
                one.resign().await.unwrap();
                let mut two = next.campaign("4").await.unwrap();
                two.proclaim("5").await.unwrap();
                if is_compacted {
                    etcd.compact();
                }
                etcd.sleep(seconds(30)).await;
                etcd.clear_faults();
                etcd.sleep(seconds(30)).await;
                two.proclaim(LAST).await.unwrap();
            };
            let of = |it: &Result<Proclamation, _>| value(&it.as_ref().unwrap().leader);
            let watched = all(watched, of);
            let observed = all(observed, |it| value(it.as_ref().unwrap()));
            let work = join(proclaim, join(watched, observed));
            let ((), (watched, observed)) = session.run(driver, other.run(others, work)).await;
            let watched = watched.into_iter().map(|it| {
                let it = it.unwrap();
                (value(&it.leader), it.is_resync)
            });
            let watched: Vec<_> = watched.collect();
            let watched: Vec<_> = watched.iter().map(|(it, lost)| (&**it, *lost)).collect();
            let expected: &[_] = if is_compacted {
                &[("1", false), ("2", false), ("5", true), (LAST, false)]
            } else {
                &[
                    ("1", false),
                    ("2", false),
                    ("3", false),
                    ("4", false),
                    ("5", false),
                    (LAST, false),
                ]
            };
            assert_eq!(watched, expected);
            let observed: Vec<_> = observed
                .iter()
                .map(|it| value(it.as_ref().unwrap()))
                .collect();
            assert_eq!(observed, ["1", "2", "5", LAST]);
        });
    }
}

/// Candidates lead one after the other, and proclaim. Each proclamation that was acknowledged is delivered, once and in order,
/// unless the stream says that some may be missing.
#[test]
fn no_proclamation_is_missed_doubled_or_invented() {
    explore("proclamations", async |etcd| {
        let (proclaimed, maybe) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let made = Cell::new(0);
        let unique = || {
            made.set(made.get() + 1);
            format!("{}", made.get())
        };
        let client = client(&etcd);
        let candidates = async {
            let candidate = async |_| {
                with_session(&etcd, async |session| {
                    let election = Election::new(session, "leader");
                    let value = unique();
                    maybe.borrow_mut().push(value.clone());
                    let mut leadership = election.campaign(value).await?;
                    for _ in 0..3 {
                        let value = unique();
                        maybe.borrow_mut().push(value.clone());
                        leadership.proclaim(&*value).await?;
                        proclaimed.borrow_mut().push(value);
                        etcd.sleep(millis(400)).await;
                    }
                    leadership.resign().await
                })
                .await
            };
            for done in join_all((0..2).map(candidate)).await {
                done?;
            }
            with_session(&etcd, async |session| {
                let mut last = Election::new(session, "leader").campaign(LAST).await?;
                // A former request may have written another value.
                last.proclaim(LAST).await?;
                etcd.sleep(seconds(60)).await;
                Ok(())
            })
            .await
        };
        let (watcher, driver) = loop {
            match Session::open(client.v3(), seconds(60)).await {
                Ok(opened) => break opened,
                Err(_) => etcd.sleep(seconds(1)).await,
            }
        };
        let election = Election::new(&watcher, "leader");
        let mut watched = election.proclamations();
        // From here on, it delivers everything.
        let begin = async {
            let first = loop {
                match election.campaign(FIRST).await {
                    Ok(first) => break first,
                    Err(_) => etcd.sleep(seconds(1)).await,
                }
            };
            watched
                .next()
                .await
                .unwrap()
                .map_err(|error| error.to_string())?;
            drop(first);
            Ok::<_, String>(())
        };
        let (begun, driver) = match select(Box::pin(begin), driver).await {
            Either::Left(begun) => begun,
            Either::Right(_) => return Err("the driver has ended".to_owned()),
        };
        begun?;
        let watched = all(watched, |it| {
            let it = it.as_ref();
            it.map_or(LAST.to_owned(), |it| value(&it.leader))
        });
        let work = join(candidates, watched);
        let (done, watched) = watcher.run(driver, work).await;
        done?;
        let watched = watched.into_iter().collect::<Result<Vec<_>, _>>();
        let watched = watched.map_err(|error| error.to_string())?;
        let order = |it: &Proclamation| (it.leader.create_revision, it.leader.mod_revision);
        if !watched.is_sorted_by(|one, next| order(one) < order(next)) {
            return Err(format!("out of order: {watched:?}"));
        }
        let values: Vec<_> = watched.iter().map(|it| value(&it.leader)).collect();
        let is_resync = watched.iter().any(|it| it.is_resync);
        let missing = |it: &&String| !is_resync && !values.contains(it);
        if let Some(missing) = proclaimed.borrow().iter().find(missing) {
            return Err(format!("{missing} is missing: {values:?}"));
        }
        let is_known =
            |it: &&String| [FIRST, LAST].contains(&it.as_str()) || maybe.borrow().contains(it);
        match values.iter().find(|it| !is_known(it)) {
            Some(value) => Err(format!("{value} was never proclaimed")),
            None => Ok(()),
        }
    });
}

#[test]
fn a_leader_goes_on_after_a_proclamation_that_was_dropped_and_applied() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let election = Election::new(&session, "leader");
            let mut leadership = election.campaign("a").await.unwrap();
            let when = When::any().path("/v3/kv/txn").once();
            etcd.inject(when, Fault::silence_after());
            let dropped = Box::pin(leadership.proclaim("b"));
            let limit = etcd.sleep(seconds(1));
            assert!(matches!(select(dropped, limit).await, Either::Right(_)));
            assert_eq!(etcd.get(leadership.key()).unwrap().value, "b");
            let revision = leadership.proclaim("c").await.unwrap();
            assert_eq!(etcd.revision(), revision);
            assert_eq!(etcd.get(leadership.key()).unwrap().value, "c");
            leadership.resign().await.unwrap();
        };
        session.run(driver, work).await;
    });
}

#[test]
fn a_leader_of_an_outage_shows_as_a_gap_though_none_has_led_before() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let election = Election::new(&session, "leader");
            let watched = all(election.proclamations(), |it| {
                value(&it.as_ref().unwrap().leader)
            });
            let proclaim = async {
                etcd.sleep(seconds(1)).await;
                etcd.inject(When::any().path("/v3/watch"), Fault::refuse());
                etcd.restart();
                election
                    .campaign(FIRST)
                    .await
                    .unwrap()
                    .resign()
                    .await
                    .unwrap();
                etcd.compact();
                etcd.sleep(seconds(30)).await;
                etcd.clear_faults();
                etcd.sleep(seconds(30)).await;
                let leadership = election.campaign(LAST).await.unwrap();
                etcd.sleep(seconds(1)).await;
                leadership.resign().await.unwrap();
            };
            let ((), watched) = join(proclaim, watched).await;
            let lost: Vec<_> = watched
                .iter()
                .map(|it| it.as_ref().unwrap().is_resync)
                .collect();
            assert_eq!(lost, [true]);
        };
        session.run(driver, work).await;
    });
}

#[test]
fn what_the_work_of_a_leader_returns_is_not_lost_where_resigning_is_refused() {
    let etcd = jumping().build();
    block_on(async {
        let (session, driver) = session(&etcd).await;
        let work = async {
            let election = Election::new(&session, "leader");
            let done = election.run_while_leader("a", async |_| {
                let when = When::any().path("/v3/kv/txn").once();
                etcd.inject(when, Fault::status(403));
                7
            });
            assert_eq!(done.await.unwrap(), 7);
        };
        session.run(driver, work).await;
    });
}
