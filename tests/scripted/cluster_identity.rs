//! Responses of the v2 API from another cluster, and from a member that has lost its data, are errors.

use etcd_http::{
    Client, ClientBuilder, Outcome,
    v2::{Get, Watch},
};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step, etcd_error, file, keys, open, with_headers},
};

use crate::v2_calls::{get, set};

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a", "http://b"])
}

/// A response with this index of the store.
fn at(index: u64) -> Step {
    keys(200, index, file("get", "/x", 3))
}

fn of(cluster: &str, step: Step) -> Step {
    with_headers(step, &[("x-etcd-cluster-id", cluster)])
}

const OURS: &str = "cdf818194e3a8c32";
const OTHER: &str = "beef";

#[test]
fn a_response_from_another_cluster_is_an_error_and_is_not_asked_for_again() {
    let client = builder([of(OURS, at(7)), of(OTHER, at(8)), of(OURS, at(9))])
        .build()
        .unwrap();
    get(&client).unwrap();
    let error = get(&client).unwrap_err();
    assert!(error.is_cluster_changed() && !error.is_stale_read());
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a: the response is from the cluster beef, and those before were from \
         cdf818194e3a8c32: is an endpoint wrong, or was the cluster replaced? If so, set \
         `allow_cluster_change`"
    );
    // The endpoint is avoided from then on.
    get(&client).unwrap();
    let seen = client.transport().seen();
    assert_eq!(
        seen,
        ["GET a/v2/keys/x", "GET a/v2/keys/x", "GET b/v2/keys/x"]
    );
}

#[test]
fn a_write_to_another_cluster_may_have_been_applied_there() {
    for (step, outcome) in [
        (at(8), Outcome::Unknown),
        (etcd_error(412, 101, 8), Outcome::Rejected),
    ] {
        let client = builder([of(OURS, at(7)), of(OTHER, step)]).build().unwrap();
        get(&client).unwrap();
        let error = set(&client).unwrap_err();
        assert!(error.is_cluster_changed(), "{error}");
        assert_eq!(error.outcome(), outcome);
    }
}

#[test]
fn a_watch_notices_another_cluster_too() {
    let client = builder([of(OURS, at(7)), of(OTHER, open(7))])
        .build()
        .unwrap();
    get(&client).unwrap();
    let watch = client.open(Watch::new("x").from_index(8));
    let error = block_on(watch.take(1).collect::<Vec<_>>())
        .remove(0)
        .unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
}

#[test]
fn another_cluster_is_accepted_where_that_is_meant() {
    let other = [8, 9, 7].map(|index| of(OTHER, at(index)));
    let client = builder([of(OURS, at(700))].into_iter().chain(other))
        .allow_cluster_change(true)
        .reject_stale_reads(true)
        .build()
        .unwrap();
    for _ in 0..3 {
        get(&client).unwrap();
    }
    // The indexes of the other cluster start again, and must not go back from there.
    let once = client.with_retry(etcd_http::RetryPolicy::never());
    assert!(get(&once).unwrap_err().is_stale_read());
}

#[test]
fn responses_without_a_cluster_id_are_accepted() {
    let client = builder([of(OURS, at(7)), at(8), of("none", at(9)), of(OURS, at(10))])
        .build()
        .unwrap();
    for _ in 0..4 {
        get(&client).unwrap();
    }
}

#[test]
fn a_stale_read_is_asked_of_the_next_endpoint() {
    let client = builder([at(7), at(6), at(7), at(8)])
        .reject_stale_reads(true)
        .build()
        .unwrap();
    for _ in 0..3 {
        get(&client).unwrap();
    }
    let seen = client.transport().seen();
    let hosts: String = seen.iter().filter_map(|line| line.chars().nth(4)).collect();
    assert_eq!(hosts, "aabb");
}

#[test]
fn a_read_that_is_stale_everywhere_is_an_error() {
    let late = (0..5).map(|_| at(6));
    let client = builder([at(7)].into_iter().chain(late))
        .reject_stale_reads(true)
        .build()
        .unwrap();
    get(&client).unwrap();
    let error = get(&client).unwrap_err();
    assert!(error.is_stale_read() && !error.is_cluster_changed());
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a (attempt 5): the response is stale: the store's index is 6, and was 7 before; \
         http://b: the response is stale: the store's index is 6, and was 7 before"
    );
}

#[test]
fn reads_are_compared_with_the_index_of_writes_and_errors() {
    for seen in [keys(201, 9, file("set", "/x", 9)), etcd_error(412, 101, 9)] {
        let client = builder([seen, at(8), at(9)])
            .reject_stale_reads(true)
            .build()
            .unwrap();
        let _ = set(&client);
        get(&client).unwrap();
        assert_eq!(client.transport().seen().len(), 3);
    }
}

#[test]
fn a_write_is_never_stale_nor_a_read_that_did_not_get_to_the_store() {
    let client = builder([at(9), at(8), etcd_error(401, 110, 0)])
        .reject_stale_reads(true)
        .build()
        .unwrap();
    get(&client).unwrap();
    set(&client).unwrap();
    assert!(get(&client).unwrap_err().is_unauthorized());
}

#[test]
fn stale_reads_are_accepted_unless_refused() {
    let client = builder([at(7), at(6)]).build().unwrap();
    get(&client).unwrap();
    get(&client).unwrap();
}

/// A response of a member in this raft term.
fn in_term(term: &str) -> Step {
    with_headers(at(9), &[("x-raft-term", term)])
}

#[test]
fn a_write_or_a_quorum_read_in_an_earlier_term_is_of_a_recreated_store() {
    let steps = ["5", "2", "2", "2", "2"].map(in_term);
    let client = builder(steps).build().unwrap();
    set(&client).unwrap();
    let quorum = block_on(client.send(Get::new("x").quorum(true))).unwrap_err();
    for error in [quorum, set(&client).unwrap_err()] {
        assert!(error.is_cluster_changed(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(
                "the raft term is 2, and was 5 before: was the cluster's data lost or restored? If so, \
                 set `allow_cluster_change`"
            ),
            "{text}"
        );
    }
    // A member that lags behind may rightly show less to a read of its own data.
    get(&client).unwrap();
}

#[test]
fn the_term_of_a_plain_read_counts_for_writes() {
    let client = builder(["5", "4"].map(in_term)).build().unwrap();
    get(&client).unwrap();
    assert!(set(&client).unwrap_err().is_cluster_changed());
}

#[test]
fn a_recreated_store_is_accepted_where_that_is_meant() {
    let client = builder(["5", "2", "3", "3"].map(in_term))
        .allow_cluster_change(true)
        .build()
        .unwrap();
    for _ in 0..4 {
        set(&client).unwrap();
    }
}
