//! Watches of the v2 API by the clock: how long their polls last, and when a silent server is asked.

use std::time::Duration;

use etcd_http::{Client, v2::Watch};
use futures::StreamExt;
use harness::scripted_transport::{Step, keys, open};

use crate::{
    timed::{self, Closing, Timed},
    watch::event,
};

const AT_ONCE: Duration = Duration::ZERO;

/// The index of a store in which nothing happens: that before the event that the watches request.
const INDEX: u64 = 4;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// So many polls whose heads arrive at once. They last for 1, 1, 2, 4, 8 seconds, and so on.
fn quiet(polls: usize) -> impl Iterator<Item = (Duration, Step)> {
    (0..polls).map(|_| (AT_ONCE, open(INDEX)))
}

/// Runs a watch up to its first event. Returns what was sent, and after how many seconds.
fn run<const N: usize>(
    endpoints: [&str; N],
    steps: impl IntoIterator<Item = (Duration, Step)>,
) -> (Client<Timed>, Vec<(String, f64)>) {
    let steps = steps.into_iter().chain([(AT_ONCE, event(INDEX + 1))]);
    let client = timed::client(Timed::new(steps), endpoints);
    let mut watch = client.open(Watch::new("x").from_index(INDEX + 1));
    let event = client.transport().clock.run(watch.next());
    assert_eq!(event.unwrap().unwrap().index(), INDEX + 1);
    let sent = client.transport().sent().into_iter();
    let sent = sent.map(|sent| {
        let kind = if sent.line.contains("wait=true") {
            "poll"
        } else {
            "HEAD"
        };
        let (method, target) = sent.line.split_once(' ').unwrap();
        assert_eq!(method == "HEAD", kind == "HEAD", "{}", sent.line);
        (format!("{kind} {}", &target[..1]), sent.at.as_secs_f64())
    });
    let sent = sent.collect();
    (client, sent)
}

#[track_caller]
fn assert_sent(sent: &[(String, f64)], expected: &[(&str, f64)]) {
    let sent: Vec<_> = sent.iter().map(|(what, at)| (&**what, *at)).collect();
    assert_eq!(sent, expected);
}

#[test]
fn the_time_of_a_poll_counts_from_its_sending_and_not_from_its_head() {
    let late = (seconds(3.0), open(INDEX));
    let (client, sent) = run(["a"], quiet(3).chain([late]));
    let times: Vec<_> = sent.iter().map(|(_, at)| *at).collect();
    assert_eq!(times, [0.0, 1.0, 2.0, 4.0, 8.0]);
    // A poll may stay open while the next one is silent, too.
    let idle = client.transport().sent().into_iter();
    let idle: Vec<_> = idle.map(|sent| sent.idle.unwrap().as_secs()).collect();
    assert_eq!(idle, [3, 3, 5, 9, 17]);
}

#[test]
fn without_heads_a_poll_lasts_eight_times_as_long_as_a_probe_up_to_half_a_minute() {
    let silent = || (AT_ONCE, Step::Silence);
    let run = |latency: f64, probes: usize| {
        let probe = || (seconds(latency), keys(200, INDEX, ""));
        let steps = [silent(), probe(), silent(), probe()];
        let more = (2..probes).map(|_| probe());
        run(["a"], steps.into_iter().chain(more)).1
    };
    let fast = run(1.0, 3);
    let expected = [
        ("poll a", 0.0),
        ("HEAD a", 1.0),
        ("poll a", 2.0),
        ("HEAD a", 3.0),
        ("HEAD a", 10.0),
        ("poll a", 11.0),
    ];
    assert_sent(&fast, &expected);
    let slow = run(3.75, 3);
    let expected = [
        ("poll a", 0.0),
        ("HEAD a", 1.0),
        ("poll a", 4.75),
        ("HEAD a", 5.75),
        ("HEAD a", 34.75),
        ("poll a", 38.5),
    ];
    assert_sent(&slow, &expected);
    // A poll of such a server shows nothing, and is not waited for.
    let too_slow = run(4.0, 2);
    let expected = [
        ("poll a", 0.0),
        ("HEAD a", 1.0),
        ("poll a", 5.0),
        ("HEAD a", 6.0),
        ("poll a", 10.0),
    ];
    assert_sent(&too_slow, &expected);
}

#[test]
fn a_server_is_asked_five_seconds_after_its_last_sign_of_life_where_there_is_another() {
    let polls = [
        ("poll a", 0.0),
        ("poll a", 1.0),
        ("poll a", 2.0),
        ("poll a", 4.0),
        ("poll a", 8.0),
    ];
    let silent = || (AT_ONCE, Step::Silence);
    let (_, sent) = run(["a", "b"], quiet(4).chain([silent(), silent()]));
    assert_sent(&sent[..5], &polls);
    // Its last head came at 4 s, and the question has 3 s.
    assert_sent(&sent[5..], &[("HEAD a", 9.0), ("poll b", 12.0)]);

    let probed = (AT_ONCE, keys(200, INDEX, ""));
    let (_, sent) = run(["a"], quiet(4).chain([silent(), probed]));
    assert_sent(&sent[..5], &polls);
    assert_sent(&sent[5..], &[("HEAD a", 16.0), ("poll a", 16.0)]);
}

#[test]
fn behind_a_proxy_that_ends_silent_responses_a_quiet_watch_goes_on() {
    for is_reset in [false, true] {
        let closing = Closing {
            after: seconds(10.0),
            is_reset,
        };
        // The store changes, and another key is what changes.
        let polls = (0..100).map(|number| (AT_ONCE, open(INDEX + 100 * number)));
        let last = INDEX + 9901;
        let steps = polls.chain([(AT_ONCE, event(last))]);
        let client = timed::client(Timed::new(steps).closing(closing), ["a"]);
        let limit = Duration::from_secs(60);
        let watch = Watch::new("x").from_index(INDEX + 1).outage_limit(limit);
        let clock = &client.transport().clock;
        let event = clock.run(client.open(watch).next()).unwrap().unwrap();
        assert_eq!(event.index(), last);
        assert!(clock.elapsed() > limit * 3, "{:?}", clock.elapsed());
        // It has advanced in the history, which is short.
        let lines = client.transport().lines();
        let from = lines[100].rsplit_once('=').unwrap().1;
        let from: u64 = from.parse().unwrap();
        assert!(last - from < 1000, "{from}");
    }
}
