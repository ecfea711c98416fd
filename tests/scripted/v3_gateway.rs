//! The differences between gateways that the client handles: the status of an error, an error in a stream, the revision
//! of "now".

use etcd_http::{
    Client, Operation, Outcome, Result,
    v3::{KeyRange, Put, Range, Watch},
};
use futures::{StreamExt, executor::block_on};
use harness::scripted_transport::{Ending, ScriptedTransport, Step};

use crate::v3_store::{Connection, State, Store, client};

/// A client of two endpoints, of which the first refuses all requests.
fn refused(status: u16, code: u32) -> Client<ScriptedTransport> {
    let json = |status, body: String| {
        let headers = vec![("content-type", "application/json".to_owned())];
        Step::Respond(status, headers, Ending::Whole(body))
    };
    let refusal = json(
        status,
        format!(r#"{{"code":{code}, "message":"something new"}}"#),
    );
    let done = json(
        200,
        r#"{"header":{"cluster_id":"7","revision":"7"}}"#.to_owned(),
    );
    Client::new(
        ScriptedTransport::new([refusal, done]),
        ["http://a", "http://b"],
    )
    .unwrap()
}

/// Returns how often an operation is sent, and its result.
fn send<O: Operation>(client: &Client<ScriptedTransport>, operation: O) -> (usize, Result<()>) {
    let result = block_on(client.send(operation)).map(drop);
    (client.transport().seen().len(), result)
}

/// Errors after which a request is sent to another endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Again {
    Nothing,
    Reads,
    /// The request may succeed at another endpoint, and was definitely not applied.
    All,
}

#[test]
fn v3_12_a_code_means_the_same_whatever_its_status() {
    use Again::{All, Nothing, Reads};
    use Outcome::{Rejected, Unknown};
    for (code, statuses, kind, outcome, again) in [
        (1, &[408, 499][..], "Canceled", Unknown, Nothing),
        (2, &[500], "Other(2)", Unknown, Nothing),
        (3, &[400], "BadRequest", Rejected, Nothing),
        (4, &[504], "RequestTimedOut", Unknown, Reads),
        (5, &[404], "NotFound", Rejected, Nothing),
        (6, &[409], "Other(6)", Rejected, Nothing),
        (7, &[403], "PermissionDenied", Rejected, Nothing),
        (8, &[429], "Other(8)", Rejected, Nothing),
        (9, &[400, 412], "Other(9)", Rejected, Nothing),
        (10, &[409], "Other(10)", Rejected, Nothing),
        (11, &[400], "Other(11)", Rejected, Nothing),
        // It is not there.
        (12, &[501], "", Rejected, All),
        (13, &[500], "Other(13)", Unknown, Nothing),
        (14, &[503], "Other(14)", Unknown, Reads),
        (15, &[500], "Corrupt", Rejected, Nothing),
        (16, &[401], "InvalidAuthToken", Rejected, Nothing),
    ] {
        // The statuses of gateways, and what a later one might send.
        for &status in statuses.iter().chain(&[400, 500, 503]) {
            let what = format!("code {code}, status {status}");
            let (sent, written) = send(&refused(status, code), Put::new("k", "v"));
            let repeated = again == All;
            assert_eq!((sent == 2, written.is_ok()), (repeated, repeated), "{what}");
            if let Err(error) = written {
                let found = format!("{:?}", error.etcd_kind().unwrap());
                assert_eq!((&*found, error.outcome()), (kind, outcome), "{what}");
            }
            let (sent, read) = send(&refused(status, code), Range::new("k"));
            let repeated = again != Nothing;
            assert_eq!((sent == 2, read.is_ok()), (repeated, repeated), "{what}");
        }
    }
}

/// Revisions 5 and 6.
fn write_two(state: &mut State) {
    state.write(["one".to_owned()]);
    state.write(["two".to_owned()]);
}

fn watch(store: Store, watch: Watch, count: usize) -> (Client<Store>, Vec<Result<i64>>) {
    let client = client(store);
    let changes = client.open(watch).take(count);
    let changes = changes.map(|changes| changes.map(|changes| changes.revision));
    let revisions = client.transport().clock.run(changes.collect());
    (client, revisions)
}

#[test]
fn v3_10_an_error_of_a_stream_is_read_before_and_after_its_first_message() {
    let created =
        r#"{"result":{"header":{"cluster_id":"7","revision":"6"},"watch_id":"1","created":true}}"#;
    for (error, kind) in [
        (
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
            None,
        ),
        (
            r#"{"error":{"code":14,"message":"etcdserver: no leader"}}"#,
            None,
        ),
        (
            r#"{"error":{"grpc_code":7,"http_code":403,"message":"etcdserver: permission denied","http_status":"Forbidden"}}"#,
            Some("PermissionDenied"),
        ),
        (
            r#"{"error":{"code":7,"message":"etcdserver: permission denied"}}"#,
            Some("PermissionDenied"),
        ),
    ] {
        // The status is the error's only where nothing was sent before it.
        let status = if kind.is_some() { 403 } else { 503 };
        for (status, body) in [
            (status, error.to_owned()),
            (200, format!("{error}\n")),
            (200, format!("{created}\n{error}\n")),
        ] {
            let store = Store::at(4).with(write_two).with(|state| {
                let answer = Some((status, body.clone()));
                state.connections = [Connection {
                    answer,
                    ..Connection::default()
                }]
                .into();
            });
            let all = Watch::new(KeyRange::all()).from_revision(5);
            let (client, mut found) = watch(store, all, 2);
            let requests = client.transport().seen().len();
            match kind {
                // It is temporary, and the watch continues with another request.
                None => {
                    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
                    assert_eq!((found, requests), (vec![5, 6], 2), "{body}");
                }
                Some(kind) => {
                    let error = found.remove(0).unwrap_err();
                    assert_eq!(format!("{:?}", error.etcd_kind().unwrap()), kind);
                    assert_eq!((found.len(), requests), (0, 1), "{body}");
                }
            }
        }
    }
}

#[test]
fn v3_88_a_watch_from_now_sees_what_is_written_before_it_is_created() {
    // `created` has revision 6, although 5 and 6 are still to come.
    let store = Store::at(4).with(|state| state.after_read = Some(write_two));
    let (client, found) = watch(store, Watch::new(KeyRange::all()), 2);
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [5, 6]);
    let seen = client.transport().seen();
    assert_eq!(seen[0], r#"a/v3/kv/range {"key":"AA==","keys_only":true}"#);
    assert!(seen[1].contains(r#""start_revision":"4""#), "{}", seen[1]);
    assert_eq!(seen.len(), 2);
}
