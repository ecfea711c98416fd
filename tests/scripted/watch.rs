//! Watches of the v2 API.

use std::time::Duration;

use etcd_http::{Client, Error, Result, RetryPolicy, StreamOperation, v2::Watch};
use futures::StreamExt;
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, etcd_error, file, keys, open},
};

pub(crate) fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap()
}

/// The first `count` items of a watch.
pub(crate) fn items<W: StreamOperation>(
    client: &Client<ScriptedTransport>,
    watch: W,
    count: usize,
) -> Vec<Result<W::Item>> {
    block_on(client.open(watch).take(count).collect())
}

pub(crate) fn indexes(client: &Client<ScriptedTransport>, watch: Watch, count: usize) -> Vec<u64> {
    let events = items(client, watch, count).into_iter();
    events.map(|event| event.unwrap().index()).collect()
}

pub(crate) fn failure(client: &Client<ScriptedTransport>, watch: Watch) -> Error {
    items(client, watch, 1).remove(0).unwrap_err()
}

pub(crate) fn event(index: u64) -> Step {
    keys(200, index, file("set", "/x", index))
}

fn head(status: u16, index: u64) -> Step {
    keys(status, index, "")
}

const HEAD: &str = "HEAD a/v2/keys/x";

pub(crate) fn poll(index: u64) -> String {
    format!("GET a/v2/keys/x?wait=true&waitIndex={index}")
}

#[test]
fn a_watch_from_now_first_asks_when_now_is() {
    let client = client([head(404, 4), event(5), event(9)]);
    assert_eq!(indexes(&client, Watch::new("x"), 2), [5, 9]);
    assert_eq!(
        client.transport().seen(),
        [HEAD.to_owned(), poll(5), poll(6)]
    );
}

#[test]
fn an_empty_response_a_cut_and_an_outage_lose_nothing() {
    let empty = keys(200, 4, "");
    let cut = Step::Respond(200, vec![], Ending::Cut("{\"action\":"));
    let down = etcd_error(500, 300, 0);
    let cleared_by_recovery = etcd_error(400, 400, 4);
    let steps = [
        empty,
        cut,
        Step::Break,
        Step::Refuse,
        down,
        cleared_by_recovery,
        event(5),
    ];
    let client = client(steps);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [5]);
    assert_eq!(client.transport().seen(), vec![poll(5); 7]);
}

#[test]
fn two_quiet_polls_move_the_watch_on_to_the_index_that_the_first_was_registered_at() {
    let client = client([open(100), open(400), open(500), event(501)]);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [501]);
    // The next poll requests again what one poll has not delivered, since that may have stalled; the watch advances
    // only after both.
    let seen = [poll(5), poll(5), poll(101), poll(401)];
    assert_eq!(client.transport().seen(), seen);
}

#[test]
fn without_heads_the_index_of_a_probe_does_the_same() {
    // As over isahc: the head of a poll arrives with its first byte.
    let steps = [
        Step::Silence, // proves nothing
        head(200, 100),
        Step::Silence, // registered after 100, and quiet
        head(200, 400),
        Step::Silence, // registered after 400, and quiet
        head(200, 500),
        event(501),
    ];
    let client = client(steps);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [501]);
    let seen = [
        poll(5),
        HEAD.to_owned(),
        poll(5),
        HEAD.to_owned(),
        poll(5),
        HEAD.to_owned(),
        poll(101),
    ];
    assert_eq!(client.transport().seen(), seen);
}

#[test]
fn where_heads_are_reported_polls_without_one_never_move_the_watch_on() {
    let steps = [
        open(100),
        Step::Silence, // may not have arrived
        head(200, 400),
        Step::Silence, // nor this one
        head(200, 500),
        event(6),
    ];
    let client = client(steps);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [6]);
    let seen = [
        poll(5),
        poll(5),
        HEAD.to_owned(),
        poll(5),
        HEAD.to_owned(),
        poll(5),
    ];
    assert_eq!(client.transport().seen(), seen);
}

#[test]
fn on_a_faster_store_two_polls_at_once_move_the_watch_on_to_the_index_of_the_second() {
    let client = client([open(100), open(500), open(900), open(1300), event(1301)]);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [1301]);
    let seen = [poll(5), poll(5), poll(501), poll(901), poll(1301)];
    assert_eq!(client.transport().seen(), seen);
}

#[test]
fn without_heads_two_polls_at_once_do_the_same() {
    let steps = [
        Step::Silence, // sent at an unknown time
        head(200, 100),
        Step::Silence, // registered after 100
        head(200, 500),
        Step::Silence, // registered after 500
        head(200, 900),
        event(901),
    ];
    let client = client(steps);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [901]);
    let seen = [
        poll(5),
        HEAD.to_owned(),
        poll(5),
        HEAD.to_owned(),
        poll(101),
        HEAD.to_owned(),
        poll(501),
    ];
    assert_eq!(client.transport().seen(), seen);
}

#[test]
fn two_polls_of_different_members_do_not_count_as_two_at_once() {
    // One member may apply later what another already has.
    let steps = [
        Step::Silence,
        head(200, 100),
        Step::Silence, // registered after 100
        Step::Refuse,
        head(200, 500), // of another member
        Step::Silence,  // registered there after 500
        head(200, 900),
        Step::Silence, // registered there after 900
        head(200, 1300),
        event(1301),
    ];
    let client = Client::new(ScriptedTransport::new(steps), ["http://a", "http://b"]).unwrap();
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [1301]);
    let other = |line: &str| line.replacen(" a/", " b/", 1);
    let seen = [
        poll(5),
        HEAD.to_owned(),
        poll(5),
        HEAD.to_owned(),
        other(HEAD),
        other(&poll(101)),
        other(HEAD),
        other(&poll(101)),
        other(HEAD),
        other(&poll(901)),
    ];
    assert_eq!(client.transport().seen(), seen);
}

#[test]
fn a_probe_that_is_refused_for_good_ends_the_watch() {
    let steps = [Step::Silence, keys(401, 0, ""), etcd_error(401, 110, 0)];
    let client = client(steps);
    let error = failure(&client, Watch::new("x").from_index(5));
    assert!(error.is_unauthorized(), "{error}");
}

#[test]
fn events_of_other_keys_are_passed_over() {
    let other = keys(200, 5, file("delete", "/xyz", 5));
    let client = client([other, event(6)]);
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [6]);
    assert_eq!(client.transport().seen(), [poll(5), poll(6)]);
}

#[test]
fn an_outage_longer_than_the_limit_ends_in_its_last_error() {
    let client = client((0..1000).map(|_| Step::Break));
    let minute = Duration::from_secs(60);
    let error = failure(&client, Watch::new("x").from_index(5).outage_limit(minute));
    assert_eq!(
        error.to_string(),
        "v2.keys.watch at http://a: the exchange broke off: connection reset"
    );
    let elapsed = client.transport().elapsed();
    assert!(
        elapsed >= minute && elapsed < minute + Duration::from_secs(10),
        "{elapsed:?}"
    );
}

#[test]
fn every_endpoint_is_tried_before_the_first_wait() {
    let steps = [Step::Break, Step::Refuse, Step::Break, event(5)];
    let client = Client::new(
        ScriptedTransport::new(steps),
        ["http://a", "http://b", "http://c"],
    )
    .unwrap();
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [5]);
    let script = client.transport();
    let hosts: Vec<_> = script
        .seen()
        .iter()
        .map(|line| line[4..5].to_owned())
        .collect();
    assert_eq!(hosts[..3], ["a", "b", "c"]);
    assert_eq!(script.sleeps().len(), 1);
}

#[test]
fn a_server_that_closes_every_poll_at_once_is_not_flooded_with_polls() {
    let closed = (0..20).map(|_| keys(200, 4, ""));
    let client = client(closed.chain([event(5)]));
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [5]);
    let elapsed = client.transport().elapsed();
    assert!(elapsed >= Duration::from_secs(30), "{elapsed:?}");
}

#[test]
fn the_pauses_of_a_watch_double_with_each_round_of_all_endpoints() {
    let refused = (0..4).map(|_| Step::Refuse);
    let steps = [Step::Silence].into_iter().chain(refused);
    let steps = steps.chain([head(200, 4), event(5)]);
    let transport = ScriptedTransport::new(steps);
    let client = Client::new(transport, ["http://a", "http://b"]).unwrap();
    // Each probe is one attempt, and asks the next endpoint.
    let client = client.with_retry(RetryPolicy::never());
    assert_eq!(indexes(&client, Watch::new("x").from_index(5), 1), [5]);
    let sleeps = client.transport().sleeps();
    assert_eq!(sleeps[0], Duration::from_secs(1), "the poll");
    let pauses: Vec<_> = sleeps[1..].iter().map(Duration::as_millis).collect();
    let longest = [50, 100, 200, 400];
    assert_eq!(pauses.len(), longest.len(), "{pauses:?}");
    for (pause, longest) in pauses.iter().zip(longest) {
        assert!((longest / 2..=longest).contains(pause), "{pauses:?}");
    }
}

#[test]
fn an_outage_is_over_with_the_first_response() {
    let broken = || (0..6).map(|_| Step::Break);
    let steps = broken().chain([event(5)]).chain(broken()).chain([event(6)]);
    let client = client(steps);
    let watch = Watch::new("x")
        .from_index(5)
        .outage_limit(Duration::from_secs(4));
    assert_eq!(indexes(&client, watch, 2), [5, 6]);
}

#[test]
fn an_outage_is_over_with_a_quiet_poll_too() {
    let with_heads: Vec<_> = (0..8).map(|_| open(4)).collect();
    let without_heads = (0..8).flat_map(|_| [Step::Silence, head(200, 4)]);
    for quiet in [with_heads, without_heads.collect()] {
        let limit = Duration::from_secs(10);
        let cut = || [Step::Break].into_iter();
        let client = client(cut().chain(quiet).chain(cut()).chain([event(5)]));
        let watch = Watch::new("x").from_index(5).outage_limit(limit);
        assert_eq!(indexes(&client, watch, 1), [5]);
        assert!(client.transport().elapsed() > limit * 2);
    }
}

#[test]
fn permanent_errors_end_the_watch_at_once() {
    let disabled = Step::Respond(
        404,
        vec![("content-type", "text/plain".into())],
        Ending::Whole("404 page not found\n".into()),
    );
    for step in [
        etcd_error(401, 110, 0),
        disabled,
        Step::Reject,
        keys(200, 5, "<html>"),
    ] {
        let client = client([step]);
        let mut events = client.open(Watch::new("x").from_index(5));
        assert!(block_on(events.next()).unwrap().is_err());
        assert!(block_on(events.next()).is_none());
        assert_eq!(client.transport().seen().len(), 1);
    }
}

#[test]
fn a_server_that_went_back_in_time_is_not_awaited_silently() {
    let majority = etcd_error(404, 100, 50);
    let client = client((0..10).map(|_| open(50)).chain([majority]));
    let error = failure(&client, Watch::new("x").from_index(1000));
    assert!(error.is_cluster_changed());
    assert_eq!(
        error.to_string(),
        "v2.keys.watch at http://a (attempt 10): the store's index is 50, and this watch goes on from \
         1000: was its data restored from a backup?"
    );
    let seen = client.transport().seen();
    assert_eq!(seen.last().unwrap(), "GET a/v2/keys/x?quorum=true");
}

#[test]
fn a_member_that_lags_behind_a_majority_for_long_is_left() {
    let late = (0..10).map(|_| open(50));
    let steps = late.chain([
        Step::Break,
        keys(200, 1000, file("get", "/x", 9)),
        event(1001),
    ]);
    let client = Client::new(ScriptedTransport::new(steps), ["http://a", "http://b"]).unwrap();
    let watch = Watch::new("x").from_index(1000);
    assert_eq!(indexes(&client, watch, 1), [1001]);
    let seen = client.transport().seen();
    let other = poll(1000).replacen(" a/", " b/", 1);
    assert_eq!(seen.last(), Some(&other));
}

#[test]
fn a_server_that_lags_behind_is_waited_for() {
    let late = || (0..9).map(|late| open(50 + late));
    let steps = late()
        .chain([open(1000)])
        .chain(late())
        .chain([event(1001)]);
    let client = client(steps);
    assert_eq!(
        indexes(&client, Watch::new("x").from_index(1000), 1),
        [1001]
    );
}

#[test]
fn an_event_from_before_what_was_asked_for_is_an_error() {
    let client = client([event(4)]);
    let error = failure(&client, Watch::new("x").from_index(5));
    assert_eq!(
        error.to_string(),
        "v2.keys.watch at http://a: requested events from 5 on, got 4"
    );
}

#[test]
fn a_watch_from_now_fails_at_once_where_the_key_may_not_be_read() {
    let client = client([keys(401, 0, ""), etcd_error(401, 110, 0)]);
    let error = failure(&client, Watch::new("x"));
    assert!(error.is_unauthorized(), "{error}");
    // The index 0 of the refusal is not that of the store.
    assert_eq!(client.transport().seen(), [HEAD, "GET a/v2/keys/x"]);
}

/// Found by the fuzz test: the watch panicked at the addition of one.
#[test]
fn the_largest_index_does_not_overflow() {
    let most = u64::MAX;
    let event_at_the_end = client([event(most)]);
    assert_eq!(
        failure(&event_at_the_end, Watch::new("x").from_index(5)).to_string(),
        format!("v2.keys.watch at http://a: requested events from 5 on, got {most}")
    );
    let quiet = client([open(most), open(most), event(6)]);
    let from_now = client([head(200, most), event(6)]);
    for error in [
        failure(&quiet, Watch::new("x").from_index(5)),
        failure(&from_now, Watch::new("x")),
    ] {
        assert_eq!(
            error.to_string(),
            format!("v2.keys.watch at http://a: requested events from {most} on, got 6")
        );
    }
}

#[test]
fn index_zero_is_refused() {
    let client = client([]);
    assert_eq!(
        failure(&client, Watch::new("x").from_index(0)).to_string(),
        "v2.keys.watch: no event has index 0: to begin now, omit the index"
    );
}

#[test]
fn until_ends_the_stream_after_the_event_it_waits_for() {
    let client = client([event(5), event(6)]);
    let watch = Watch::new("x")
        .from_index(5)
        .until(|event| event.index() == 6);
    assert_eq!(items(&client, watch, 10).len(), 2);
}

#[test]
fn members_that_lag_behind_end_no_watch_that_reads_nothing_stale() {
    let stale = || head(200, 10);
    let steps = [head(200, 20), Step::Silence]
        .into_iter()
        .chain([(); 5].map(|()| stale()))
        .chain([head(200, 21), event(21)]);
    let client = Client::builder(ScriptedTransport::new(steps))
        .endpoints(["http://a", "http://b"])
        .reject_stale_reads(true)
        .build()
        .unwrap();
    block_on(client.v2().exists("x")).unwrap();
    let watch = Watch::new("x").from_index(21);
    let events = items(&client, watch, 1);
    assert_eq!(events[0].as_ref().unwrap().index(), 21);
    // Each endpoint was asked.
    let seen = client.transport().seen();
    let hosts: String = seen
        .iter()
        .filter_map(|line| line.chars().find(|c| "ab".contains(*c)))
        .collect();
    assert!(hosts.starts_with("aaabab"), "{hosts}");
}
