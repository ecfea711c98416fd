//! The members of a cluster, and its leader.

use etcd_http::{
    EtcdErrorKind,
    transport::Transport,
    v3::{AddMember, ListMembers, UpdateMember},
};
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    any {
        Three {
            v3_122_members_are_listed,
            v3_122_members_come_and_go,
            v3_125_another_member_becomes_the_leader,
            v3_123_every_member_reports_its_status,
        }
        Alone {
            v3_122_invalid_members_are_refused,
        }
    }
}

async fn v3_122_members_are_listed<T: Transport>(etcd: Etcd<T>) {
    // The member that is asked has applied what the others have told of themselves.
    etcd.v3().kv().get("a").await.unwrap();
    for list in [ListMembers::new(), ListMembers::new().linearizable(true)] {
        let found = etcd.send(list).await.unwrap();
        assert_eq!(found.members.len(), 3);
        let urls = etcd.host().urls();
        for member in found.members {
            assert!(
                member.client_urls.iter().all(|url| urls.contains(url)),
                "{member:?}"
            );
            assert!(!member.is_learner && !member.name.is_empty() && member.id != 0);
        }
        assert_eq!(found.header.revision, 0);
    }
}

async fn v3_122_members_come_and_go<T: Transport>(etcd: Etcd<T>) {
    let cluster = etcd.v3().cluster();
    let url = "http://127.0.0.1:1";
    let added = cluster.add_learner([url]).await.unwrap();
    assert_eq!(
        (&added.member.peer_urls[..], added.members.len()),
        (&[url.to_owned()][..], 4)
    );
    assert!(added.member.is_learner && added.member.name.is_empty());
    etcd.after_member_change().await;
    assert_eq!(
        refused(cluster.add_member([url]).await),
        EtcdErrorKind::MemberExists
    );
    etcd.after_member_change().await;
    let second = etcd
        .send(AddMember::new(["http://127.0.0.1:2"]).learner(true))
        .await;
    assert_eq!(refused(second), EtcdErrorKind::TooManyLearners);
    etcd.after_member_change().await;
    // It was never started.
    let promoted = cluster.promote_member(added.member.id).await;
    assert_eq!(refused(promoted), EtcdErrorKind::LearnerNotReady);
    etcd.after_member_change().await;
    let moved = "http://127.0.0.1:3";
    let updated = etcd
        .send(UpdateMember::new(added.member.id, [moved]))
        .await
        .unwrap();
    assert!(
        updated
            .members
            .iter()
            .any(|member| member.peer_urls == [moved])
    );
    etcd.after_member_change().await;
    let left = cluster.remove_member(added.member.id).await.unwrap();
    assert_eq!(left.members.len(), 3);
    etcd.after_member_change().await;
    let again = cluster.remove_member(added.member.id).await;
    assert_eq!(refused(again), EtcdErrorKind::MemberNotFound);
}

async fn v3_122_invalid_members_are_refused<T: Transport>(etcd: Etcd<T>) {
    let cluster = etcd.v3().cluster();
    assert_eq!(
        refused(cluster.add_member(["nonsense"]).await),
        EtcdErrorKind::BadRequest
    );
    etcd.after_member_change().await;
    assert_eq!(
        refused(cluster.remove_member(7).await),
        EtcdErrorKind::MemberNotFound
    );
    etcd.after_member_change().await;
    assert_eq!(
        refused(cluster.promote_member(7).await),
        EtcdErrorKind::MemberNotFound
    );
    etcd.after_member_change().await;
    let own = cluster.list_members().await.unwrap().members[0].id;
    assert_eq!(
        refused(cluster.promote_member(own).await),
        EtcdErrorKind::MemberNotALearner
    );
    let leader = etcd.v3().maintenance().transfer_leadership(7).await;
    assert_eq!(refused(leader), EtcdErrorKind::BadLeaderTransferee);
}

async fn v3_125_another_member_becomes_the_leader<T: Transport>(etcd: Etcd<T>) {
    // The member that is asked has applied what the others have told of themselves.
    etcd.v3().kv().get("a").await.unwrap();
    let status = etcd.v3().maintenance().get_status().await.unwrap();
    let members = etcd.v3().cluster().list_members().await.unwrap().members;
    let leader = members.iter().find(|it| it.id == status.leader).unwrap();
    let other = members.iter().find(|it| it.id != status.leader).unwrap();
    // Only the leader can do it.
    let follower = etcd.client_of(&other.client_urls[0]);
    let refusal = follower
        .v3()
        .maintenance()
        .transfer_leadership(other.id)
        .await;
    assert_eq!(refused(refusal), EtcdErrorKind::NotLeader);
    let leading = etcd.client_of(&leader.client_urls[0]);
    leading
        .v3()
        .maintenance()
        .transfer_leadership(other.id)
        .await
        .unwrap();
    let status = leading.v3().maintenance().get_status().await.unwrap();
    assert_eq!(status.leader, other.id);
}

async fn v3_123_every_member_reports_its_status<T: Transport>(etcd: Etcd<T>) {
    let mut leaders = Vec::new();
    for url in etcd.host().urls() {
        let status = etcd
            .client_of(url)
            .v3()
            .maintenance()
            .get_status()
            .await
            .unwrap();
        assert!(status.version.starts_with("3.") && status.errors.is_empty());
        assert!(status.db_size >= status.db_size_in_use && status.db_size_in_use > 0);
        assert!(status.raft_index >= status.raft_applied_index && status.raft_term > 0);
        leaders.push(status.leader);
    }
    assert!(
        leaders
            .iter()
            .all(|leader| *leader == leaders[0] && *leader != 0)
    );
}
