use std::time::Duration;

use super::*;
use crate::endpoints::state::{FIRST_COOL_DOWN, MAX_COOL_DOWN};

fn endpoint(n: usize) -> Endpoint {
    format!("http://127.0.0.1:{}", 1000 + n).parse().unwrap()
}

fn endpoints(count: usize) -> (Endpoints, Instant) {
    ordered(count, EndpointOrder::AsGiven)
}

fn ordered(count: usize, order: EndpointOrder) -> (Endpoints, Instant) {
    let now = Instant::now();
    let all = (0..count).map(endpoint);
    (
        Endpoints::new(all.collect(), order, Protocol::Gateway, now).unwrap(),
        now,
    )
}

fn state(set: &Endpoints, n: usize) -> EndpointState {
    set.current().find(&endpoint(n)).unwrap().clone()
}

/// Returns the index of the endpoint that is picked.
fn pick(set: &Endpoints, tried: &[usize], now: Instant) -> usize {
    let tried: Vec<_> = tried.iter().map(|&n| state(set, n)).collect();
    number(&set.current().pick(&tried, now))
}

fn number(state: &EndpointState) -> usize {
    usize::from(state.endpoint().port()) - 1000
}

fn numbers(set: &Endpoints) -> Vec<usize> {
    set.current().iter().map(number).collect()
}

#[test]
fn the_good_endpoint_is_kept_and_a_failed_one_cools_down() {
    let (set, now) = endpoints(3);
    assert_eq!(pick(&set, &[], now), 0);
    state(&set, 0).failed(now);
    assert_eq!(pick(&set, &[], now), 1);
    set.answered(&state(&set, 1));
    assert_eq!(pick(&set, &[], now + FIRST_COOL_DOWN), 1);
    state(&set, 1).failed(now);
    assert_eq!(pick(&set, &[], now), 2);
    assert_eq!(pick(&set, &[2], now + FIRST_COOL_DOWN), 1);
}

#[test]
fn cool_down_doubles_up_to_its_limit_and_ends_with_a_response() {
    let (set, mut now) = endpoints(2);
    for _ in 0..20 {
        now += MAX_COOL_DOWN;
        state(&set, 0).failed(now);
    }
    let almost = now + MAX_COOL_DOWN - Duration::from_millis(1);
    assert_eq!(pick(&set, &[], almost), 1);
    assert_eq!(pick(&set, &[], now + MAX_COOL_DOWN), 0);
    set.answered(&state(&set, 0));
    assert_eq!(pick(&set, &[], now), 0);
    // The next failure is a first one again.
    state(&set, 0).failed(now);
    assert_eq!(pick(&set, &[], now), 1);
    assert_eq!(pick(&set, &[], now + FIRST_COOL_DOWN), 0);
}

#[test]
fn an_endpoint_knows_when_it_was_last_alive() {
    let (set, now) = endpoints(2);
    assert_eq!(state(&set, 0).last_alive(), None);
    let later = now + Duration::from_secs(1);
    state(&set, 0).mark_alive(later);
    let since = |n| state(&set, n).last_alive().map(|at| later - at);
    assert!(since(0).is_some_and(|time| time < Duration::from_millis(1)));
    assert_eq!(since(1), None);
}

#[test]
fn failures_at_the_same_time_count_as_one() {
    let (set, now) = endpoints(2);
    for _ in 0..20 {
        state(&set, 0).failed(now);
    }
    assert_eq!(pick(&set, &[], now), 1);
    assert_eq!(pick(&set, &[], now + FIRST_COOL_DOWN), 0);
}

#[test]
fn endpoints_that_are_down_are_used_when_no_other_is_left() {
    let (set, now) = endpoints(2);
    state(&set, 0).failed(now);
    state(&set, 1).failed(now);
    assert_eq!(pick(&set, &[], now), 0);
    assert_eq!(pick(&set, &[0], now), 1);
    assert_eq!(pick(&set, &[0, 1], now), 0);
    let later = now + FIRST_COOL_DOWN / 2;
    state(&set, 0).failed(later);
    assert_eq!(pick(&set, &[], later), 1);
}

#[test]
fn no_endpoint_is_refused_and_one_named_twice_is_one() {
    let none = Endpoints::new(
        vec![],
        EndpointOrder::AsGiven,
        Protocol::Gateway,
        Instant::now(),
    )
    .unwrap_err();
    assert_eq!(
        none.to_string(),
        "endpoint: at least one is required, such as http://127.0.0.1:2379"
    );
    let twice = ["http://h:1", "http://h:1/"].map(|text| text.parse().unwrap());
    let set = Endpoints::new(
        twice.into(),
        EndpointOrder::AsGiven,
        Protocol::Gateway,
        Instant::now(),
    )
    .unwrap();
    assert_eq!(set.current().len(), 1);
}

#[test]
fn a_seed_decides_the_order_of_a_shuffle() {
    let of = |order| numbers(&ordered(8, order).0);
    assert_eq!(of(EndpointOrder::AsGiven), [0, 1, 2, 3, 4, 5, 6, 7]);
    let seven = of(EndpointOrder::ShuffledBy(7));
    assert_eq!(of(EndpointOrder::ShuffledBy(7)), seven);
    assert_ne!(of(EndpointOrder::ShuffledBy(8)), seven);
    let mut sorted = seven;
    sorted.sort_unstable();
    assert_eq!(sorted, of(EndpointOrder::AsGiven));
    // Two orders are equal with a probability of 1 in 40,320; ten in a row never are.
    assert!((0..10).any(|_| of(EndpointOrder::Shuffled) != of(EndpointOrder::Shuffled)));
}

#[test]
fn seeds_stay_what_comes_by_sync_goes_by_sync() {
    let (set, _) = endpoints(2);
    set.replace(&[endpoint(5), endpoint(1), endpoint(5)]);
    assert_eq!(numbers(&set), [0, 1, 5]);
    set.replace(&[endpoint(6)]);
    assert_eq!(numbers(&set), [0, 1, 6]);
    let (before, now) = set.replace(&[]);
    assert_eq!((before.len(), now.len()), (3, 2));
    assert_eq!(numbers(&set), [0, 1]);
}

#[test]
fn what_is_known_of_an_endpoint_survives_a_sync() {
    let (set, now) = endpoints(2);
    set.replace(&[endpoint(5), endpoint(6)]);
    set.answered(&state(&set, 6));
    set.set_leader(Some(&endpoint(5)));
    state(&set, 1).failed(now);
    let held = state(&set, 5);
    set.replace(&[endpoint(6)]);
    assert_eq!(pick(&set, &[], now), 6, "the good one");
    assert_eq!(pick(&set, &[6, 0], now), 1, "down, and the last");
    assert!(set.current().leader().is_none(), "gone with its endpoint");
    // A handle from before the sync remains usable.
    held.failed(now);
    set.answered(&held);
    assert_eq!(pick(&set, &[], now), 6);
    set.replace(&[]);
    assert_eq!(pick(&set, &[], now), 0);
}

#[test]
fn the_leader_is_picked_while_it_is_known_and_up() {
    let (set, now) = endpoints(3);
    let leader =
        |tried: &[EndpointState]| set.current().pick_leader(tried, now).as_ref().map(number);
    assert_eq!(leader(&[]), None);
    set.set_leader(Some(&endpoint(2)));
    assert_eq!(leader(&[]), Some(2));
    assert_eq!(pick(&set, &[], now), 0, "reads stay where they are");
    assert_eq!(leader(&[state(&set, 2)]), None);
    state(&set, 2).failed(now);
    assert_eq!(leader(&[]), None);
    state(&set, 2).answered();
    assert_eq!(leader(&[]), Some(2));
    set.set_leader(Some(&endpoint(9)));
    assert_eq!(leader(&[]), None, "not one of ours");
}

#[test]
fn with_a_new_term_the_leader_is_unknown() {
    let (set, _) = endpoints(3);
    set.set_leader(Some(&endpoint(2)));
    let known = || set.current().leader().is_some();
    set.note_term(5);
    set.note_term(5);
    set.note_term(4);
    assert!(known());
    set.note_term(6);
    assert!(!known());
    set.set_leader(Some(&endpoint(1)));
    set.note_term(6);
    assert!(known());
}
