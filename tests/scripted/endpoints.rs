//! Which endpoint a request goes to.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use etcd_http::{Client, ClientBuilder, EndpointOrder, transport::Transport};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step, leader, members, with_headers},
};

use crate::v2_calls::{get, ok, set};

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://a", "http://b", "http://c"])
}

fn of_term(term: &str) -> Step {
    with_headers(ok(), &[("x-raft-term", term)])
}

/// The responses to a sync, with this member as the leader, from 1.
fn synced(number: u64) -> [Step; 2] {
    let list = members(&[&["http://a"], &["http://b"], &["http://c"]]);
    [list, leader(number)]
}

/// Returns the hosts of the requests after a sync, one letter each.
fn hosts_after_sync(client: &Client<ScriptedTransport>) -> String {
    let seen = client.transport().seen().into_iter();
    let keys = seen.filter(|line| line.contains("/v2/keys/"));
    keys.filter_map(|line| line.chars().nth(4)).collect()
}

#[test]
fn writes_go_to_the_leader_and_reads_where_they_went_before() {
    let steps = synced(3).into_iter().chain([ok(), ok(), ok(), ok()]);
    let client = builder(steps).prefer_leader(true).build().unwrap();
    let sync = block_on(client.sync()).unwrap();
    assert_eq!(sync.leader.unwrap().to_string(), "http://c");
    get(&client).unwrap();
    set(&client).unwrap();
    set(&client).unwrap();
    get(&client).unwrap();
    assert_eq!(hosts_after_sync(&client), "acca");
}

#[test]
fn a_leader_that_cannot_be_reached_is_passed_over() {
    let steps = [Step::Refuse, ok(), ok()];
    let client = builder(synced(3).into_iter().chain(steps))
        .prefer_leader(true)
        .build()
        .unwrap();
    block_on(client.sync()).unwrap();
    set(&client).unwrap();
    set(&client).unwrap();
    assert_eq!(hosts_after_sync(&client), "caa");
}

#[test]
fn a_success_ends_the_doubling_of_the_time_for_which_an_endpoint_is_avoided() {
    let steps = [Step::Refuse, ok(), ok(), Step::Refuse, ok(), ok()];
    let client = builder(synced(3).into_iter().chain(steps))
        .prefer_leader(true)
        .build()
        .unwrap();
    block_on(client.sync()).unwrap();
    let second = || block_on(client.transport().sleep(Duration::from_secs(1)));
    set(&client).unwrap();
    second();
    set(&client).unwrap();
    set(&client).unwrap();
    second();
    set(&client).unwrap();
    assert_eq!(hosts_after_sync(&client), "caccac");
}

#[test]
fn a_later_term_makes_the_leader_unknown_until_the_next_sync() {
    let steps = [of_term("5"), of_term("5"), of_term("6"), ok()];
    let again = synced(2).into_iter().chain([of_term("6"), ok()]);
    let client = builder(synced(3).into_iter().chain(steps).chain(again))
        .prefer_leader(true)
        .build()
        .unwrap();
    block_on(client.sync()).unwrap();
    for _ in 0..4 {
        set(&client).unwrap();
    }
    block_on(client.sync()).unwrap();
    set(&client).unwrap();
    set(&client).unwrap();
    assert_eq!(hosts_after_sync(&client), "cccabb");
}

#[test]
fn the_leader_is_not_preferred_by_default() {
    let [list, _] = synced(3);
    let client = builder([list, ok()]).build().unwrap();
    assert_eq!(block_on(client.sync()).unwrap().leader, None);
    set(&client).unwrap();
    assert_eq!(hosts_after_sync(&client), "a");
}

#[test]
fn a_sync_without_a_known_leader_succeeds() {
    let [list, _] = synced(3);
    let nobody = || {
        Step::Respond(
            503,
            vec![],
            harness::scripted_transport::Ending::Whole("{}".into()),
        )
    };
    let steps = [list]
        .into_iter()
        .chain((0..5).map(|_| nobody()))
        .chain([ok()]);
    let client = builder(steps).prefer_leader(true).build().unwrap();
    assert_eq!(block_on(client.sync()).unwrap().leader, None);
    set(&client).unwrap();
}

#[test]
fn a_shuffled_client_starts_where_its_seed_says() {
    let first = |seed| {
        let order = EndpointOrder::ShuffledBy(seed);
        let client = builder([ok()]).endpoint_order(order).build().unwrap();
        get(&client).unwrap();
        let first = client.endpoints().remove(0).endpoint.to_string();
        assert_eq!(
            first.chars().last(),
            client.transport().seen()[0].chars().nth(4)
        );
        first
    };
    let firsts: std::collections::BTreeSet<_> = (0..20).map(first).collect();
    assert_eq!(firsts.len(), 3);
    assert_eq!(first(1), first(1));
}

#[test]
fn an_exchange_is_not_disturbed_by_a_sync_in_its_midst() {
    // While the first attempt fails, a sync removes the endpoints that an earlier one added.
    let own: Arc<OnceLock<Client<ScriptedTransport>>> = Arc::default();
    let within = Arc::clone(&own);
    let client = builder([Step::Refuse, Step::Refuse, Step::Refuse, ok(), ok()])
        .observe(move |attempt| {
            if attempt.operation == "v2.keys.set" && attempt.number == 1 {
                let client = within.get().unwrap();
                client.merge_endpoints(["http://e"]);
            }
        })
        .build()
        .unwrap();
    own.set(client.clone()).unwrap();
    client.merge_endpoints(["http://d"]);
    assert_eq!(set(&client).unwrap(), 7);
    // `d` responded, but is no longer an endpoint.
    assert_eq!(hosts_after_sync(&client), "abcd");
    let now: Vec<_> = client.endpoints();
    let now: Vec<_> = now.iter().map(|it| it.endpoint.to_string()).collect();
    assert_eq!(now, ["http://a", "http://b", "http://c", "http://e"]);
    get(&client).unwrap();
    assert_eq!(hosts_after_sync(&client), "abcde");
}
