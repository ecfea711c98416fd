//! One request for a token serves all calls that wait for it, whatever happens to it and to them.

use std::{
    collections::VecDeque,
    error::Error as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, EtcdErrorKind, Outcome, Result, RetryPolicy,
    transport::{
        Request, Response, Transport, TransportError, async_trait,
        http::{HeaderValue, header::AUTHORIZATION},
    },
    v3::{Put, PutResponse, Range},
};
use futures::future::{join_all, poll_immediate};
use harness::{clock::VirtualClock, scripted_transport::without_grpc};

/// A server that takes a second to grant a token.
#[derive(Debug)]
struct Gate {
    clock: VirtualClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The responses to requests for a token, one after the other.
    logins: VecDeque<Login>,
    asked: usize,
    /// The token that it accepts.
    token: &'static str,
    /// It does not respond to calls with these.
    waits_for: Vec<&'static str>,
    puts: usize,
}

#[derive(Clone, Copy, Debug)]
enum Login {
    Token(&'static str),
    Wrong,
    Refused,
    Silence,
}

const SECOND: Duration = Duration::from_secs(1);

#[async_trait]
impl Transport for Gate {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        if request.uri().path() == "/v3/auth/authenticate" {
            let login = {
                let mut state = self.state.lock().unwrap();
                state.asked += 1;
                state.logins.pop_front().expect("one login too many")
            };
            self.clock.sleep(SECOND).await;
            return match login {
                Login::Token(token) => Ok(json(
                    200,
                    format!(r#"{{"header":{{"cluster_id":"7"}},"token":"{token}"}}"#),
                )),
                Login::Wrong => Ok(json(
                    400,
                    r#"{"code":3,"message":"etcdserver: authentication failed, invalid user ID or password"}"#,
                )),
                Login::Refused => Err(TransportError::connect("connection refused")),
                Login::Silence => std::future::pending().await,
            };
        }
        let shown = request.headers().get(AUTHORIZATION);
        let waits = |shown: &HeaderValue| {
            let state = self.state.lock().unwrap();
            state.waits_for.iter().any(|token| shown == token)
        };
        if shown.is_some_and(waits) {
            return std::future::pending().await;
        }
        let mut state = self.state.lock().unwrap();
        if shown.map(HeaderValue::as_bytes) != Some(state.token.as_bytes()) {
            let body = r#"{"code":16,"message":"etcdserver: invalid auth token"}"#;
            return Ok(json(401, body));
        }
        state.puts += 1;
        Ok(json(200, r#"{"header":{"cluster_id":"7","revision":"7"}}"#))
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

fn json(status: u16, body: impl Into<String>) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status.try_into().unwrap();
    response
}

fn client(logins: impl IntoIterator<Item = Login>) -> Client<Gate> {
    let gate = Gate {
        clock: VirtualClock::new(),
        state: Mutex::new(State {
            logins: logins.into_iter().collect(),
            asked: 0,
            token: "one",
            waits_for: Vec::new(),
            puts: 0,
        }),
    };
    let client = Client::builder(gate).endpoints(["http://127.0.0.1"]);
    let client = client.retry(RetryPolicy::never());
    client.v3_auth("root", "s3cret").build().unwrap()
}

impl Gate {
    /// Returns how often a token was requested, and how many puts were applied.
    fn count(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.asked, state.puts)
    }
}

async fn put(client: &Client<Gate>) -> Result<PutResponse> {
    client.send(Put::new("k", "v")).await
}

fn hundred(client: &Client<Gate>) -> Vec<Result<PutResponse>> {
    let puts = join_all((0..100).map(|_| put(client)));
    client.transport().clock.run(puts)
}

#[test]
fn r_60_all_who_wait_share_one_token() {
    let client = client([Login::Token("one")]);
    assert!(hundred(&client).iter().all(Result::is_ok));
    assert_eq!(client.transport().count(), (1, 100));
    assert_eq!(client.transport().clock.elapsed(), SECOND);
}

#[test]
fn a_caller_with_retries_does_not_share_the_failure_of_one_without() {
    let hurried = client([Login::Refused, Login::Refused, Login::Token("one")]);
    let patient = hurried.with_retry(RetryPolicy::default());
    let puts = join_all([put(&hurried), put(&patient)]);
    let puts = hurried.transport().clock.run(puts);
    assert_eq!(
        puts.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(hurried.transport().count(), (3, 1));
}

#[test]
fn a_caller_with_a_short_timeout_does_not_wait_for_the_token_request_of_another() {
    let patient = client([Login::Silence, Login::Token("one")]).with_timeout(60 * SECOND);
    let hurried = patient.with_timeout(3 * SECOND);
    let clock = &patient.transport().clock;
    let mut waiting = Box::pin(put(&patient));
    assert!(clock.run(poll_immediate(&mut waiting)).is_none());
    assert!(clock.run(put(&hurried)).is_ok());
    assert!(clock.elapsed() <= 3 * SECOND);
}

#[test]
fn a_call_waits_for_another_token_only_as_long_as_it_has_time_left() {
    let client = client([Login::Token("zero"), Login::Silence]).with_timeout(60 * SECOND);
    let client = client.with_retry(RetryPolicy::never().overall(12 * SECOND));
    let clock = &client.transport().clock;
    let error = clock.run(put(&client)).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(
        error.to_string(),
        "v3.auth.authenticate at http://127.0.0.1: no response within 11s"
    );
    assert_eq!(error.outcome(), Outcome::NotSent);
    // One second for the first token, which is refused, and the rest for the other one.
    assert_eq!(clock.elapsed(), 12 * SECOND);
}

#[test]
fn t_13_all_waiting_callers_share_one_failure_and_a_later_one_asks_again() {
    let client = client([Login::Wrong, Login::Token("one")]);
    let errors: Vec<_> = hundred(&client)
        .into_iter()
        .map(Result::unwrap_err)
        .collect();
    assert_eq!(client.transport().count(), (1, 0));
    assert_eq!(client.transport().clock.elapsed(), SECOND);
    for error in &errors {
        let kind = error.etcd_kind();
        assert_eq!(kind, Some(EtcdErrorKind::AuthenticationFailed));
        assert_eq!(error.to_string(), errors[0].to_string());
    }
    assert!(hundred(&client).iter().all(Result::is_ok));
    assert_eq!(client.transport().count(), (2, 100));
}

#[test]
fn a_shared_failure_of_the_transport_keeps_its_cause() {
    let client = client([Login::Refused]);
    for answer in hundred(&client) {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error}");
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
    }
    assert_eq!(client.transport().count(), (1, 0));
}

#[test]
fn a_token_that_is_refused_to_many_at_once_is_renewed_once() {
    let client = client([Login::Token("one"), Login::Token("two")]);
    client.transport().clock.run(put(&client)).unwrap();
    client.transport().state.lock().unwrap().token = "two";
    assert!(hundred(&client).iter().all(Result::is_ok));
    assert_eq!(client.transport().count(), (2, 101));
}

#[test]
fn a_caller_that_is_dropped_while_it_asks_does_not_block_the_others() {
    let client = client([Login::Token("one")]);
    let second = async {
        let mut first = Box::pin(put(&client));
        assert!(poll_immediate(&mut first).await.is_none());
        let mut second = Box::pin(put(&client));
        assert!(poll_immediate(&mut second).await.is_none());
        drop(first);
        second.await
    };
    client.transport().clock.run(second).unwrap();
    assert_eq!(client.transport().count(), (1, 1));
    assert_eq!(client.transport().clock.elapsed(), SECOND);
}

#[test]
fn a_caller_that_comes_after_a_failure_asks_again_before_others_have_seen_it() {
    let client = client([Login::Wrong, Login::Token("one")]);
    let (slow, later) = client.transport().clock.run(async {
        let mut first = Box::pin(put(&client));
        assert!(poll_immediate(&mut first).await.is_none());
        let mut slow = Box::pin(put(&client));
        assert!(poll_immediate(&mut slow).await.is_none());
        first.await.unwrap_err();
        let later = put(&client).await;
        (slow.await, later)
    });
    later.unwrap();
    let error = slow.unwrap_err();
    let kind = error.etcd_kind();
    assert_eq!(kind, Some(EtcdErrorKind::AuthenticationFailed));
    assert_eq!(client.transport().count(), (2, 1));
}

#[test]
fn a_request_that_no_caller_waits_for_is_not_awaited_later() {
    let client = client([Login::Silence, Login::Token("one")]);
    let clock = &client.transport().clock;
    let later = async {
        let mut first = Box::pin(put(&client));
        assert!(poll_immediate(&mut first).await.is_none());
        drop(first);
        clock.sleep(SECOND).await;
        put(&client).await
    };
    clock.run(later).unwrap();
    assert_eq!(client.transport().count(), (2, 1));
    assert_eq!(clock.elapsed(), 2 * SECOND);
}

#[test]
fn no_caller_waits_for_the_request_of_another_beyond_its_own_time_limit() {
    let client = client([Login::Silence, Login::Silence]);
    let hurried = client.with_retry(RetryPolicy::never().overall(3 * SECOND));
    let clock = &client.transport().clock;
    let (patient, hurried) = clock.run(async {
        let mut patient = Box::pin(put(&client));
        assert!(poll_immediate(&mut patient).await.is_none());
        let error = put(&hurried).await.unwrap_err();
        let after = clock.elapsed();
        (patient.await.unwrap_err(), (error, after))
    });
    let (error, after) = hurried;
    assert_eq!(after, 3 * SECOND);
    assert_eq!(
        error.to_string(),
        "v3.auth.authenticate at http://127.0.0.1: no response within 3s"
    );
    assert!(matches!(patient, Error::Timeout(_)), "{patient}");
    assert_eq!(clock.elapsed(), 10 * SECOND);
    assert_eq!(client.transport().count(), (2, 0));
}

#[test]
fn a_token_whose_raft_index_a_new_store_has_not_reached_is_renewed_after_a_timeout() {
    let client = client([Login::Token("one"), Login::Token("two")]);
    let clock = &client.transport().clock;
    clock.run(put(&client)).unwrap();
    {
        let mut state = client.transport().state.lock().unwrap();
        state.token = "two";
        state.waits_for = vec!["one"];
    }
    let error = clock.run(put(&client)).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    clock.run(put(&client)).unwrap();
    assert_eq!(client.transport().count(), (2, 2));
}

#[test]
fn a_read_that_timed_out_twice_goes_on_with_another_token() {
    let client = client([Login::Token("one"), Login::Token("two")]);
    let client = client.with_retry(RetryPolicy::default());
    {
        let mut state = client.transport().state.lock().unwrap();
        state.token = "two";
        state.waits_for = vec!["one"];
    }
    let clock = &client.transport().clock;
    clock.run(client.send(Range::new("k"))).unwrap();
    assert!(clock.elapsed() < 23 * SECOND, "{:?}", clock.elapsed());
}

#[test]
fn tokens_are_not_renewed_for_each_timeout() {
    let logins = ["one", "two", "three", "four"].map(Login::Token);
    let client = client(logins);
    let clock = &client.transport().clock;
    client.transport().state.lock().unwrap().waits_for = vec!["one", "two", "three"];
    while clock.elapsed() < 60 * SECOND {
        let error = clock.run(put(&client)).unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
    }
    assert_eq!(client.transport().count(), (3, 0));
}

#[test]
fn where_no_token_is_granted_a_call_goes_on_with_the_one_that_it_has() {
    let client = client([Login::Token("one"), Login::Refused, Login::Silence]);
    let clock = &client.transport().clock;
    clock.run(put(&client)).unwrap();
    for _ in 0..2 {
        let waits_for = |tokens| client.transport().state.lock().unwrap().waits_for = tokens;
        waits_for(vec!["one"]);
        clock.run(put(&client)).unwrap_err();
        waits_for(vec![]);
        let before = clock.elapsed();
        clock.run(put(&client)).unwrap();
        assert!(clock.elapsed() - before <= 3 * SECOND);
        clock.run(clock.sleep(30 * SECOND));
    }
    assert_eq!(client.transport().count(), (3, 3));
}

#[test]
fn a_call_does_not_fail_with_a_fetch_that_stood_still_before_it_came() {
    let client = client([Login::Silence, Login::Token("one")]);
    let clock = &client.transport().clock;
    let (stuck, put) = clock.run(async {
        let mut stuck = Box::pin(put(&client));
        assert!(poll_immediate(&mut stuck).await.is_none());
        // Nobody polls it meanwhile, and its own time is over.
        clock.sleep(100 * SECOND).await;
        let put = put(&client).await;
        (stuck.await, put)
    });
    put.unwrap();
    let error = stuck.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(client.transport().count(), (2, 1));
    assert_eq!(clock.elapsed(), 101 * SECOND);
}
