//! Elections.

use std::time::Duration;

use etcd_http::{
    EtcdErrorKind, Outcome,
    transport::Transport,
    v3::{Campaign, LeaseId},
};
use futures::future::join;
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    any {
        Shared {
            v3_105_a_candidate_leads_proclaims_and_resigns,
            v3_105_the_next_candidate_leads_when_the_first_resigns,
            v3_105_a_leader_whose_time_is_over_proclaims_nothing,
            v3_105_the_same_lease_campaigns_again,
            v3_101_a_lease_that_is_gone_is_not_elected,
            v3_150_a_candidate_without_its_lease_is_not_elected,
            v3_150_a_candidate_whose_key_was_deleted_is_not_elected,
        }
        Shared {
            a_campaign_that_is_not_won_in_time_is_given_up,
        }
    }
}

async fn lease<T: Transport>(etcd: &Etcd<T>) -> LeaseId {
    let minute = Duration::from_secs(60);
    etcd.v3().leases().grant(minute).await.unwrap().id
}

async fn v3_105_a_candidate_leads_proclaims_and_resigns<T: Transport>(etcd: Etcd<T>) {
    let (v3, name, lease) = (etcd.v3(), etcd.key("election"), lease(&etcd).await);
    assert_eq!(v3.elections().get_leader(&*name).await.unwrap(), None);
    let won = v3.elections().campaign(&*name, lease, "one").await.unwrap();
    let leader = won.leader;
    assert_eq!((&leader.name[..], leader.lease), (name.as_bytes(), lease));
    assert_eq!(leader.key, format!("{name}/{lease}"));
    let seen = v3.elections().get_leader(&*name).await.unwrap().unwrap();
    assert_eq!((&seen.key, &seen.value[..]), (&leader.key, &b"one"[..]));
    assert_eq!(seen.create_revision, leader.rev);
    v3.elections()
        .proclaim(leader.clone(), "two")
        .await
        .unwrap();
    let seen = v3.elections().get_leader(&*name).await.unwrap();
    assert_eq!(seen.unwrap().value, "two");
    for _ in 0..2 {
        v3.elections().resign(leader.clone()).await.unwrap();
    }
    assert_eq!(v3.elections().get_leader(&*name).await.unwrap(), None);
}

async fn v3_105_the_next_candidate_leads_when_the_first_resigns<T: Transport>(etcd: Etcd<T>) {
    let (name, first, second) = (etcd.key("e"), lease(&etcd).await, lease(&etcd).await);
    let elections = etcd.v3().elections();
    let won = elections.campaign(&*name, first, "one").await.unwrap();
    let resign = async {
        etcd.until_queued(&name, 2).await;
        assert_eq!(
            elections.get_leader(&*name).await.unwrap().unwrap().value,
            "one"
        );
        elections.resign(won.leader).await.unwrap();
    };
    let (next, ()) = join(elections.campaign(&*name, second, "two"), resign).await;
    assert_eq!(next.unwrap().leader.lease, second);
    assert_eq!(
        elections.get_leader(&*name).await.unwrap().unwrap().value,
        "two"
    );
}

async fn v3_105_a_leader_whose_time_is_over_proclaims_nothing<T: Transport>(etcd: Etcd<T>) {
    let (v3, name, lease) = (etcd.v3(), etcd.key("e"), lease(&etcd).await);
    let won = v3.elections().campaign(&*name, lease, "one").await.unwrap();
    v3.leases().revoke(lease).await.unwrap();
    let late = v3.elections().proclaim(won.leader, "two").await;
    assert_eq!(refused(late), EtcdErrorKind::NotElectionLeader);
}

async fn v3_105_the_same_lease_campaigns_again<T: Transport>(etcd: Etcd<T>) {
    let (v3, name, lease) = (etcd.v3(), etcd.key("e"), lease(&etcd).await);
    let first = v3.elections().campaign(&*name, lease, "one").await.unwrap();
    let second = v3.elections().campaign(&*name, lease, "two").await.unwrap();
    assert_eq!(first.leader.key, second.leader.key);
    let leader = v3.elections().get_leader(&*name).await.unwrap();
    assert_eq!(leader.unwrap().value, "two");
}

async fn a_campaign_that_is_not_won_in_time_is_given_up<T: Transport>(etcd: Etcd<T>) {
    let (name, first, second) = (etcd.key("e"), lease(&etcd).await, lease(&etcd).await);
    etcd.v3()
        .elections()
        .campaign(&*name, first, "one")
        .await
        .unwrap();
    let half = Duration::from_millis(500);
    let late = etcd
        .send(Campaign::new(&*name, second, "two").time_limit(half))
        .await;
    assert_eq!(refused(late), EtcdErrorKind::RequestTimedOut);
}

async fn v3_101_a_lease_that_is_gone_is_not_elected<T: Transport>(etcd: Etcd<T>) {
    let lost = etcd
        .v3()
        .elections()
        .campaign(etcd.key("e"), 0x0bad, "x")
        .await;
    assert_eq!(refused(lost), EtcdErrorKind::LeaseNotFound);
}

async fn v3_150_a_candidate_without_its_lease_is_not_elected<T: Transport>(etcd: Etcd<T>) {
    let (name, first, second) = (etcd.key("e"), lease(&etcd).await, lease(&etcd).await);
    let elections = etcd.v3().elections();
    let won = elections.campaign(&*name, first, "one").await.unwrap();
    let resign = async {
        etcd.until_queued(&name, 2).await;
        etcd.v3().leases().revoke(second).await.unwrap();
        elections.resign(won.leader).await.unwrap();
    };
    let (lost, ()) = join(elections.campaign(&*name, second, "two"), resign).await;
    let error = lost.unwrap_err();
    assert!(error.is_lease_not_found(), "{error}");
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
}

async fn v3_150_a_candidate_whose_key_was_deleted_is_not_elected<T: Transport>(etcd: Etcd<T>) {
    let space = etcd.v3().namespace(etcd.key(""));
    let (first, second) = (lease(&etcd).await, lease(&etcd).await);
    let won = space.elections().campaign("e", first, "one").await.unwrap();
    let resign = async {
        etcd.until_queued(&etcd.key("e"), 2).await;
        space.kv().delete(format!("e/{second}")).await.unwrap();
        space.elections().resign(won.leader).await.unwrap();
    };
    let (lost, ()) = join(space.elections().campaign("e", second, "two"), resign).await;
    let error = lost.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(error.to_string().contains("was deleted"), "{error}");
}
