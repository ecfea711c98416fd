//! Refusals say what they are about and what to do, those of the client included.

use std::{
    error::Error as StdError,
    fmt, io,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, Operation, Outcome, Result, RetryPolicy,
    transport::{Request, Response, Transport, TransportError, async_trait},
    v3::{Campaign, GrantLease, Lock, Put, RevokeLease},
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step},
};

/// A client whose only request is refused.
fn refused(status: u16, code: u32, message: &str) -> Client<ScriptedTransport> {
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = format!(r#"{{"code":{code}, "message":"{message}"}}"#);
    client([Step::Respond(status, headers, Ending::Whole(body))])
}

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap()
}

fn send<O: Operation>(client: &Client<ScriptedTransport>, operation: O) -> Result<O::Output> {
    block_on(client.send(operation))
}

fn put() -> Put {
    Put::new("k", "v")
}

#[test]
fn a_missing_user_gets_the_hint_to_set_v3_auth() {
    let no_user = refused(400, 3, "etcdserver: user name is empty");
    assert_eq!(
        send(&no_user, put()).unwrap_err().to_string(),
        "v3.kv.put at http://a: etcdserver: user name is empty (code 3): this client shows no user: set `v3_auth`"
    );
}

#[test]
fn a_lease_that_is_gone_is_named() {
    let gone = || refused(404, 5, "etcdserver: requested lease not found");
    let campaign = Campaign::new("e", 0x1f, "v");
    for error in [
        send(&gone(), put().lease(0x1f)).unwrap_err(),
        send(&gone(), RevokeLease::new(0x1f)).unwrap_err(),
        send(&gone(), Lock::new("l", 0x1f)).unwrap_err(),
        send(&gone(), campaign).unwrap_err(),
    ] {
        let lease = "etcdserver: requested lease not found: lease 1f (code 5)";
        assert!(error.to_string().ends_with(lease), "{error}");
    }
    let error = send(&gone(), put().lease(-8)).unwrap_err().to_string();
    assert!(error.ends_with(": lease -8 (code 5)"), "{error}");
}

#[test]
fn the_time_limit_of_a_lock_is_in_the_error() {
    let late = refused(504, 4, "context deadline exceeded");
    let limit = Duration::from_millis(300);
    let error = send(&late, Lock::new("l", 7).time_limit(limit)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v3.lock.lock at http://a: context deadline exceeded: not held within 300ms (code 4) (the write may have \
         been applied)"
    );
}

/// The gateway's text is no JSON.
#[test]
fn a_certificate_with_a_common_name_at_the_gateway_gets_a_hint() {
    let text = "CommonName of client sending a request against gateway will be ignored and not used as expected\n";
    let named = client([Step::Respond(400, vec![], Ending::Whole(text.to_owned()))]);
    assert_eq!(
        send(&named, put()).unwrap_err().to_string(),
        "v3.kv.put at http://a: CommonName of client sending a request against gateway will be ignored and not used as \
         expected (code 3): use a certificate without a common name, or gRPC"
    );
}

#[test]
fn an_empty_key_of_a_put_does_not_advise_a_range() {
    let empty = send(&client([]), Put::new("", "v")).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "v3.kv.put: the key is empty, which no key of etcd is"
    );
}

/// etcd would make a lease of two seconds.
#[test]
fn a_time_to_live_below_a_second_is_refused_and_a_part_of_one_is_rounded_up_visibly() {
    for (ttl, reason) in [
        (Duration::ZERO, "the time to live is zero"),
        (
            Duration::from_millis(500),
            "a time to live of 500ms: etcd counts whole seconds, and its minimum is usually 2 s",
        ),
    ] {
        let error = send(&client([]), GrantLease::new(ttl)).unwrap_err();
        assert_eq!(error.to_string(), format!("v3.lease.grant: {reason}"));
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
    let granted = r#"{"header":{"cluster_id":"7"},"ID":"7","TTL":"3"}"#;
    let client = client([Step::Respond(
        200,
        vec![],
        Ending::Whole(granted.to_owned()),
    )]);
    let lease = send(&client, GrantLease::new(Duration::from_millis(2_500)).id(7)).unwrap();
    assert_eq!(lease.ttl, Duration::from_secs(3));
}

/// Every connection fails, for a reason that is below two layers of an HTTP stack.
#[derive(Debug)]
struct NoFiles;

#[derive(Debug)]
struct Layer(&'static str, Box<dyn StdError + Send + Sync>);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Layer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.1)
    }
}

#[async_trait]
impl Transport for NoFiles {
    async fn send(&self, _: Request) -> std::result::Result<Response, TransportError> {
        let cause = io::Error::other("too many open files");
        let layers = Layer("tcp open error", cause.into());
        Err(TransportError::connect(Layer(
            "client error (Connect)",
            layers.into(),
        )))
    }

    async fn sleep(&self, _: Duration) {}

    fn now(&self) -> Instant {
        Instant::now()
    }
}

#[test]
fn a_failed_connection_shows_its_innermost_cause() {
    let client = Client::builder(NoFiles).endpoints(["http://a:2379"]);
    let client = client.retry(RetryPolicy::default().attempts(1));
    let client = client.build().unwrap();
    let errors: [Error; 3] = [
        block_on(client.v3().kv().get("k")).unwrap_err(),
        block_on(client.v2().get("/k")).unwrap_err(),
        block_on(client.version()).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            text.ends_with(" at http://a:2379: could not connect: too many open files"),
            "{text}"
        );
        // For people, all layers.
        let text = format!("{error:?}");
        let layers = "caused by: client error (Connect); caused by: tcp open error; caused by: too many open files";
        assert!(text.ends_with(layers), "{text}");
    }
}
