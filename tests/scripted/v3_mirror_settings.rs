//! The settings of a mirror reach its pages and its watch, and what is compacted between the two is noticed.

use std::{pin::pin, time::Duration};

use etcd_http::{
    Client,
    v3::{KeyRange, Mirror},
};
use futures::future::{Either, select};

use crate::v3_store::{Connection, Store, client};

const SECOND: Duration = Duration::from_secs(1);

/// At revision 4, with this many keys.
fn with_keys(count: usize) -> Client<Store> {
    client(Store::at(4).with(|state| {
        let keys = (0..count).map(|number| (format!("k{number}"), 4));
        state.keys = keys.collect();
    }))
}

/// Lists, and returns the mirror.
fn listed(
    client: &Client<Store>,
    set: impl FnOnce(Mirror<Store>) -> Mirror<Store>,
) -> Mirror<Store> {
    let mut mirror = set(Mirror::new(client, KeyRange::all()));
    let listing = client.transport().clock.run(mirror.next()).unwrap();
    assert!(listing.is_listing);
    mirror
}

fn requests(client: &Client<Store>, part: &str) -> usize {
    let seen = client.transport().seen();
    seen.iter().filter(|line| line.contains(part)).count()
}

#[test]
fn a_mirror_lists_in_pages_of_the_size_that_is_set() {
    let client = with_keys(10);
    let mirror = listed(&client, |mirror| mirror.page(4));
    assert_eq!(mirror.len(), 10);
    assert_eq!(requests(&client, r#""limit":"4""#), 3);
    assert_eq!(requests(&client, "/v3/kv/range"), 3);
}

#[test]
fn the_watch_of_a_mirror_asks_a_silent_server_after_the_limit_that_is_set() {
    for (limit, asked) in [(2, 1), (4, 0)] {
        let client = with_keys(1);
        let mut mirror = listed(&client, |mirror| mirror.silence_limit(SECOND * limit));
        let clock = &client.transport().clock;
        let wait = async {
            let sleep = clock.sleep(SECOND * 3);
            match select(pin!(mirror.next()), pin!(sleep)).await {
                Either::Left((update, _)) => panic!("{update:?}"),
                Either::Right(_) => requests(&client, "/v3/maintenance/status"),
            }
        };
        assert_eq!(clock.run(wait), asked, "{limit} s");
    }
}

#[test]
fn the_watch_of_a_mirror_ends_with_the_outage_limit_that_is_set() {
    let client = with_keys(1);
    client.transport().state.lock().unwrap().connections =
        vec![Connection::refused(); 10_000].into();
    let mut mirror = listed(&client, |mirror| mirror.outage_limit(SECOND * 20));
    let clock = &client.transport().clock;
    clock.run(mirror.next()).unwrap_err();
    let elapsed = clock.elapsed();
    assert!((SECOND * 20..SECOND * 31).contains(&elapsed), "{elapsed:?}");
}

/// etcd issue 18089: etcd 3.4 says nothing of a delete whose revision was compacted before the watch from there began.
#[test]
fn a_delete_that_is_compacted_behind_a_listing_is_noticed() {
    let client = with_keys(2);
    client.transport().state.lock().unwrap().after_read = Some(|state| {
        state.keys.remove("k0");
        state.revision = 5;
        state.compacted = 5;
    });
    let mut mirror = listed(&client, |mirror| mirror);
    assert!(mirror.get("k0").is_some());
    let again = client.transport().clock.run(mirror.next()).unwrap();
    assert!(again.is_listing && again.revision == 5, "{again:?}");
    assert!(mirror.get("k0").is_none() && mirror.get("k1").is_some());
}
