//! Long times in virtual time: times to live, refreshes, quiet watches, pauses, limits, to the nanosecond.

use std::time::Duration;

use etcd_http::{
    Client, Error, Outcome, RetryPolicy,
    fake::{FakeEtcd, Fault, When},
    transport::Transport,
    v2::{Action, Refresh, Set, Watch},
};
use futures::{
    StreamExt,
    future::{join, select},
};

use crate::support::{block_on, client, jumping, millis, seconds};

const HOUR: Duration = seconds(3600);

#[test]
fn a_session_refreshed_for_ten_hours_lives_and_ends_with_its_ttl() {
    let etcd = jumping().log_capacity(100_000).build();
    let client = client(&etcd);
    block_on(async {
        let set = Set::new("/session", "me").ttl(seconds(10));
        let set = client.send(set).await.unwrap();
        let watch = Watch::new("/session").from_index(set.index() + 1);
        let mut events = client.open(watch);
        let alive = async {
            while etcd.elapsed() < 10 * HOUR {
                etcd.sleep(seconds(3)).await;
                client
                    .send(Refresh::new("/session", seconds(10)))
                    .await
                    .unwrap();
            }
            etcd.elapsed()
        };
        // Refreshes are not events: the next event is the expiration.
        let (last, ended) = join(alive, async {
            let event = events.next().await.unwrap().unwrap();
            (event, etcd.elapsed())
        })
        .await;
        let (event, ended) = ended;
        assert_eq!(event.action, Action::Expire);
        let lived = ended - last;
        assert!(lived >= seconds(10) && lived <= millis(10_500), "{lived:?}");
    });
    etcd.assert_count(&When::method("PUT"), 1 + 12_000);
}

/// A poll ends after 1, 1, 2, 4, 8, 16, and then every 30 seconds.
#[test]
fn a_watch_at_rest_asks_every_half_minute() {
    let etcd = jumping().build();
    let client = client(&etcd);
    block_on(async {
        let watch = Watch::new("/quiet").from_index(etcd.index() + 1);
        let mut events = client.open(watch);
        let event = select(events.next(), etcd.sleep(10 * HOUR)).await;
        assert!(matches!(event, futures::future::Either::Right(_)));
    });
    let polls: Vec<_> = etcd.log().iter().map(|exchange| exchange.at()).collect();
    assert_eq!(polls[..8], [0, 1, 2, 4, 8, 16, 32, 62].map(seconds));
    assert!(polls[7..].is_sorted_by(|a, b| *b - *a == seconds(30)));
    assert_eq!(polls.last(), Some(&(10 * HOUR - seconds(28))));
}

#[test]
fn a_watch_outlives_an_outage_of_an_hour_and_a_limit_ends_it_in_time() {
    let outage = |limit: Duration| {
        let etcd = jumping().build();
        let client = client(&etcd);
        let watch = Watch::new("/a").from_index(etcd.index() + 1);
        let watch = watch.outage_limit(limit);
        let mut events = client.open(watch);
        etcd.endpoint(0).stop();
        let (event, ()) = block_on(join(
            async { (events.next().await.unwrap(), etcd.elapsed()) },
            async {
                etcd.sleep(HOUR).await;
                etcd.endpoint(0).start();
                let writer = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
                writer.v2().set("/a", "after").await.unwrap();
            },
        ));
        event
    };
    let (event, at) = outage(2 * HOUR);
    assert_eq!(event.unwrap().node.value.as_deref(), Some("after"));
    assert!(at >= HOUR && at <= HOUR + seconds(10), "{at:?}");

    let (error, at) = outage(seconds(600));
    assert!(matches!(error, Err(Error::Transport(_))), "{error:?}");
    assert!(at >= seconds(590) && at <= seconds(610), "{at:?}");
}

#[test]
fn pauses_double_up_to_the_longest_and_are_cut_by_half_at_most() {
    let etcd = jumping().build();
    etcd.endpoint(0).stop();
    let policy = RetryPolicy::default()
        .attempts(14)
        .max_pause(seconds(5))
        .overall(HOUR);
    let client = client(&etcd).with_retry(policy);
    let error = block_on(client.v2().get("/a")).unwrap_err();
    assert!(error.to_string().contains("(attempt 14)"), "{error}");
    let at: Vec<_> = etcd.log().iter().map(|exchange| exchange.at()).collect();
    assert_eq!(at.len(), 14);
    for (n, pair) in at.windows(2).enumerate() {
        let full = millis(50 << n).min(seconds(5));
        let pause = pair[1] - pair[0];
        assert!(pause >= full / 2 && pause <= full, "{n}: {pause:?}");
    }
}

#[test]
fn all_attempts_together_keep_to_the_overall_time() {
    for overall in [1, 5, 30, 60].map(seconds) {
        let etcd = jumping().build();
        etcd.inject(When::any(), Fault::silence());
        let policy = RetryPolicy::default().attempts(1000).overall(overall);
        let client = client(&etcd).with_retry(policy);
        assert!(block_on(client.v2().get("/a")).is_err());
        assert!(etcd.elapsed() <= overall, "{:?}", etcd.elapsed());
        assert!(etcd.elapsed() >= overall / 2, "{:?}", etcd.elapsed());
        assert_eq!(etcd.open_exchanges(), 0);
    }
}

#[test]
fn an_attempt_ends_at_its_timeout_and_not_before() {
    let written_after = |delay: Duration| {
        let etcd = jumping().build();
        etcd.inject(When::any(), Fault::delay_response(delay));
        let client = client(&etcd).with_timeout(seconds(4));
        (block_on(client.v2().set("/a", "1")), etcd.elapsed())
    };
    let (written, at) = written_after(millis(3_999));
    assert!(written.is_ok());
    assert_eq!(at, millis(3_999));
    let (written, at) = written_after(millis(4_001));
    assert_eq!(written.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(at, seconds(4));
}

/// With a manual clock nothing happens by itself.
#[test]
fn a_clock_that_stands_still_keeps_everything_where_it_is() {
    let etcd = FakeEtcd::new();
    let client = client(&etcd);
    let ttl = seconds(60);
    block_on(client.send(Set::new("/a", "1").ttl(ttl))).unwrap();
    for left in (1..=60).rev() {
        let node = block_on(client.v2().get("/a")).unwrap().node;
        assert_eq!(node.ttl, Some(seconds(left)));
        etcd.advance(seconds(1));
    }
    assert!(!block_on(client.v2().exists("/a")).unwrap());
}
