//! Reads of v3 that must not go back in time.

use etcd_http::{
    Client, Result, RetryPolicy,
    v3::{Range, Txn},
};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step, keys},
};

/// A response at this revision, to a read or a write.
fn at(revision: i64) -> Step {
    of(7, revision)
}

fn of(cluster: u64, revision: i64) -> Step {
    let body = format!(
        r#"{{"header":{{"cluster_id":"{cluster}","member_id":"1","revision":"{revision}","raft_term":"2"}}}}"#
    );
    keys(200, 0, body)
}

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let transport = ScriptedTransport::new(steps);
    let builder = Client::builder(transport).endpoints(["http://a", "http://b"]);
    builder.reject_stale_reads(true).build().unwrap()
}

fn read(client: &Client<ScriptedTransport>) -> Result<i64> {
    let local = Range::new("x").serializable(true);
    block_on(client.send(local)).map(|it| it.header.revision)
}

/// The hosts that were asked, in order.
fn hosts(client: &Client<ScriptedTransport>) -> String {
    let seen = client.transport().seen();
    let hosts = seen.iter().map(|line| line.chars().nth(5));
    hosts.map(Option::unwrap).collect()
}

#[test]
fn an_older_response_is_asked_of_the_next_endpoint() {
    let client = client([at(7), at(6), at(7), at(8)]);
    for revision in [7, 7, 8] {
        assert_eq!(read(&client).unwrap(), revision);
    }
    assert_eq!(hosts(&client), "aabb");
}

#[test]
fn a_read_that_is_older_everywhere_fails_as_stale() {
    let late = (0..5).map(|_| at(6));
    let client = client([at(7)].into_iter().chain(late));
    read(&client).unwrap();
    let error = read(&client).unwrap_err();
    assert!(error.is_stale_read() && !error.is_cluster_changed());
    assert_eq!(
        error.to_string(),
        "v3.kv.range at http://a (attempt 5): the response is stale: the store's revision is 6, and was 7 before; \
         http://b: the response is stale: the store's revision is 6, and was 7 before"
    );
}

#[test]
fn what_writes_report_is_seen_and_writes_are_never_stale() {
    let client = client([at(9), at(8), at(9), at(8)]);
    block_on(client.v3().kv().put("x", "1")).unwrap();
    assert_eq!(read(&client).unwrap(), 9);
    // It is not refused, whatever it says: it was applied.
    block_on(client.v3().kv().put("x", "1")).unwrap();
    assert_eq!(hosts(&client), "aabb");
}

#[test]
fn transactions_that_only_read_are_reads() {
    let client = client([at(9), at(8), at(10)]);
    read(&client).unwrap();
    let txn = Txn::new().then(Range::new("x").serializable(true));
    assert_eq!(block_on(client.send(txn)).unwrap().header.revision, 10);
}

#[test]
fn single_calls_can_differ() {
    let client = client([at(7), at(6), at(6), at(7)]);
    read(&client).unwrap();
    let free = client.with_reject_stale_reads(false);
    assert_eq!(read(&free).unwrap(), 6);
    assert_eq!(read(&free.with_reject_stale_reads(true)).unwrap(), 7);
    assert_eq!(hosts(&client), "aaab");
}

#[test]
fn nothing_is_compared_where_it_is_off() {
    let transport = ScriptedTransport::new([at(7), at(6), at(5), at(4)]);
    let client = Client::new(transport, ["http://a"]).unwrap();
    assert_eq!([read(&client).unwrap(), read(&client).unwrap()], [7, 6]);
    // What it has seen counts from here on.
    let monotonic = client.with_reject_stale_reads(true);
    assert_eq!(read(&monotonic).unwrap(), 5);
    let once = monotonic.with_retry(RetryPolicy::never());
    assert!(read(&once).unwrap_err().is_stale_read());
}

#[test]
fn another_cluster_begins_again_where_it_is_accepted() {
    let transport = ScriptedTransport::new([of(7, 700), of(8, 8), of(8, 9), of(8, 8)]);
    let builder = Client::builder(transport).endpoints(["http://a"]);
    let builder = builder.reject_stale_reads(true).allow_cluster_change(true);
    let client = builder.retry(RetryPolicy::never()).build().unwrap();
    for revision in [700, 8, 9] {
        assert_eq!(read(&client).unwrap(), revision);
    }
    assert!(read(&client).unwrap_err().is_stale_read());
}
