//! Barriers.

use std::cell::Cell;

use etcd_http::{
    recipes::{Barrier, DoubleBarrier, RecipeError},
    transport::Transport,
    v3::KeyRange,
};
use futures::future::{join, join_all};
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            a_barrier_is_passed_when_it_is_released,
            a_barrier_is_held_once,
            participants_enter_and_leave_together,
            a_participant_too_many_is_refused,
            a_participant_whose_session_ends_does_not_block_others,
        }
    }
}

async fn a_barrier_is_passed_when_it_is_released<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let barrier = Barrier::new(&session, "barrier");
    let is_released = Cell::new(false);
    let work = async {
        barrier.wait().await.unwrap();
        barrier.hold().await.unwrap();
        let wait = async {
            barrier.wait().await.unwrap();
            assert!(is_released.get());
        };
        let release = async {
            etcd.sleep(300).await;
            is_released.set(true);
            barrier.release().await.unwrap();
        };
        join(join(wait, barrier.wait()), release).await.0.1.unwrap();
    };
    session.run(driver, work).await;
}

async fn a_barrier_is_held_once<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let barrier = Barrier::new(&session, "barrier");
    let work = async {
        barrier.hold().await.unwrap();
        let error = barrier.hold().await.unwrap_err();
        assert!(matches!(error, RecipeError::AlreadyHeld), "{error}");
        barrier.release().await.unwrap();
        barrier.release().await.unwrap();
        barrier.hold().await.unwrap();
    };
    session.run(driver, work).await;
}

async fn participants_enter_and_leave_together<T: Transport>(etcd: Etcd<T>) {
    let three = 3.try_into().unwrap();
    let (arrived, leaving, left) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let participant = async |number: u64| {
        let (session, driver) = session(&etcd).await;
        let barrier = DoubleBarrier::new(&session, "round", three);
        let work = async {
            for round in 1..=2 {
                etcd.sleep(number * 50).await;
                arrived.set(arrived.get() + 1);
                let entered = barrier.enter().await.unwrap();
                assert_eq!(arrived.get(), 3 * round);
                etcd.sleep(number * 50).await;
                leaving.set(leaving.get() + 1);
                entered.leave().await.unwrap();
                assert!(leaving.get() >= 3 * round);
                left.set(left.get() + 1);
                // The next round begins when all have left.
                etcd.until(async || left.get() >= 3 * round).await;
            }
        };
        session.run(driver, work).await;
    };
    join_all((0..3).map(participant)).await;
    let rest = KeyRange::prefix("round/");
    assert_eq!(namespace(&etcd).kv().count(rest).await.unwrap(), 0);
}

async fn a_participant_too_many_is_refused<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let barrier = DoubleBarrier::new(&session, "round", 1.try_into().unwrap());
    let work = async {
        let entered = barrier.enter().await.unwrap();
        let error = barrier.enter().await.unwrap_err();
        let RecipeError::TooManyParticipants { count: 1 } = error else {
            panic!("{error}");
        };
        etcd.sleep(300).await;
        entered.leave().await.unwrap();
        barrier.enter().await.unwrap().leave().await.unwrap();
    };
    session.run(driver, work).await;
}

async fn a_participant_whose_session_ends_does_not_block_others<T: Transport>(etcd: Etcd<T>) {
    let two = 2.try_into().unwrap();
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let (mine, theirs) = (
            DoubleBarrier::new(&first, "round", two),
            DoubleBarrier::new(&second, "round", two),
        );
        let (mine, theirs) = join(mine.enter(), theirs.enter()).await;
        let (mine, _theirs) = (mine.unwrap(), theirs.unwrap());
        let end = async {
            etcd.sleep(300).await;
            second.close().await.unwrap();
        };
        join(mine.leave(), end).await.0.unwrap();
    };
    first.run(driver, second.run(other, work)).await;
}
