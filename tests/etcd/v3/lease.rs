//! Leases.

use std::time::Duration;

use etcd_http::{
    EtcdErrorKind, Outcome,
    transport::Transport,
    v3::{GetTimeToLive, GrantLease, GrantLeaseResponse, KeepAliveOnce, LeaseId, Put},
};
use futures::future::join_all;
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    any {
        Shared {
            v3_92_a_lease_is_granted_with_an_id_of_ours_or_the_servers,
            v3_92_a_lease_lives_whole_seconds_and_one_and_a_half_elections_at_least,
            v3_92_an_id_is_given_once,
            v3_94_several_leases_are_kept_alive_in_one_request,
            v3_96_a_lease_tells_what_is_left_and_its_keys,
            v3_97_a_lease_takes_its_keys_with_it,
            v3_97_a_lease_that_expires_takes_its_keys_with_it,
        }
        Alone {
            v3_93_leases_without_keys_change_no_revision,
            v3_100_leases_are_listed,
        }
        Shared {
            v3_99_a_lease_whose_time_is_over_is_not_renewed,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

async fn v3_92_a_lease_is_granted_with_an_id_of_ours_or_the_servers<T: Transport>(etcd: Etcd<T>) {
    let random = etcd.v3().leases().grant(MINUTE).await.unwrap();
    assert!(random.id.get() > 0);
    assert_eq!(random.ttl, MINUTE);
    let servers = etcd
        .send(GrantLease::new(MINUTE).id_of_the_server())
        .await
        .unwrap();
    assert!(servers.id.get() > 0);
    let negative = etcd
        .send(GrantLease::new(MINUTE).id(-random.id.get()))
        .await
        .unwrap();
    assert_eq!(negative.id.get(), -random.id.get());
    for lease in [random, servers, negative] {
        etcd.v3().leases().revoke(lease.id).await.unwrap();
    }
}

async fn v3_92_a_lease_lives_whole_seconds_and_one_and_a_half_elections_at_least<T: Transport>(
    etcd: Etcd<T>,
) {
    let [one, two] = [1, 2].map(Duration::from_secs);
    let lease = etcd.v3().leases().grant(one).await.unwrap();
    // Two seconds by default; these servers may elect sooner.
    assert!(lease.ttl == one || lease.ttl == two, "{lease:?}");
    let shorter = etcd.v3().leases().grant(Duration::from_millis(999)).await;
    assert_eq!(shorter.unwrap_err().outcome(), Outcome::NotSent);
}

async fn v3_92_an_id_is_given_once<T: Transport>(etcd: Etcd<T>) {
    let lease = etcd.v3().leases().grant(MINUTE).await.unwrap().id;
    let again = etcd.send(GrantLease::new(MINUTE).id(lease)).await;
    assert_eq!(refused(again), EtcdErrorKind::LeaseExists);
}

async fn v3_93_leases_without_keys_change_no_revision<T: Transport>(etcd: Etcd<T>) {
    let lease = etcd.v3().leases().grant(MINUTE).await.unwrap();
    let revoked = etcd.v3().leases().revoke(lease.id).await.unwrap();
    assert_eq!((lease.header.revision, revoked.revision), (1, 1));
}

async fn v3_94_several_leases_are_kept_alive_in_one_request<T: Transport>(etcd: Etcd<T>) {
    let v3 = etcd.v3();
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(v3.leases().grant(MINUTE).await.unwrap().id);
    }
    let gone = LeaseId::from(0x0bad);
    let all = [leases[0], gone, leases[1], leases[2]];
    let kept = etcd.send(KeepAliveOnce::all(all)).await.unwrap();
    let ids: Vec<_> = kept.iter().map(|kept| kept.id).collect();
    assert_eq!(ids, all);
    let ttls: Vec<_> = kept.iter().map(|kept| kept.ttl).collect();
    assert_eq!(ttls, [Some(MINUTE), None, Some(MINUTE), Some(MINUTE)]);
    assert_eq!(
        v3.leases().keep_alive_once(leases[0]).await.unwrap(),
        Some(MINUTE)
    );
    assert_eq!(v3.leases().keep_alive_once(gone).await.unwrap(), None);
}

async fn v3_96_a_lease_tells_what_is_left_and_its_keys<T: Transport>(etcd: Etcd<T>) {
    let lease = etcd.v3().leases().grant(MINUTE).await.unwrap().id;
    for name in ["a", "b"] {
        etcd.send(Put::new(etcd.key(name), "").lease(lease))
            .await
            .unwrap();
    }
    let status = etcd
        .v3()
        .leases()
        .get_time_to_live(lease)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.id, status.granted_ttl), (lease, MINUTE));
    assert!(status.ttl <= MINUTE && status.ttl > MINUTE / 2);
    let mut keys = status.keys;
    keys.sort();
    assert_eq!(keys, [etcd.key("a"), etcd.key("b")]);
    let without = etcd.send(GetTimeToLive::new(lease)).await.unwrap().unwrap();
    assert!(without.keys.is_empty());
    assert_eq!(
        etcd.v3().leases().get_time_to_live(0x0bad).await.unwrap(),
        None
    );
}

async fn v3_97_a_lease_takes_its_keys_with_it<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("a"));
    let lease = v3.leases().grant(MINUTE).await.unwrap().id;
    etcd.send(Put::new(&*key, "").lease(lease)).await.unwrap();
    v3.leases().revoke(lease).await.unwrap();
    assert_eq!(v3.kv().get(&*key).await.unwrap(), None);
    let again = v3.leases().revoke(lease).await.unwrap_err();
    assert!(again.is_lease_not_found(), "{again}");
}

/// Puts a key with a new lease of the shortest time.
async fn put_for_a_second<T: Transport>(etcd: &Etcd<T>, key: &str) -> GrantLeaseResponse {
    loop {
        let lease = etcd.v3().leases().grant(Duration::from_secs(1)).await;
        let lease = lease.unwrap();
        match etcd.send(Put::new(key, "").lease(lease.id)).await {
            Ok(_) => return lease,
            // The machine stalled for longer than the lease lived.
            Err(error) => assert!(error.is_lease_not_found(), "{error}"),
        }
    }
}

async fn v3_97_a_lease_that_expires_takes_its_keys_with_it<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("a"));
    let lease = put_for_a_second(&etcd, &key).await.id;
    etcd.until(async || v3.kv().get(&*key).await.unwrap().is_none())
        .await;
    assert_eq!(v3.leases().get_time_to_live(lease).await.unwrap(), None);
}

async fn v3_99_a_lease_whose_time_is_over_is_not_renewed<T: Transport>(etcd: Etcd<T>) {
    let etcd = &etcd;
    // The server checks for expired leases every half a second: until then the lease exists.
    let renew = |number: u64| async move {
        etcd.sleep(70 * number).await;
        let (v3, key) = (etcd.v3(), etcd.key(number.to_string()));
        let lease = put_for_a_second(etcd, &key).await;
        // It expires at the server before it does at the client.
        etcd.transport().sleep(lease.ttl).await;
        let was_there = v3.kv().get(&*key).await.unwrap().is_some();
        let renewed = v3.leases().keep_alive_once(lease.id).await.unwrap();
        assert_eq!(renewed, None);
        // The response came after the lease and its keys were deleted.
        assert_eq!(v3.kv().get(&*key).await.unwrap(), None);
        assert_eq!(v3.leases().get_time_to_live(lease.id).await.unwrap(), None);
        was_there
    };
    while !join_all((0..8).map(renew)).await.contains(&true) {}
}

async fn v3_100_leases_are_listed<T: Transport>(etcd: Etcd<T>) {
    assert!(etcd.v3().leases().list().await.unwrap().is_empty());
    let long = etcd.v3().leases().grant(2 * MINUTE).await.unwrap().id;
    let short = etcd.v3().leases().grant(MINUTE).await.unwrap().id;
    assert_eq!(etcd.v3().leases().list().await.unwrap(), [short, long]);
}
