//! The members of a cluster, its leader, its machines.

use etcd_http::{Client, EtcdErrorKind, Outcome, transport::Transport, v2::Get};
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Shared {
            v2_110_a_single_member_is_listed_and_leads,
            v2_112_machines_are_the_client_urls,
        }
        Three {
            v2_110_every_member_knows_all_members_and_the_leader,
            v2_111_a_member_is_added_moved_and_removed_for_good,
            v2_111_invalid_members_are_refused,
            a_leader_that_died_has_a_successor,
        }
    }
}

async fn v2_110_a_single_member_is_listed_and_leads<T: Transport>(etcd: Etcd<T>) {
    let members = etcd.v2().list_members().await.unwrap();
    let [member] = members.as_slice() else {
        panic!("{members:?}");
    };
    // A number in hexadecimal, without zeros before it.
    assert!(u64::from_str_radix(&member.id, 16).is_ok(), "{}", member.id);
    assert!(!member.name.is_empty());
    assert_eq!(member.peer_urls.len(), 1);
    assert_eq!(member.client_urls.len(), 1);
    assert_eq!(etcd.v2().get_leader().await.unwrap(), *member);
}

async fn v2_112_machines_are_the_client_urls<T: Transport>(etcd: Etcd<T>) {
    let machines = etcd.v2().list_machines().await.unwrap();
    let members = etcd.v2().list_members().await.unwrap();
    assert_eq!(machines, members[0].client_urls);
}

/// Waits until the member that is asked has applied what the others have told of themselves.
async fn applied<T: Transport>(client: &Client<T>) {
    let read = Get::new("/").quorum(true);
    client.send(read).await.unwrap();
}

async fn v2_110_every_member_knows_all_members_and_the_leader<T: Transport>(etcd: Etcd<T>) {
    let leader = etcd.host().leader();
    let leader = etcd.host().name(leader);
    for url in etcd.urls() {
        let client = etcd.client_of(&url);
        applied(&client).await;
        let mut names: Vec<_> = client.v2().list_members().await.unwrap();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<_> = names.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["etcd-0", "etcd-1", "etcd-2"]);
        assert_eq!(client.v2().get_leader().await.unwrap().name, leader);
        let mut machines = client.v2().list_machines().await.unwrap();
        machines.sort_unstable();
        let mut urls = etcd.urls();
        urls.sort_unstable();
        assert_eq!(machines, urls);
    }
}

async fn v2_111_a_member_is_added_moved_and_removed_for_good<T: Transport>(etcd: Etcd<T>) {
    // One member, so that it has applied each change before the next.
    let client = etcd.client_of(etcd.url());
    let v2 = client.v2();
    let added = v2.add_member(["http://127.0.0.1:9"]).await.unwrap();
    assert_eq!(added.peer_urls, ["http://127.0.0.1:9"]);
    assert_eq!((added.name.as_str(), added.client_urls.len()), ("", 0));
    let members = v2.list_members().await.unwrap();
    assert_eq!(members.len(), 4);
    assert!(members.contains(&added));
    etcd.after_member_change().await;

    let elsewhere = ["http://127.0.0.1:10", "http://127.0.0.1:11"];
    v2.update_member(&added.id, elsewhere).await.unwrap();
    let members = v2.list_members().await.unwrap();
    let moved = members.iter().find(|member| member.id == added.id);
    assert_eq!(moved.unwrap().peer_urls, elsewhere);
    etcd.after_member_change().await;

    v2.remove_member(&added.id).await.unwrap();
    assert_eq!(v2.list_members().await.unwrap().len(), 3);
    etcd.after_member_change().await;
    let error = v2.remove_member(&added.id).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    let refusal = error.as_etcd().unwrap();
    assert_eq!(
        (refusal.kind(), refusal.code().map(|code| code.number())),
        (EtcdErrorKind::Gone, None)
    );
    let message = format!("Member permanently removed: {}", added.id);
    assert_eq!(refusal.message(), message);
    etcd.after_member_change().await;
    // The message for an update is shorter.
    let error = v2.update_member(&added.id, elsewhere).await.unwrap_err();
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::Other(500)));
    assert_eq!(error.outcome(), Outcome::Unknown);
}

async fn v2_111_invalid_members_are_refused<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.url());
    applied(&client).await;
    let v2 = client.v2();
    let ids = v2.list_members().await.unwrap();
    let named = |name| ids.iter().find(|member| member.name == name).unwrap();
    let (own, of_another) = (named("etcd-0"), &named("etcd-1").peer_urls[0]);
    let taken = refusal(v2.add_member([of_another]).await);
    assert_eq!(taken.0, EtcdErrorKind::Conflict);
    etcd.after_member_change().await;
    let taken = refusal(v2.update_member(&own.id, [of_another]).await);
    assert_eq!(taken.0, EtcdErrorKind::Conflict);
    etcd.after_member_change().await;

    for bad in ["", "127.0.0.1:9", "ftp://127.0.0.1:9", "http://127.0.0.1"] {
        let refused = refusal(v2.add_member([bad]).await);
        assert_eq!(refused.0, EtcdErrorKind::BadRequest, "{bad}");
    }
    let none: [&str; 0] = [];
    let refused = refusal(v2.add_member(none).await);
    assert_eq!(refused.0, EtcdErrorKind::BadRequest);

    for unknown in ["1234567890abcdef", "no id"] {
        let error = v2.remove_member(unknown).await.unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::NotFound));
        let message = format!("No such member: {unknown}");
        assert_eq!(error.as_etcd().unwrap().message(), message);
        etcd.after_member_change().await;
        let updated = v2.update_member(unknown, ["http://127.0.0.1:9"]).await;
        assert_eq!(refusal(updated).0, EtcdErrorKind::NotFound);
        etcd.after_member_change().await;
    }
    assert_eq!(v2.list_members().await.unwrap(), ids);
}

async fn a_leader_that_died_has_a_successor<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let before = etcd.v2().get_leader().await.unwrap();
    let leader = etcd.host().leader();
    etcd.host().kill(leader);
    etcd.host().leader();
    let after = etcd.v2().get_leader().await.unwrap();
    assert_ne!(after, before);
    etcd.v2().set(etcd.key("a"), "2").await.unwrap();
    let read = etcd.v2().get(etcd.key("a")).await.unwrap();
    assert_eq!(read.node.value.as_deref(), Some("2"));
}
