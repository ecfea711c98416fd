//! A server without the v2 API: every operation fails with `Unsupported`, and none with "key not found".

use std::time::Duration;

use etcd_http::{
    Error, Outcome,
    transport::Transport,
    v2::{Condition, CreateInOrderDir, Permissions, ResyncingWatch, Set, Watch},
};
use futures::StreamExt;
use harness::{case::Etcd, cases};

cases! {
    any {
        WithoutV2 {
            v2_15_keys_are_unsupported,
            v2_15_watches_are_unsupported,
            v2_15_members_and_stats_are_unsupported,
            v2_15_auth_is_unsupported,
            v2_15_version_and_health_are_there,
        }
    }
}

#[track_caller]
fn assert_unsupported<O: std::fmt::Debug>(operation: &str, result: Result<O, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(!error.is_key_not_found());
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("v2.{operation} at http://")),
        "{text}"
    );
    let reason = ": no v2 API here: is this a peer port? If it is the port for clients, start etcd with --enable-v2 (3.4 and 3.5; \
                  3.6 has none)";
    assert!(text.contains(reason), "{text}");
}

async fn v2_15_keys_are_unsupported<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let is = || Condition::value_is("1");
    let ttl = Duration::from_secs(1);
    assert_unsupported("keys.get", v2.get("/a").await);
    assert_unsupported("keys.exists", v2.exists("/a").await);
    assert_unsupported("keys.set", v2.set("/a", "1").await);
    assert_unsupported(
        "keys.set",
        etcd.send(Set::new("/a", "1").without_value()).await,
    );
    assert_unsupported("keys.create", v2.create("/a", "1").await);
    assert_unsupported("keys.create_in_order", v2.create_in_order("/a", "1").await);
    let in_order = etcd.send(CreateInOrderDir::new("/a")).await;
    assert_unsupported("keys.create_in_order_dir", in_order);
    assert_unsupported("keys.update", v2.update("/a", "1").await);
    assert_unsupported("keys.refresh", v2.refresh("/a", ttl).await);
    assert_unsupported("keys.set_dir", v2.set_dir("/a").await);
    assert_unsupported("keys.create_dir", v2.create_dir("/a").await);
    assert_unsupported("keys.update_dir", v2.update_dir("/a").await);
    assert_unsupported("keys.delete", v2.delete("/a").await);
    assert_unsupported("keys.delete_dir", v2.delete_dir("/a").await);
    assert_unsupported("keys.delete_dir", v2.delete_tree("/a").await);
    let swap = v2.compare_and_swap("/a", "2", is()).await;
    assert_unsupported("keys.compare_and_swap", swap);
    let delete = v2.compare_and_delete("/a", is()).await;
    assert_unsupported("keys.compare_and_delete", delete);
}

async fn v2_15_watches_are_unsupported<T: Transport>(etcd: Etcd<T>) {
    assert_unsupported("keys.get", etcd.v2().wait("/a").await);
    assert_unsupported("keys.get", etcd.v2().watch("/a").next().await.unwrap());
    let from: Watch = Watch::new("/a").from_index(1);
    let resyncing: ResyncingWatch = from.clone().resyncing();
    assert_unsupported("keys.watch", etcd.open(from).next().await.unwrap());
    assert_unsupported("keys.watch", etcd.open(resyncing).next().await.unwrap());
}

async fn v2_15_members_and_stats_are_unsupported<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let urls = ["http://127.0.0.1:9"];
    assert_unsupported("members.list", v2.list_members().await);
    assert_unsupported("members.leader", v2.get_leader().await);
    assert_unsupported("members.add", v2.add_member(urls).await);
    assert_unsupported("members.update", v2.update_member("1", urls).await);
    assert_unsupported("members.remove", v2.remove_member("1").await);
    assert_unsupported("machines", v2.list_machines().await);
    assert_unsupported("stats.self", v2.get_self_stats().await);
    assert_unsupported("stats.store", v2.get_store_stats().await);
    assert_unsupported("stats.leader", v2.get_leader_stats().await);
}

async fn v2_15_auth_is_unsupported<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let all = || Permissions::none().and_read("/*");
    assert_unsupported("auth.status", v2.get_auth_status().await);
    assert_unsupported("auth.enable", v2.enable_auth().await);
    assert_unsupported("auth.disable", v2.disable_auth().await);
    assert_unsupported("auth.users.list", v2.list_users().await);
    assert_unsupported("auth.users.get", v2.get_user("u").await);
    assert_unsupported("auth.users.add", v2.add_user("u", "p").await);
    assert_unsupported(
        "auth.users.change_password",
        v2.change_password("u", "p").await,
    );
    assert_unsupported("auth.users.grant", v2.grant_roles("u", ["r"]).await);
    assert_unsupported("auth.users.revoke", v2.revoke_roles("u", ["r"]).await);
    assert_unsupported("auth.users.delete", v2.delete_user("u").await);
    assert_unsupported("auth.roles.list", v2.list_roles().await);
    assert_unsupported("auth.roles.get", v2.get_role("r").await);
    assert_unsupported("auth.roles.add", v2.add_role("r", all()).await);
    assert_unsupported("auth.roles.grant", v2.grant_permissions("r", all()).await);
    assert_unsupported("auth.roles.revoke", v2.revoke_permissions("r", all()).await);
    assert_unsupported("auth.roles.delete", v2.delete_role("r").await);
}

async fn v2_15_version_and_health_are_there<T: Transport>(etcd: Etcd<T>) {
    assert!(etcd.version().await.is_ok());
    assert!(etcd.health().await.unwrap().healthy);
}
