//! Elections.

use std::{cell::Cell, time::Duration};

use etcd_http::{
    recipes::{Election, Proclamation, RecipeError},
    transport::Transport,
    v3::{Put, Txn},
};
use futures::{
    StreamExt,
    future::{join, join_all},
    stream::BoxStream,
};
use harness::{case::Etcd, cases_and_grpc};

use crate::{namespace, session};

cases_and_grpc! {
    any {
        Shared {
            v3_105_a_leader_is_a_key_of_name_and_lease_with_its_value,
            one_candidate_at_a_time_leads,
            a_leader_proclaims_while_it_leads,
            v3_106_an_observer_sees_the_leaders,
            a_campaign_with_a_limit_withdraws,
            etcds_own_campaign_with_the_same_name_takes_part,
        }
    }
}

async fn v3_105_a_leader_is_a_key_of_name_and_lease_with_its_value<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let work = async {
        let election = Election::new(&session, "leader");
        assert_eq!(election.leader().await.unwrap(), None);
        let leadership = election.campaign("me").await.unwrap();
        let leader = election.leader().await.unwrap().unwrap();
        assert_eq!(leader.key, format!("leader/{}", session.lease()));
        assert_eq!(leader.value, "me");
        assert_eq!(leader.create_revision, leadership.fencing_token());
        leadership.resign().await.unwrap();
        assert_eq!(election.leader().await.unwrap(), None);
    };
    session.run(driver, work).await;
}

async fn one_candidate_at_a_time_leads<T: Transport>(etcd: Etcd<T>) {
    let leaders = Cell::new(0);
    let last_token = Cell::new(0);
    let candidate = async |name: &str| {
        let (session, driver) = session(&etcd).await;
        let election = Election::new(&session, "leader");
        let lead = election.run_while_leader(name, async |leadership| {
            leaders.set(leaders.get() + 1);
            assert_eq!(leaders.get(), 1);
            assert!(leadership.fencing_token() > last_token.get());
            last_token.set(leadership.fencing_token());
            let leader = election.leader().await.unwrap().unwrap();
            assert_eq!(leader.value, name);
            etcd.sleep(20).await;
            leaders.set(0);
        });
        session.run(driver, lead).await.unwrap();
    };
    join_all(["ada", "brian", "carol"].map(candidate)).await;
    assert!(last_token.get() > 0);
}

async fn a_leader_proclaims_while_it_leads<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let here = namespace(&etcd);
    let work = async {
        let election = Election::new(&session, "leader");
        let mut leadership = election.campaign("one").await.unwrap();
        for value in ["two", "three"] {
            leadership.proclaim(value).await.unwrap();
            assert_eq!(election.leader().await.unwrap().unwrap().value, value);
        }
        let guarded = || {
            let write = Put::new("data", "x");
            Txn::new().when(leadership.is_held_compare()).then(write)
        };
        assert!(here.send(guarded()).await.unwrap().succeeded);
        here.kv().delete(leadership.key()).await.unwrap();
        assert!(!here.send(guarded()).await.unwrap().succeeded);
        let error = leadership.proclaim("four").await.unwrap_err();
        assert!(matches!(error, RecipeError::KeyDeleted { .. }), "{error}");
        assert_eq!(election.leader().await.unwrap(), None);
    };
    session.run(driver, work).await;
}

async fn v3_106_an_observer_sees_the_leaders<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let work = async {
        let election = Election::new(&session, "leader");
        let mut leaders = election.observe();
        let mut proclamations = election.proclamations();
        let lead = async {
            etcd.sleep(200).await;
            election.campaign("one").await.unwrap()
        };
        let (mut leadership, first) = join(lead, leaders.next()).await;
        assert_eq!(first.unwrap().unwrap().value, "one");
        let proclaim = leadership.proclaim("two");
        let (proclaimed, second) = join(proclaim, leaders.next()).await;
        proclaimed.unwrap();
        assert_eq!(second.unwrap().unwrap().value, "two");
        // It begins with what the leader has proclaimed last.
        let next = async |all: &mut BoxStream<'static, Result<Proclamation, RecipeError>>| {
            let next = all.next().await.unwrap().unwrap();
            assert!(!next.is_resync);
            next.leader.value
        };
        assert_eq!(next(&mut proclamations).await, "two");
        for value in ["three", "four"] {
            leadership.proclaim(value).await.unwrap();
        }
        for value in ["three", "four"] {
            assert_eq!(next(&mut proclamations).await, value);
        }
    };
    session.run(driver, work).await;
}

async fn a_campaign_with_a_limit_withdraws<T: Transport>(etcd: Etcd<T>) {
    let (first, driver) = session(&etcd).await;
    let (second, other) = session(&etcd).await;
    let work = async {
        let leadership = Election::new(&first, "leader").campaign("a").await.unwrap();
        let candidate = Election::new(&second, "leader");
        let limit = Duration::from_millis(300);
        let error = candidate.campaign_within(limit, "b").await.unwrap_err();
        assert!(error.is_timed_out(), "{error}");
        leadership.resign().await.unwrap();
        let leadership = candidate.campaign("c").await.unwrap();
        assert_eq!(candidate.leader().await.unwrap().unwrap().value, "c");
        drop(leadership);
    };
    first.run(driver, second.run(other, work)).await;
}

async fn etcds_own_campaign_with_the_same_name_takes_part<T: Transport>(etcd: Etcd<T>) {
    let (session, driver) = session(&etcd).await;
    let here = namespace(&etcd);
    let minute = Duration::from_secs(60);
    let lease = etcd.v3().leases().grant(minute).await.unwrap().id;
    let work = async {
        let election = Election::new(&session, "leader");
        let theirs = here.elections().campaign("leader", lease, "theirs").await;
        let theirs = theirs.unwrap().leader;
        assert_eq!(election.leader().await.unwrap().unwrap().value, "theirs");
        let limit = Duration::from_millis(300);
        let error = election.campaign_within(limit, "ours").await.unwrap_err();
        assert!(error.is_timed_out(), "{error}");
        here.elections().resign(theirs).await.unwrap();
        let _leadership = election.campaign("ours").await.unwrap();
        let leader = here
            .elections()
            .get_leader("leader")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(leader.value, "ours");
        etcd.v3().leases().revoke(lease).await.unwrap();
    };
    session.run(driver, work).await;
}
