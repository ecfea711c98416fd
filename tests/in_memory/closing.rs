//! The end of a client: what was begun ends in order, within a time limit, and nothing is sent after it.

use std::{num::NonZero, pin::pin, task::Poll};

use etcd_http::{
    Client, Outcome,
    fake::{FakeEtcd, Fault, When},
    recipes::{
        Barrier, Cache, DoubleBarrier, Election, Mutex, PriorityQueue, Queue, RecipeError,
        Registry, Semaphore, Session, v2,
    },
    transport::Transport,
    v3::{KeyRange, Mirror, Put, Watch},
};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join, join_all, pending},
    poll,
};

use crate::support::{block_on, client, jumping, seconds};

#[test]
fn nothing_is_sent_after_the_end() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        client.v3().kv().put("a", "1").await.unwrap();
        assert!(!client.is_closed());
        client.close(seconds(5)).await.unwrap();
        let sent = etcd.log().len();
        let clone = client.clone().with_timeout(seconds(1)).into_dyn();
        let errors = [
            client.v3().kv().put("a", "2").await.unwrap_err(),
            clone.v2().get("/a").await.map(drop).unwrap_err(),
            client.sync().await.unwrap_err(),
            client
                .open(Watch::new("a"))
                .next()
                .await
                .unwrap()
                .unwrap_err(),
            Mirror::new(&client, "a").next().await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_closed(), "{error}");
            assert_eq!(error.outcome(), Outcome::NotSent);
        }
        assert!(clone.is_closed());
        let text = client.v3().kv().get("a").await.unwrap_err().to_string();
        assert_eq!(text, "v3.kv.range: the client is closed: nothing was sent");
        client.close(seconds(5)).await.unwrap();
        assert_eq!(etcd.log().len(), sent);
    });
    assert_eq!(etcd.elapsed(), seconds(0), "nobody was waited for");
}

#[test]
fn streams_end_at_once_whether_they_are_polled_or_not() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let mut polled = client.v3().watch(KeyRange::prefix("a"));
        let mut idle = client.clone().v3().watch("b");
        for stream in [&mut polled, &mut idle] {
            assert!(poll!(stream.next()).is_pending());
        }
        let mut old = client.v2().watch("/c");
        assert!(poll!(old.next()).is_pending());
        assert_eq!(etcd.open_exchanges(), 3);
        let end = async {
            let error = polled.next().await.unwrap().unwrap_err();
            assert!(error.is_closed(), "{error}");
            assert!(polled.next().await.is_none());
        };
        let (closed, ()) = join(client.close(seconds(5)), end).await;
        closed.unwrap();
        assert_eq!(etcd.open_exchanges(), 0, "one is open that nobody polls");
        assert!(idle.next().await.unwrap().unwrap_err().is_closed());
        assert!(old.next().await.unwrap().unwrap_err().is_closed());
        assert!(old.next().await.is_none());
    });
}

#[test]
fn sessions_give_up_what_they_hold_before_the_client_ends() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let ttl = seconds(60);
    block_on(async {
        let (session, driver) = Session::open(client.v3(), ttl).await.unwrap();
        let held = Mutex::new(&session, "lock").lock().await.unwrap();
        let work = held.run(pending::<()>());
        let close = async {
            // It is under way, and waits for its turn.
            etcd.sleep(seconds(1)).await;
            client.close(seconds(5)).await.unwrap();
        };
        let waiting = {
            let (other, driver) = Session::open(client.v3(), ttl).await.unwrap();
            async move {
                let mutex = Mutex::new(&other, "lock");
                let work = async {
                    // Its lease is given up at the same time as the other one.
                    match mutex.lock().await {
                        Ok(held) => held.run(pending::<()>()).await.unwrap_err(),
                        Err(error) => error,
                    }
                };
                join(work, driver).await.0
            }
        };
        let ((), (), work, waiting) = futures::join!(close, driver, work, waiting);
        assert!(matches!(work, Err(RecipeError::SessionClosed)), "{work:?}");
        assert!(matches!(waiting, RecipeError::SessionClosed), "{waiting}");
        assert!(!session.is_alive());
        assert!(etcd.get_prefix("lock").is_empty(), "the leases are revoked");
        let ended = Mutex::new(&session, "lock").lock().await.unwrap_err();
        assert!(matches!(ended, RecipeError::SessionClosed), "{ended}");
    });
    assert_eq!(etcd.elapsed(), seconds(1));
}

/// A worker that ends by itself when its program does needs one error to look for.
#[test]
fn whatever_a_session_waits_for_its_end_is_one_error() {
    let etcd = jumping().build();
    let (client, other) = (client(&etcd), client(&etcd));
    block_on(async {
        let (session, driver) = Session::open(client.v3(), seconds(60)).await.unwrap();
        let (holder, _kept) = Session::open(other.v3(), seconds(600)).await.unwrap();
        let _held = Mutex::new(&holder, "lock").lock().await.unwrap();
        Barrier::new(&holder, "barrier").hold().await.unwrap();
        let mutex = Mutex::new(&session, "lock");
        let (queue, priorities) = (Queue::new(&session, "q"), PriorityQueue::new(&session, "p"));
        let (barrier, both) = (
            Barrier::new(&session, "barrier"),
            DoubleBarrier::new(&session, "both", NonZero::new(2).unwrap()),
        );
        let registry = Registry::new(&session, "services");
        let permit = Semaphore::new(&session, "permits", NonZero::<usize>::MIN)
            .acquire()
            .await
            .unwrap();
        let election = Election::new(&session, "election");
        let calls: [BoxFuture<'_, RecipeError>; 9] = [
            async { mutex.lock().await.unwrap_err() }.boxed(),
            async { queue.pop().await.unwrap_err() }.boxed(),
            async { queue.claim().await.unwrap_err() }.boxed(),
            async { priorities.pop().await.unwrap_err() }.boxed(),
            async { barrier.wait().await.unwrap_err() }.boxed(),
            async { both.enter().await.map(drop).unwrap_err() }.boxed(),
            async { registry.register("i", "data").await.unwrap_err() }.boxed(),
            async { permit.run(pending::<()>()).await.unwrap_err() }.boxed(),
            async {
                let led = election.run_while_leader("here", async |_| pending::<()>().await);
                led.await.unwrap_err()
            }
            .boxed(),
        ];
        let close = async {
            etcd.sleep(seconds(1)).await;
            client.close(seconds(5)).await.unwrap();
        };
        let (errors, (), ()) = futures::join!(join_all(calls), close, driver);
        for (number, error) in errors.iter().enumerate() {
            assert!(
                matches!(error, RecipeError::SessionClosed),
                "{number}: {error}"
            );
        }
    });
}

#[test]
fn a_session_whose_handles_are_dropped_meanwhile_ends_once() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let (session, driver) = Session::open(client.v3(), seconds(60)).await.unwrap();
        etcd.inject(
            When::any().path("/v3/lease/revoke"),
            Fault::delay(seconds(2)),
        );
        let mut driver = pin!(driver);
        drop(session);
        assert!(poll!(&mut driver).is_pending());
        let (closed, ()) = join(client.close(seconds(5)), driver).await;
        closed.unwrap();
    });
    assert_eq!(etcd.elapsed(), seconds(2));
    assert_eq!(etcd.count(&When::any().path("/v3/lease/revoke")), 1);
}

#[test]
fn what_does_not_end_in_time_is_reported() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let (_session, driver) = Session::open(client.v3(), seconds(60)).await.unwrap();
        etcd.inject(When::any().path("/v3/kv/put"), Fault::delay(seconds(4)));
        let kv = client.v3().kv();
        let put = kv.put("a", "1");
        let (put, closed) = join(put, client.close(seconds(3))).await;
        let error = closed.unwrap_err();
        assert_eq!((error.calls, error.sessions), (1, 1));
        assert_eq!(
            error.to_string(),
            "the client was closed after 3s, while 1 calls and 1 sessions had not ended"
        );
        // It goes on to its own limits.
        put.unwrap();
        // It ends without a request.
        driver.await;
        assert_eq!(etcd.elapsed(), seconds(4));
    });
    let last = etcd.log().last().map(|it| it.path());
    assert_eq!(last.as_deref(), Some("/v3/kv/put"));
}

#[test]
fn calls_that_are_under_way_end_as_usual() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        etcd.inject(
            When::any().path("/v3/kv/put"),
            Fault::delay_response(seconds(2)),
        );
        let put = client.send(Put::new("a", "1"));
        let close = async {
            etcd.sleep(seconds(1)).await;
            let mut close = pin!(client.close(seconds(5)));
            assert_eq!(poll!(&mut close), Poll::Pending);
            assert!(client.v3().kv().get("a").await.unwrap_err().is_closed());
            close.await.unwrap();
        };
        let (put, ()) = join(put, close).await;
        put.unwrap();
    });
    assert_eq!(etcd.elapsed(), seconds(2));
}

#[test]
fn keepers_and_drivers_end_with_the_client() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let (keeper, renewals) = client.v3().leases().keeper();
        let (cache, driver) = Cache::<i64>::json(client.v3(), KeyRange::prefix("a"));
        let close = async {
            let lease = keeper.grant(seconds(9)).await.unwrap();
            cache.ready().await.unwrap();
            client.close(seconds(5)).await.unwrap();
            lease
        };
        let (lease, (), ()) = futures::join!(close, renewals, driver);
        // The lease ends by itself.
        assert!(lease.lost().await.is_deadline());
        assert!(cache.failure().unwrap().is_closed());
    });
}

#[test]
fn a_mutex_of_v2_is_released_before_the_client_ends() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let mutex = v2::Mutex::new(&client, "/lock", seconds(60));
        let work = mutex.run(async |_| pending::<()>().await);
        let close = async {
            etcd.sleep(seconds(1)).await;
            client.close(seconds(5)).await.unwrap();
        };
        let (work, ()) = join(work, close).await;
        let error = work.unwrap_err();
        assert!(
            matches!(&error, RecipeError::Client(error) if error.is_closed()),
            "{error}"
        );
        let other = self::client(&etcd);
        let holder = v2::Mutex::new(&other, "/lock", seconds(60)).holder().await;
        assert_eq!(holder.unwrap(), None);
    });
}

#[test]
fn a_registered_instance_of_v2_is_removed_before_the_client_ends() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let registry = v2::Registry::new(&client, "/web", seconds(60));
        let close = async {
            etcd.sleep(seconds(1)).await;
            client.close(seconds(5)).await.unwrap();
        };
        let (ended, ()) = join(registry.register("a", "1"), close).await;
        let error = ended.unwrap_err();
        assert!(
            matches!(&error, RecipeError::Client(it) if it.is_closed()),
            "{error}"
        );
        let other = v2::Registry::new(&self::client(&etcd), "/web", seconds(60));
        assert!(other.instances().await.unwrap().is_empty());
    });
}

#[test]
fn a_client_that_connects_has_found_an_etcd() {
    let etcd = FakeEtcd::new();
    block_on(async {
        let builder = || Client::builder(etcd.clone()).endpoints(etcd.endpoints());
        let client = builder().connect().await.unwrap();
        client.ping().await.unwrap();
        let kv = client.v3().kv();
        kv.put("a", "1").await.unwrap();
        let auth = client.v3().auth();
        auth.add_user("root", "r").await.unwrap();
        auth.add_role("root").await.unwrap();
        auth.grant_role("root", "root").await.unwrap();
        auth.enable().await.unwrap();
        builder().v3_auth("root", "r").connect().await.unwrap();
        let error = builder().v3_auth("root", "x").connect().await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
    });
}

#[test]
fn a_client_does_not_connect_to_what_is_no_etcd() {
    let etcd = jumping().build();
    etcd.inject(When::any(), Fault::html(200));
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let error = block_on(builder.connect()).unwrap_err();
    assert!(error.to_string().contains("html"), "{error}");
}

/// A client of which so many calls are under way and wait.
fn limited(etcd: &FakeEtcd, calls: usize, waiting: usize) -> Client<FakeEtcd> {
    let builder = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
    let builder = builder.protocol(etcd_http::Protocol::Gateway);
    builder
        .max_concurrent_calls(calls, waiting)
        .build()
        .unwrap()
}

fn puts(etcd: &FakeEtcd) -> usize {
    let log = etcd.log();
    log.iter().filter(|it| it.path() == "/v3/kv/put").count()
}

#[test]
fn a_call_that_waits_for_its_place_is_not_sent_after_the_end() {
    let etcd = jumping().build();
    let client = limited(&etcd, 1, 1);
    etcd.inject(When::any().path("/v3/kv/put"), Fault::delay(seconds(5)));
    block_on(async {
        let kv = client.v3().kv();
        let both = join(kv.put("a", "1"), kv.put("b", "1"));
        let ((first, second), closed) = join(both, client.close(seconds(1))).await;
        first.unwrap();
        let second = second.unwrap_err();
        assert!(second.is_closed(), "{second}");
        assert_eq!(closed.unwrap_err().calls, 2);
    });
    assert_eq!(puts(&etcd), 1);
}

#[test]
fn a_call_that_waits_to_be_sent_again_is_not_sent_after_the_end() {
    let etcd = jumping().build();
    let client = client(&etcd);
    etcd.inject(When::any().path("/v3/kv/put"), Fault::refuse());
    block_on(async {
        let kv = client.v3().kv();
        let mut put = pin!(kv.put("a", "1"));
        // The first attempt is refused, and the next one is due soon.
        assert!(poll!(&mut put).is_pending());
        let sent = puts(&etcd);
        assert!(sent > 0);
        let closed = client.close(seconds(0)).await;
        assert_eq!(closed.unwrap_err().calls, 1);
        let error = put.await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        assert_eq!(puts(&etcd), sent);
    });
}

#[test]
fn a_session_is_given_up_where_the_places_of_calls_are_taken() {
    let etcd = jumping().build();
    let client = limited(&etcd, 1, 0);
    block_on(async {
        let (_session, driver) = Session::open(client.v3(), seconds(60)).await.unwrap();
        assert_eq!(etcd.leases().len(), 1);
        etcd.inject(When::any().path("/v3/kv/put"), Fault::delay(seconds(2)));
        let kv = client.v3().kv();
        let end = join(client.close(seconds(5)), driver);
        let (put, (closed, ())) = join(kv.put("a", "1"), end).await;
        put.unwrap();
        closed.unwrap();
        assert_eq!(etcd.leases().len(), 0);
    });
}

#[test]
fn no_session_is_opened_while_the_client_is_closing() {
    let etcd = jumping().build();
    let client = client(&etcd);
    etcd.inject(When::any().path("/v3/kv/put"), Fault::delay(seconds(2)));
    block_on(async {
        let kv = client.v3().kv();
        let late = async {
            etcd.sleep(seconds(1)).await;
            let opened = Session::open(client.v3(), seconds(60)).await;
            match opened.map(drop).unwrap_err() {
                RecipeError::Client(error) => assert!(error.is_closed(), "{error}"),
                error => panic!("{error}"),
            }
        };
        let end = join(client.close(seconds(5)), late);
        let (put, (closed, ())) = join(kv.put("a", "1"), end).await;
        put.unwrap();
        closed.unwrap();
    });
    assert_eq!(etcd.leases().len(), 0);
}
