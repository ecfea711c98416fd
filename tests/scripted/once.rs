//! Writes that are applied once, whatever is lost.

use etcd_http::{
    Client, Error, Outcome, Result, RetryPolicy,
    v2::{Action, CompareAndSwap, Condition, Create, CreateInOrder, Event},
};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step, etcd_error, keys},
};

use crate::v2_store::{Fate, Rival, V2Store};

const MINE: &str = "mine";

fn create() -> Create {
    Create::new("/k", MINE)
}

fn swap() -> CompareAndSwap {
    CompareAndSwap::new("/k", MINE, Condition::index_is(5))
}

fn in_order() -> CreateInOrder {
    CreateInOrder::new("/q", MINE)
}

/// All plans of this length. Requests after the plan succeed.
fn plans(length: u32) -> impl Iterator<Item = Vec<Fate>> {
    const FATES: [Fate; 6] = [
        Fate::Answered,
        Fate::AnswerLost,
        Fate::Lost,
        Fate::Late(0),
        Fate::Late(2),
        Fate::Refused,
    ];
    (0..FATES.len().pow(length)).map(move |number| {
        (0..length)
            .map(|digit| FATES[number / FATES.len().pow(digit) % FATES.len()])
            .collect()
    })
}

/// Runs every plan with every interference, and returns the results.
struct Tally {
    runs: usize,
    done: usize,
    refused: usize,
    unknown: usize,
}

fn play(rivals: &[Rival], file: bool, write: impl Fn(&Client<V2Store>) -> Result<Event>) -> Tally {
    let (mut runs, mut done, mut refused, mut unknown) = (0, 0, 0, 0);
    let rivals = rivals
        .iter()
        .flat_map(|&rival| (0..5).map(move |at| Some((at, rival))));
    for rival in rivals.chain([None]) {
        for plan in plans(4) {
            let ledger = V2Store::new(&plan, rival, file);
            let client = Client::builder(ledger)
                .endpoints(["http://a", "http://b"])
                .retry(RetryPolicy::default().attempts(3))
                .build()
                .unwrap();
            let result = write(&client);
            let written = client.transport().written(MINE);
            let context = || format!("{plan:?} {rival:?} {result:?}");
            runs += 1;
            match &result {
                Ok(event) => {
                    assert_eq!(written, 1, "{}", context());
                    assert_eq!(event.node.value.as_deref(), Some(MINE), "{}", context());
                    done += 1;
                }
                Err(error) if error.outcome() == Outcome::Unknown => {
                    assert!(written <= 1, "{}", context());
                    unknown += 1;
                }
                Err(_) => {
                    assert_eq!(written, 0, "{}", context());
                    refused += 1;
                }
            }
        }
    }
    Tally {
        runs,
        done,
        refused,
        unknown,
    }
}

#[test]
fn t_7_a_create_is_applied_once_whatever_is_lost_or_late() {
    // The caller guarantees that the key is not deleted.
    let tally = play(&[Rival::Sets], false, |client| {
        block_on(client.v2().once(create()))
    });
    assert_eq!(tally.runs, 6 * 1296);
    assert!(tally.done > tally.runs / 3 && tally.refused > 0 && tally.unknown > 0);
}

#[test]
fn t_7_a_swap_is_applied_once_whatever_is_lost_late_or_changed() {
    let rivals = [Rival::Sets, Rival::Deletes, Rival::Refreshes];
    let tally = play(&rivals, true, |client| block_on(client.v2().once(swap())));
    assert_eq!(tally.runs, 16 * 1296);
    assert!(tally.done > tally.runs / 2 && tally.refused > 0 && tally.unknown > 0);
}

#[test]
fn t_7_an_in_order_create_is_applied_once_or_unknown_whatever_is_lost_or_late() {
    let tally = play(&[Rival::Deletes], false, |client| {
        block_on(client.v2().once(in_order()))
    });
    assert_eq!(tally.runs, 6 * 1296);
    // It is never retried, so a lost one stays lost. It is refused only without a connection, three times.
    assert!(tally.done > tally.runs / 3 && tally.unknown > 0);
    assert_eq!(tally.refused, 6 * 6);
}

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps))
        .endpoints(["http://a"])
        .retry(RetryPolicy::default().attempts(3))
        .build()
        .unwrap()
}

fn file(action: &str, value: &str, modified: u64) -> Step {
    keys(
        200,
        modified,
        format!(
            r#"{{"action":"{action}","node":{{"key":"/k","value":"{value}","modifiedIndex":{modified},"createdIndex":3}},"prevNode":{{"key":"/k","value":"old","modifiedIndex":5,"createdIndex":3}}}}"#
        ),
    )
}

fn absent() -> Step {
    etcd_error(404, 100, 9)
}

const CREATE: &str = "PUT a/v2/keys/k?prevExist=false";
const READ: &str = "GET a/v2/keys/k?quorum=true";
const SWAP: &str = "PUT a/v2/keys/k?prevIndex=5";
const HISTORY: &str = "GET a/v2/keys/k?wait=true&waitIndex=6";

#[test]
fn an_answered_write_is_one_request() {
    let client = client([file("create", MINE, 7)]);
    let event = block_on(client.v2().once(create())).unwrap();
    assert_eq!(
        (event.action, event.node.modified_index),
        (Action::Create, 7)
    );
    assert_eq!(client.transport().seen(), [CREATE]);
}

#[test]
fn a_refusal_of_the_first_attempt_is_final() {
    let client = client([etcd_error(412, 105, 9)]);
    let error = block_on(client.v2().once(create())).unwrap_err();
    assert!(error.is_already_exists(), "{error}");
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(client.transport().seen(), [CREATE]);
}

#[test]
fn a_lost_create_is_found_by_its_value() {
    let client = client([Step::Break, file("get", MINE, 7)]);
    let event = block_on(client.v2().once(create())).unwrap();
    assert_eq!((event.action, event.node.modified_index), (Action::Get, 7));
    assert_eq!(client.transport().seen(), [CREATE, READ]);
}

#[test]
fn a_create_that_was_applied_late_is_found_behind_the_refusal_of_the_next() {
    let refused = etcd_error(412, 105, 9);
    let client = client([Step::Silence, absent(), refused, file("get", MINE, 7)]);
    assert_eq!(block_on(client.v2().once(create())).unwrap().index(), 7);
    assert_eq!(client.transport().seen(), [CREATE, READ, CREATE, READ]);
}

#[test]
fn a_lost_create_whose_key_another_client_wrote_stays_unknown() {
    let client = client([Step::Break, file("get", "theirs", 7)]);
    let error = block_on(client.v2().once(create())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.create at http://a: the exchange broke off: connection reset (the write may have been applied)"
    );
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[test]
fn a_create_is_sent_no_more_often_than_the_policy_has_attempts() {
    let client = client([
        Step::Break,
        absent(),
        Step::Break,
        absent(),
        Step::Break,
        absent(),
    ]);
    let error = block_on(client.v2().once(create())).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let creates = client.transport().seen();
    assert_eq!(creates.iter().filter(|line| *line == CREATE).count(), 3);
}

#[test]
fn no_attempt_begins_after_the_overall_limit() {
    let steps = [Step::Silence, absent()];
    let client = Client::builder(ScriptedTransport::new(steps))
        .endpoints(["http://a"])
        .retry(RetryPolicy::default().overall(std::time::Duration::from_secs(9)))
        .build()
        .unwrap();
    let error = block_on(client.v2().once(create())).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(client.transport().seen(), [CREATE, READ]);
}

#[test]
fn a_lost_swap_is_found_by_its_value() {
    let client = client([Step::Break, file("get", MINE, 7)]);
    assert_eq!(block_on(client.v2().once(swap())).unwrap().index(), 7);
    assert_eq!(client.transport().seen(), [SWAP, READ]);
}

#[test]
fn a_lost_swap_whose_index_still_stands_is_sent_again() {
    let client = client([
        Step::Break,
        file("get", "old", 5),
        file("compareAndSwap", MINE, 9),
    ]);
    assert_eq!(block_on(client.v2().once(swap())).unwrap().index(), 9);
    assert_eq!(client.transport().seen(), [SWAP, READ, SWAP]);
}

#[test]
fn a_lost_swap_that_was_written_over_is_found_in_the_history() {
    let client = client([
        Step::Break,
        file("get", "theirs", 12),
        file("compareAndSwap", MINE, 7),
    ]);
    let event = block_on(client.v2().once(swap())).unwrap();
    assert_eq!(
        (event.action, event.node.modified_index),
        (Action::CompareAndSwap, 7)
    );
    assert_eq!(client.transport().seen(), [SWAP, READ, HISTORY]);
}

#[test]
fn a_lost_swap_whose_file_was_deleted_is_found_in_the_history() {
    let client = client([Step::Break, absent(), file("compareAndSwap", MINE, 7)]);
    assert_eq!(block_on(client.v2().once(swap())).unwrap().index(), 7);
}

#[test]
fn a_swap_that_lost_a_race_is_rejected_in_etcds_own_words() {
    // An equal value is not a proof either: the previous index is.
    for theirs in [file("set", "theirs", 7), file("set", MINE, 7)] {
        let client = client([
            Step::Break,
            file("get", "theirs", 12),
            theirs,
            etcd_error(412, 101, 12),
        ]);
        let error = block_on(client.v2().once(swap())).unwrap_err();
        assert!(error.is_compare_failed(), "{error}");
        assert_eq!(error.outcome(), Outcome::Rejected);
        assert_eq!(client.transport().seen(), [SWAP, READ, HISTORY, SWAP]);
    }
}

#[test]
fn a_lost_swap_that_the_history_has_forgotten_stays_unknown() {
    let cleared = || etcd_error(400, 401, 9000);
    let changed = || file("get", "theirs", 8000);
    let client = client([Step::Break, changed(), cleared(), changed()]);
    let error = block_on(client.v2().once(swap())).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(!error.is_history_cleared(), "{error}");
}

#[test]
fn a_lost_in_order_create_is_looked_for_and_never_sent_again() {
    let listing = |values: &[&str]| {
        let nodes: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(n, value)| {
                format!(r#"{{"key":"/q/{n:020}","value":"{value}","modifiedIndex":{n},"createdIndex":{n}}}"#)
            })
            .collect();
        let nodes = nodes.join(",");
        keys(
            200,
            9,
            format!(r#"{{"action":"get","node":{{"key":"/q","dir":true,"nodes":[{nodes}]}}}}"#),
        )
    };
    let list = "GET a/v2/keys/q?sorted=true&quorum=true";
    let late = client([
        Step::Break,
        absent(),
        listing(&["a"]),
        listing(&["a", MINE, "b"]),
    ]);
    let event = block_on(late.v2().once(in_order())).unwrap();
    assert_eq!(event.node.key, "/q/00000000000000000001");
    assert!(event.node.nodes.is_empty());
    assert_eq!(
        late.transport().seen(),
        ["POST a/v2/keys/q", list, list, list]
    );

    let never = client([Step::Break, absent(), absent(), absent()]);
    let error = block_on(never.v2().once(in_order())).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(
        never.transport().seen(),
        ["POST a/v2/keys/q", list, list, list]
    );
}

#[test]
fn a_store_that_cannot_be_read_for_a_while_is_tried_again_and_one_that_may_not_be_is_not() {
    let down = || etcd_error(500, 300, 0);
    let client_ = client([Step::Break, down(), down(), down(), file("get", MINE, 7)]);
    assert_eq!(block_on(client_.v2().once(create())).unwrap().index(), 7);
    let forbidden = client([Step::Break, etcd_error(401, 110, 0)]);
    let error = block_on(forbidden.v2().once(create())).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[test]
fn a_write_that_could_not_be_recognized_is_rejected() {
    let client = client([]);
    let v2 = client.v2();
    let by_value = CompareAndSwap::new("/k", MINE, Condition::value_is("old"));
    for (error, text) in [
        (
            block_on(v2.once(Create::new("/k", ""))).unwrap_err(),
            "v2.keys.create: to be applied once, the write must have a unique value, and an empty one is not unique",
        ),
        (
            block_on(v2.once(CreateInOrder::new("/q", ""))).unwrap_err(),
            "v2.keys.create_in_order: to be applied once, the write must have a unique value, and an empty one is not unique",
        ),
        (
            block_on(v2.once(by_value)).unwrap_err(),
            "v2.keys.compare_and_swap: to be applied once, the swap must compare an index: a value can come back, \
             and the swap with it",
        ),
    ] {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
}
