//! The crate etcd-client, built on tonic, against a served fake.

use std::time::Duration;

use etcd_client::{
    AlarmAction, AlarmType, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, Error,
    EventType, GetOptions, LockOptions, Permission, ProclaimOptions, PutOptions, ResignOptions,
    SortOrder, SortTarget, Txn, TxnOp, WatchOptions,
};
use etcd_http_fake::{Clock, FakeEtcd, Profile, serve};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

/// A fake on a port, and a client of it.
struct World {
    etcd: FakeEtcd,
    url: String,
    client: Client,
    server: JoinHandle<std::io::Result<()>>,
}

impl World {
    async fn start(profile: Profile) -> Self {
        let etcd = FakeEtcd::builder()
            .profile(profile)
            .clock(Clock::Real)
            .build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(serve(etcd.clone(), 0, listener));
        let client = Client::connect([&url], None).await.unwrap();
        Self {
            etcd,
            url,
            client,
            server,
        }
    }

    async fn client_of(&self, user: &str, password: &str) -> Result<Client, Error> {
        let options = ConnectOptions::new().with_user(user, password);
        Client::connect([&self.url], Some(options)).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Makes a test of each case for each release.
macro_rules! cases {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn fake_3_4() {
                super::super::$name(&mut World::start(Profile::V3_4).await).await;
            }

            #[tokio::test]
            async fn fake_3_5() {
                super::super::$name(&mut World::start(Profile::V3_5).await).await;
            }
        }
    )*};
}

mod tests {
    use super::{Profile, World};

    cases! {
        keys_are_written_and_read
        a_transaction_takes_one_of_two_ways
        a_watch_delivers_events_while_it_changes
        a_lease_is_kept_and_revoked
        a_lock_is_held_by_one
        an_election_has_one_leader
        auth_decides_who_may_what
        the_cluster_tells_about_itself
        a_server_that_stops_ends_calls
    }
}

async fn keys_are_written_and_read(world: &mut World) {
    let client = &mut world.client;
    let first = client.put("a", "1", None).await.unwrap();
    assert_eq!(first.header().unwrap().revision(), 2);
    let options = PutOptions::new().with_prev_key();
    let second = client.put("a", "2", Some(options)).await.unwrap();
    assert_eq!(second.prev_key().unwrap().value(), b"1");
    client.put("b", vec![0, 0xff], None).await.unwrap();
    let options = GetOptions::new()
        .with_all_keys()
        .with_sort(SortTarget::Mod, SortOrder::Descend)
        .with_limit(1);
    let read = client.get("", Some(options)).await.unwrap();
    assert_eq!((read.count(), read.more()), (2, true));
    assert_eq!(read.kvs()[0].value(), [0, 0xff]);
    let old = GetOptions::new().with_revision(2);
    let read = client.get("a", Some(old.clone())).await.unwrap();
    assert_eq!(read.kvs()[0].value(), b"1");
    let options = DeleteOptions::new().with_from_key().with_prev_key();
    let deleted = client.delete("a", Some(options)).await.unwrap();
    assert_eq!((deleted.deleted(), deleted.prev_kvs().len()), (2, 2));
    client.compact(4, None).await.unwrap();
    let refused = client.get("a", Some(old)).await.unwrap_err();
    let text = "etcdserver: mvcc: required revision has been compacted";
    assert!(refused.to_string().contains(text), "{refused}");
}

async fn a_transaction_takes_one_of_two_ways(world: &mut World) {
    let client = &mut world.client;
    client.put("a", "1", None).await.unwrap();
    let txn = Txn::new()
        .when([Compare::value("a", CompareOp::Equal, "1")])
        .and_then([TxnOp::put("a", "2", None), TxnOp::get("a", None)])
        .or_else([TxnOp::delete("a", None)]);
    let done = client.txn(txn.clone()).await.unwrap();
    assert!(done.succeeded());
    assert_eq!(done.op_responses().len(), 2);
    assert!(!client.txn(txn).await.unwrap().succeeded());
    assert!(client.get("a", None).await.unwrap().kvs().is_empty());
}

async fn a_watch_delivers_events_while_it_changes(world: &mut World) {
    let client = &mut world.client;
    let options = WatchOptions::new().with_prefix().with_watch_id(1);
    let mut watch = client.watch("a", Some(options)).await.unwrap();
    assert!(watch.message().await.unwrap().unwrap().created());
    client.put("a1", "x", None).await.unwrap();
    let reported = watch.message().await.unwrap().unwrap();
    assert_eq!(reported.events()[0].event_type(), EventType::Put);
    let options = WatchOptions::new().with_prev_key().with_watch_id(2);
    watch.watch("b", Some(options)).await.unwrap();
    let created = watch.message().await.unwrap().unwrap();
    assert_eq!((created.watch_id(), created.created()), (2, true));
    client.put("b", "x", None).await.unwrap();
    client.delete("b", None).await.unwrap();
    assert_eq!(watch.message().await.unwrap().unwrap().watch_id(), 2);
    let reported = watch.message().await.unwrap().unwrap();
    let event = &reported.events()[0];
    assert_eq!(event.event_type(), EventType::Delete);
    assert_eq!(event.prev_kv().unwrap().value(), b"x");
    watch.request_progress().await.unwrap();
    assert_eq!(watch.message().await.unwrap().unwrap().watch_id(), -1);
    watch.cancel(1).await.unwrap();
    assert!(watch.message().await.unwrap().unwrap().canceled());
}

async fn a_lease_is_kept_and_revoked(world: &mut World) {
    let client = &mut world.client;
    let lease = client.lease_grant(60, None).await.unwrap();
    let id = lease.id();
    let options = PutOptions::new().with_lease(id);
    client.put("a", "x", Some(options)).await.unwrap();
    let (mut keeper, mut kept) = client.lease_keep_alive(id).await.unwrap();
    for _ in 0..3 {
        keeper.keep_alive().await.unwrap();
        assert_eq!(kept.message().await.unwrap().unwrap().ttl(), 60);
    }
    world.etcd.advance(Duration::from_secs(30));
    let left = client.lease_time_to_live(id, None).await.unwrap();
    assert!((29..=30).contains(&left.ttl()), "{left:?}");
    assert_eq!(client.leases().await.unwrap().leases()[0].id(), id);
    client.lease_revoke(id).await.unwrap();
    assert!(client.get("a", None).await.unwrap().kvs().is_empty());
    let refused = client.lease_revoke(id).await.unwrap_err();
    assert!(refused.to_string().contains("requested lease not found"));
    let short = client.lease_grant(5, None).await.unwrap();
    let options = PutOptions::new().with_lease(short.id());
    client.put("b", "x", Some(options)).await.unwrap();
    world.etcd.advance(Duration::from_secs(7));
    assert!(client.get("b", None).await.unwrap().kvs().is_empty());
}

async fn a_lock_is_held_by_one(world: &mut World) {
    let client = &mut world.client;
    let first = client.lock("l", None).await.unwrap();
    let lease = client.lease_grant(60, None).await.unwrap().id();
    let options = LockOptions::new().with_lease(lease);
    let mut other = client.clone();
    let waiting = tokio::spawn(async move { other.lock("l", Some(options)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    client.unlock(first.key()).await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    assert_eq!(second.key(), format!("l/{lease:x}").as_bytes());
    // Who gives up leaves the queue.
    let gives_up = client.lock("l", None);
    assert!(timeout(Duration::from_millis(50), gives_up).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let options = GetOptions::new().with_prefix();
    let queue = client.get("l/", Some(options)).await.unwrap();
    assert_eq!(queue.kvs().len(), 1);
}

async fn an_election_has_one_leader(world: &mut World) {
    let client = &mut world.client;
    let mut lease = async || client.lease_grant(60, None).await.unwrap().id();
    let (first, second) = (lease().await, lease().await);
    let elected = client.campaign("e", "one", first).await.unwrap();
    let leader = elected.leader().unwrap().clone();
    let mut other = client.clone();
    let waiting = tokio::spawn(async move { other.campaign("e", "two", second).await });
    let options = ProclaimOptions::new().with_leader(leader.clone());
    client.proclaim("again", Some(options)).await.unwrap();
    let reported = client.leader("e").await.unwrap();
    assert_eq!(reported.kv().unwrap().value(), b"again");
    let options = ResignOptions::new().with_leader(leader);
    client.resign(Some(options)).await.unwrap();
    waiting.await.unwrap().unwrap();
    let reported = client.leader("e").await.unwrap();
    assert_eq!(reported.kv().unwrap().value(), b"two");
}

async fn auth_decides_who_may_what(world: &mut World) {
    let mut client = world.client.clone();
    client.user_add("root", "secret", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.role_add("reader").await.unwrap();
    let permission = Permission::read("a").with_prefix();
    (client.role_grant_permission("reader", permission).await).unwrap();
    client.user_add("bob", "hidden", None).await.unwrap();
    client.user_grant_role("bob", "reader").await.unwrap();
    assert_eq!(client.user_list().await.unwrap().users(), ["bob", "root"]);
    let role = client.role_get("reader").await.unwrap();
    assert_eq!(role.permissions().len(), 1);
    client.auth_enable().await.unwrap();
    let refused = client.get("a", None).await.unwrap_err();
    assert!(refused.to_string().contains("user name is empty"));
    let wrong = world.client_of("bob", "wrong").await.err().unwrap();
    assert!(wrong.to_string().contains("invalid user ID or password"));
    let mut bob = world.client_of("bob", "hidden").await.unwrap();
    bob.get("ab", None).await.unwrap();
    let refused = bob.put("ab", "x", None).await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"));
    let mut root = world.client_of("root", "secret").await.unwrap();
    root.put("ab", "x", None).await.unwrap();
    root.auth_disable().await.unwrap();
    client.put("b", "x", None).await.unwrap();
}

async fn the_cluster_tells_about_itself(world: &mut World) {
    let client = &mut world.client;
    let members = client.member_list().await.unwrap();
    let member = members.members()[0].id();
    let status = client.status().await.unwrap();
    assert_eq!(status.leader(), member);
    let hash = client.hash_kv(0).await.unwrap().hash();
    client.put("a", "x", None).await.unwrap();
    assert_ne!(client.hash_kv(0).await.unwrap().hash(), hash);
    client.defragment().await.unwrap();
    let alarms = client.alarm(AlarmAction::Get, AlarmType::None, None).await;
    assert!(alarms.unwrap().alarms().is_empty());
    client.move_leader(member).await.unwrap();
}

async fn a_server_that_stops_ends_calls(world: &mut World) {
    let client = &mut world.client;
    let mut watch = client.watch("a", None).await.unwrap();
    assert!(watch.message().await.unwrap().unwrap().created());
    world.etcd.endpoint(0).stop();
    assert!(watch.message().await.is_err());
    assert!(client.get("a", None).await.is_err());
    world.etcd.endpoint(0).start();
    let deadline = Duration::from_secs(10);
    let again = async { while client.get("a", None).await.is_err() {} };
    timeout(deadline, again).await.unwrap();
}
