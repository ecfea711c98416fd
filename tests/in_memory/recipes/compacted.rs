//! A delete that a recipe waits for is missed, and its revision is compacted before the watch resumes: etcd 3.4 then says nothing
//! of it (etcd issue 18089).

use etcd_http::{
    fake::{FakeEtcd, Fault, Profile, When},
    recipes::{Election, Mutex, RecipeError, Semaphore, Session},
    transport::Transport,
};
use futures::{
    StreamExt,
    future::{Either, join, select},
};

use super::session;
use crate::support::{block_on, jumping, millis, seconds};

/// Work of two sessions, on each version of etcd.
fn with_two_sessions(work: impl AsyncFn(&FakeEtcd, &Session<FakeEtcd>, &Session<FakeEtcd>)) {
    for profile in [Profile::V3_4, Profile::V3_5] {
        let etcd = jumping().profile(profile).build();
        block_on(async {
            let (first, driver) = session(&etcd).await;
            let (second, other) = session(&etcd).await;
            let work = second.run(other, work(&etcd, &first, &second));
            first.run(driver, work).await;
        });
    }
}

/// Deletes a key while no watch is open, and compacts history at that revision.
async fn unseen(etcd: &FakeEtcd, delete: impl Future<Output = Result<(), RecipeError>>) {
    etcd.sleep(millis(200)).await;
    assert!(etcd.open_watches() > 0);
    etcd.inject(When::any().path("/v3/watch"), Fault::refuse());
    // Open streams end.
    etcd.restart();
    delete.await.unwrap();
    etcd.compact();
    etcd.clear_faults();
}

#[test]
fn a_mutex_that_is_released_unseen_is_taken_by_the_waiter() {
    with_two_sessions(async |etcd, first, second| {
        let held = Mutex::new(first, "lock").lock().await.unwrap();
        let next = Mutex::new(second, "lock");
        let wait = next.lock_within(seconds(60));
        let (next, ()) = join(wait, unseen(etcd, held.release())).await;
        next.unwrap();
    });
}

#[test]
fn a_permit_that_is_released_unseen_is_taken_by_the_waiter() {
    with_two_sessions(async |etcd, first, second| {
        let [of_first, of_second] =
            [first, second].map(|it| Semaphore::new(it, "limit", 2.try_into().unwrap()));
        let one = of_first.acquire().await.unwrap();
        let _two = of_first.acquire().await.unwrap();
        let wait = of_second.acquire_within(seconds(60));
        let (next, ()) = join(wait, unseen(etcd, one.release())).await;
        next.unwrap();
    });
}

#[test]
fn a_leader_that_resigns_unseen_is_followed_by_the_next_one() {
    with_two_sessions(async |etcd, first, second| {
        let [one, two] = [first, second].map(|it| Election::new(it, "leader"));
        let leading = one.campaign("1").await.unwrap();
        let lead = async {
            let lead = Box::pin(two.campaign("2"));
            match select(lead, etcd.sleep(seconds(60))).await {
                Either::Left((led, _)) => led.unwrap(),
                Either::Right(_) => panic!("the candidate does not lead"),
            }
        };
        let observe = async {
            // Both are there.
            etcd.sleep(millis(200)).await;
            let mut proclaimed = one.proclamations();
            let mut next = async || {
                let next = select(proclaimed.next(), etcd.sleep(seconds(30))).await;
                let Either::Left((Some(next), _)) = next else {
                    panic!("no proclamation");
                };
                let next = next.unwrap();
                (next.leader.value, next.is_resync)
            };
            assert_eq!(next().await, ("1".into(), false));
            let (next, ()) = join(next(), unseen(etcd, leading.resign())).await;
            assert_eq!(next, ("2".into(), true));
        };
        join(lead, observe).await;
    });
}
