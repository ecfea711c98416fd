//! Queues and counters.

use std::cell::RefCell;

use etcd_http::{
    recipes::{Counter, PriorityQueue, Queue, RecipeError},
    transport::Transport,
    v3::KeyRange,
};
use futures::future::{join, join_all};
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            items_are_taken_in_order,
            each_item_is_taken_once,
            a_pop_waits_for_a_push,
            an_item_is_claimed_until_it_is_acknowledged,
            priorities_come_first_and_equal_ones_in_order,
            the_keys_of_a_priority_queue_are_those_of_go,
            numbers_are_never_given_twice,
            a_value_that_is_no_number_is_an_error,
        }
    }
}

async fn items_are_taken_in_order<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let queue = Queue::new(&session, "queue");
    let work = async {
        assert_eq!(queue.try_pop().await.unwrap(), None);
        let mut last = 0;
        for value in ["a", "b", "c"] {
            let revision = queue.push(value).await.unwrap();
            assert!(revision > last);
            last = revision;
        }
        assert_eq!(queue.count().await.unwrap(), 3);
        for value in ["a", "b", "c"] {
            assert_eq!(queue.pop().await.unwrap().value, value);
        }
        assert_eq!(queue.try_pop().await.unwrap(), None);
    };
    session.run(driver, work).await;
    // Nothing is left behind.
    let all = namespace(&etcd).kv().count(KeyRange::all()).await.unwrap();
    assert_eq!(all, 0);
}

async fn each_item_is_taken_once<T: Transport>(etcd: Etcd<T>) {
    let taken = RefCell::new(Vec::new());
    let worker = async |number: usize| {
        let (session, driver) = session(&etcd).await;
        let queue = Queue::new(&session, "queue");
        let push = async {
            for item in 0..5 {
                queue.push(format!("{number}.{item}")).await.unwrap();
            }
        };
        let pop = async {
            for _ in 0..5 {
                let item = queue.pop().await.unwrap();
                taken.borrow_mut().push(item.value);
            }
        };
        session.run(driver, join(push, pop)).await;
    };
    join_all((0..3).map(worker)).await;
    let mut taken = taken.into_inner();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 15);
}

async fn a_pop_waits_for_a_push<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let queue = Queue::new(&session, "queue");
    let work = async {
        let push = async {
            etcd.sleep(300).await;
            queue.push("late").await.unwrap();
        };
        let (item, ()) = join(queue.pop(), push).await;
        assert_eq!(item.unwrap().value, "late");
    };
    session.run(driver, work).await;
}

async fn an_item_is_claimed_until_it_is_acknowledged<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let (other, others) = crate::session(&etcd).await;
    let work = async {
        let [queue, rival] = [&session, &other].map(|it| PriorityQueue::new(it, "queue"));
        queue.push("b", 2).await.unwrap();
        queue.push("a", 1).await.unwrap();
        let lost = rival.claim().await.unwrap();
        assert_eq!((&lost.value()[..], lost.attempts()), (&b"a"[..], 1));
        let claim = queue.claim().await.unwrap();
        assert_eq!(claim.value(), "b");
        assert!(queue.try_claim().await.unwrap().is_none());
        // A consumer waits for what the other one gives back, as its session ends.
        let (again, closed) = join(queue.claim(), other.close()).await;
        closed.unwrap();
        let again = again.unwrap();
        assert_eq!((&again.value()[..], again.attempts()), (&b"a"[..], 2));
        assert!(lost.ack().await.is_err());
        again.ack().await.unwrap();
        claim.ack().await.unwrap();
    };
    session.run(driver, other.run(others, work)).await;
    // Nothing is left behind but the priorities that were used.
    let all = namespace(&etcd).kv().count(KeyRange::all()).await.unwrap();
    assert_eq!(all, 2);
}

async fn priorities_come_first_and_equal_ones_in_order<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let queue = PriorityQueue::new(&session, "queue");
    let work = async {
        for (value, priority) in [("d", 300), ("a", 2), ("b", 2), ("e", 65535), ("c", 10)] {
            queue.push(value, priority).await.unwrap();
        }
        for value in ["a", "b", "c", "d", "e"] {
            assert_eq!(queue.pop().await.unwrap().value, value);
        }
        assert_eq!(queue.try_pop().await.unwrap(), None);
    };
    session.run(driver, work).await;
}

async fn the_keys_of_a_priority_queue_are_those_of_go<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let queue = PriorityQueue::new(&session, "queue");
    let here = namespace(&etcd);
    let work = async {
        join_all(["a", "b"].map(|value| queue.push(value, 7))).await;
        let found = here.kv().range(KeyRange::prefix("queue/")).await.unwrap();
        let keys: Vec<_> = found.kvs.iter().map(|kv| kv.key_str().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "queue/00007/0000000000000000",
                "queue/00007/0000000000000001"
            ]
        );
        assert!(here.kv().get("__queue/00007").await.unwrap().is_some());
    };
    session.run(driver, work).await;
}

async fn numbers_are_never_given_twice<T: Transport>(etcd: Etcd<T>) {
    let numbers = RefCell::new(Vec::new());
    let worker = async |_| {
        let (session, driver) = session(&etcd).await;
        let counter = Counter::new(&session, "ids");
        let work = async {
            for _ in 0..5 {
                let number = counter.add(1).await.unwrap();
                numbers.borrow_mut().push(number);
            }
        };
        session.run(driver, work).await;
    };
    join_all((0..3).map(worker)).await;
    let mut numbers = numbers.into_inner();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=15).collect::<Vec<_>>());
}

async fn a_value_that_is_no_number_is_an_error<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let counter = Counter::new(&session, "ids");
    let kv = namespace(&etcd);
    let work = async {
        assert_eq!(counter.get().await.unwrap(), 0);
        for wrong in ["many", ""] {
            kv.kv().put("ids", wrong).await.unwrap();
            let error = counter.add(1).await.unwrap_err();
            assert!(
                matches!(error, RecipeError::UnexpectedValue { .. }),
                "{error}"
            );
        }
        kv.kv().put("ids", i64::MAX.to_string()).await.unwrap();
        let error = counter.add(1).await.unwrap_err();
        assert!(
            matches!(error, RecipeError::UnexpectedValue { .. }),
            "{error}"
        );
        assert_eq!(counter.add(-1).await.unwrap(), i64::MAX - 1);
    };
    session.run(driver, work).await;
}
