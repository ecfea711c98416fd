//! Streams whose messages come late or not at all, while their server is alive: what is withheld, and what is not.

use std::time::Duration;

use etcd_http::{
    Error,
    v3::{Observe, Watch},
};
use futures::StreamExt;

use crate::{
    v3_played::{
        LATE, NOW, Play, Played, created, event, failure, idle, message, revision, watching,
    },
    v3_streams::leader,
};

const SECOND: Duration = Duration::from_secs(1);

fn watch() -> Watch {
    Watch::new("k").from_revision(5)
}

#[test]
fn an_observer_that_has_a_leader_is_as_quiet_as_the_election() {
    let client = Played::client(&["http://a"], |asked| match &asked.path[..] {
        "/v3/election/observe" => Play::open().then(NOW, message(leader("one", 5))),
        _ => Play::header(),
    });
    let mut leaders = client.open(Observe::new("e"));
    let first = client.transport().clock.run(leaders.next());
    assert_eq!(first.unwrap().unwrap().key, "one");
    idle(&client, &mut leaders, SECOND * 100);
    let seen = client.transport().seen();
    let (first, probes) = seen.split_first().unwrap();
    assert_eq!(first, "a observe");
    assert!(probes.iter().all(|call| call == "a status"), "{seen:?}");
}

/// Returns how many requests with a short deadline follow one another, up to ten, where the first message comes after
/// this time of each, and the end after two seconds. Usual requests get no response.
fn polls(first: Duration) -> usize {
    let client = watching(&["http://a"], move |asked| {
        if !asked.is_poll {
            return Play::silent();
        }
        let rest = SECOND * 2 - first;
        Play::open().then(first, created(1)).then(rest, LATE).end()
    });
    idle(&client, &mut client.open(watch()), SECOND * 35);
    let seen = client.transport().seen();
    let polls = seen.iter().skip_while(|call| *call != "a watch poll");
    polls
        .take_while(|call| *call == "a watch poll")
        .take(10)
        .count()
}

#[test]
fn a_first_message_in_the_second_half_of_a_short_request_is_withheld() {
    let millis = Duration::from_millis;
    assert_eq!([NOW, millis(999)].map(polls), [3; 2]);
    assert_eq!([SECOND, millis(1_500), SECOND * 2].map(polls), [10; 3]);
}

#[test]
fn a_message_that_comes_slowly_is_not_withheld() {
    for pause in [2, 4] {
        let client = watching(&["http://a"], move |_| {
            let message = event(1, "k", 5);
            let mut play = Play::open().then(NOW, created(1));
            for part in message.as_bytes().chunks(message.len().div_ceil(10)) {
                let part = String::from_utf8(part.to_vec()).unwrap();
                play = play.then(SECOND * pause, part);
            }
            play
        });
        assert_eq!(revision(&client, &mut client.open(watch())), 5);
        let seen = client.transport().seen();
        assert_eq!(seen[0], "a watch");
        assert!(seen[1..].iter().all(|call| call == "a status"), "{seen:?}");
    }
}

#[test]
fn the_error_for_a_withheld_message_says_how_long_it_was_waited_for() {
    let client = watching(&["http://a"], |_| {
        let message = event(1, "k", 5);
        let begun = message[..message.len() / 2].to_owned();
        Play::open().then(NOW, created(1)).then(NOW, begun)
    });
    let limited = watch().outage_limit(NOW).silence_limit(SECOND * 7);
    let Error::Timeout(error) = failure(&client, limited) else {
        panic!("no timeout")
    };
    assert_eq!(error.limit(), SECOND * 7);
    assert!(error.to_string().contains("proxy_buffering off"), "{error}");
}
