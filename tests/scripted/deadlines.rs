//! Time limits of attempts and of operations, and operations that are dropped.

use std::{
    future::pending,
    sync::Mutex,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, Protocol, RetryPolicy,
    transport::{Request, Response, Transport, TransportError, async_trait},
    v2::{Get, Watch},
    v3::{Campaign, Lock},
};
use futures::{FutureExt, StreamExt};
use harness::{
    clock::{VirtualClock, block_on},
    scripted_transport::{ScriptedTransport, Step, keys, open},
};

use crate::v2_calls::ok;

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    Client::new(ScriptedTransport::new(steps), ["http://a", "http://b"]).unwrap()
}

#[test]
fn an_operation_can_have_a_time_limit_of_its_own() {
    let client = client((0..4).map(|_| Step::Silence));
    let hasty = client
        .with_timeout(Duration::from_secs(1))
        .with_retry(RetryPolicy::never());
    let error = block_on(hasty.v2().get("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a: no response within 1s"
    );
    // The original client keeps its own limits, and shares the state of the endpoints.
    let once = client.with_retry(RetryPolicy::never());
    let error = block_on(once.v2().get("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://b: no response within 10s"
    );
    assert_eq!(
        client.transport().sleeps(),
        [1, 10].map(Duration::from_secs)
    );
}

#[test]
fn all_attempts_of_an_operation_can_have_a_limit_of_their_own() {
    let client = client((0..9).map(|_| Step::Silence));
    let patient = client.with_retry(RetryPolicy::default().overall(Duration::from_secs(15)));
    let error = block_on(patient.v2().get("x")).unwrap_err();
    match error {
        Error::Timeout(error) => assert_eq!((error.attempts(), error.limit().as_secs()), (2, 5)),
        other => panic!("{other}"),
    }
    assert_eq!(client.transport().elapsed(), Duration::from_secs(15));
}

#[test]
fn an_endpoint_is_avoided_for_silence_within_the_time_of_an_attempt_and_not_of_a_call() {
    let seconds = Duration::from_secs;
    for (overall, is_up) in [(seconds(1), true), (seconds(60), false)] {
        let client = client([Step::Silence]);
        let client = client.with_retry(RetryPolicy::never().overall(overall));
        let error = block_on(client.v2().get("x")).unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        assert_eq!(client.transport().elapsed(), overall.min(seconds(10)));
        assert_eq!(client.endpoints()[0].is_up, is_up);
    }
}

#[test]
fn a_timeout_of_zero_times_out() {
    let client = client([Step::Silence]);
    let none = client
        .with_timeout(Duration::ZERO)
        .with_retry(RetryPolicy::never());
    assert!(matches!(
        block_on(none.v2().get("x")),
        Err(Error::Timeout(_))
    ));
}

#[test]
fn a_client_is_as_good_as_before_after_an_operation_was_dropped_anywhere() {
    // While it waits for the head; while it waits for the body; between two attempts.
    let body = || Step::Respond(200, vec![], harness::scripted_transport::Ending::Open);
    for (steps, dropped_after) in [
        (vec![Step::Halt], 1),
        (vec![Step::Refuse, Step::Halt], 2),
        (vec![body(), Step::Halt], 2),
    ] {
        let client = client(
            steps
                .into_iter()
                .chain([ok(), keys(200, 7, ""), open(7), ok()]),
        );
        assert!(client.send(Get::new("x")).now_or_never().is_none());
        assert_eq!(client.transport().seen().len(), dropped_after);
        block_on(client.send(Get::new("x"))).unwrap();
    }
}

#[test]
fn a_client_is_as_good_as_before_after_a_watch_was_dropped() {
    let client = client([keys(200, 7, ""), Step::Halt, ok()]);
    let mut watch = client.open(Watch::new("x"));
    assert!(watch.next().now_or_never().is_none());
    assert_eq!(client.transport().seen().len(), 2);
    drop(watch);
    block_on(client.send(Get::new("x"))).unwrap();
}

/// A server to which connecting takes two seconds, at first without success, and the time limit that it gets.
#[derive(Debug, Default)]
struct Slow {
    clock: VirtualClock,
    reported: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Slow {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let reported = request.headers()["grpc-timeout"]
            .to_str()
            .unwrap()
            .to_owned();
        let times = {
            let mut all = self.reported.lock().unwrap();
            all.push(reported);
            all.len()
        };
        self.clock.sleep(Duration::from_secs(2)).await;
        if times < 3 {
            return Err(TransportError::connect("refused"));
        }
        pending().await
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

#[test]
fn the_server_receives_what_is_left_of_the_deadline() {
    for protocol in [Protocol::Gateway, Protocol::Grpc] {
        let builder = Client::builder(Slow::default()).endpoints(["http://a", "http://b"]);
        let builder = builder.protocol(protocol);
        let retry = RetryPolicy::default().first_pause(Duration::from_nanos(1));
        let client = builder.retry(retry).build().unwrap();
        let limit = Duration::from_secs(7);
        let clock = &client.transport().clock;
        let lock = Lock::new("l", 7).time_limit(limit);
        clock.run(client.send(lock)).unwrap_err();
        assert_eq!(clock.elapsed(), Duration::from_secs(9));
        let reported = std::mem::take(&mut *client.transport().reported.lock().unwrap());
        assert_eq!(reported, ["7000m", "5000m", "3000m"]);
        let campaign = Campaign::new("e", 7, "v").time_limit(limit);
        clock.run(client.send(campaign)).unwrap_err();
        assert_eq!(
            client.transport().reported.lock().unwrap()[..2],
            ["7000m", "5000m"]
        );
    }
}
