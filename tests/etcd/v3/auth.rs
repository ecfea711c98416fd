//! Users, roles and permissions.

use etcd_http::{
    Client, EtcdErrorKind, Outcome,
    transport::Transport,
    v3::{AddUser, Compare, DeleteRange, KeyRange, Permission, PermissionType, Put, Range, Txn},
};
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    any {
        Alone {
            v3_110_a_token_is_given_for_the_right_password_alone,
            v3_116_authentication_is_enabled_and_disabled,
            v3_117_users_come_and_go,
            v3_117_roles_come_and_go,
            v3_118_permissions_come_and_go,
            v3_119_a_user_may_do_what_its_roles_may,
        }
    }
}

/// Creates a user `root` with the password `r` and enables authentication. Returns a client of root.
pub(crate) async fn enable<T: Transport>(etcd: &Etcd<T>) -> Client<T> {
    let root = etcd.client(|builder| builder.v3_auth("root", "r"));
    enable_for(&root).await;
    root
}

/// Does the same on another server, and returns a client of it.
pub(crate) async fn enable_for<T: Transport>(root: &Client<T>) {
    let auth = root.v3().auth();
    auth.add_user("root", "r").await.unwrap();
    auth.add_role("root").await.unwrap();
    auth.grant_role("root", "root").await.unwrap();
    auth.enable().await.unwrap();
}

async fn v3_110_a_token_is_given_for_the_right_password_alone<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    assert_eq!(
        refused(auth.authenticate("root", "r").await),
        EtcdErrorKind::AuthNotEnabled
    );
    let root = enable(&etcd).await;
    let certificate = AddUser::without_password("certificate");
    root.send(certificate).await.unwrap();
    assert!(
        auth.authenticate("root", "r")
            .await
            .unwrap()
            .token
            .contains('.')
    );
    for (user, password) in [("root", "x"), ("nobody", "r"), ("certificate", "x")] {
        let error = auth.authenticate(user, password).await.unwrap_err();
        assert_eq!(
            error.etcd_kind(),
            Some(EtcdErrorKind::AuthenticationFailed),
            "{error}"
        );
        assert!(error.is_unauthorized());
    }
}

async fn v3_116_authentication_is_enabled_and_disabled<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    assert_eq!(refused(auth.enable().await), EtcdErrorKind::RootUserMissing);
    auth.add_user("root", "r").await.unwrap();
    auth.add_role("root").await.unwrap();
    assert_eq!(refused(auth.enable().await), EtcdErrorKind::RootUserMissing);
    auth.grant_role("root", "root").await.unwrap();
    let revision = auth.enable().await.unwrap().revision;
    let root = etcd.client(|builder| builder.v3_auth("root", "r"));
    if etcd.is_3_5() {
        let status = root.v3().auth().get_status().await.unwrap();
        assert!(status.enabled && status.auth_revision > 1);
    }
    assert_eq!(
        refused(etcd.v3().kv().get("a").await),
        EtcdErrorKind::UserNameEmpty
    );
    let last = root.v3().auth().disable().await.unwrap();
    assert_eq!(last.revision, revision, "users and roles are no keys");
    etcd.v3().kv().get("a").await.unwrap();
}

async fn v3_117_users_come_and_go<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    auth.add_user("b", "p").await.unwrap();
    auth.add_user("a \"ü", "p").await.unwrap();
    assert_eq!(
        refused(auth.add_user("b", "p").await),
        EtcdErrorKind::UserExists
    );
    assert_eq!(auth.list_users().await.unwrap(), ["a \"ü", "b"]);
    auth.add_role("r").await.unwrap();
    assert_eq!(
        refused(auth.grant_role("b", "none").await),
        EtcdErrorKind::RoleNotFound
    );
    assert_eq!(
        refused(auth.grant_role("none", "r").await),
        EtcdErrorKind::UserNotFound
    );
    auth.grant_role("b", "r").await.unwrap();
    auth.grant_role("b", "r").await.unwrap();
    assert_eq!(auth.get_user("b").await.unwrap(), ["r"]);
    auth.revoke_role("b", "r").await.unwrap();
    assert_eq!(
        refused(auth.revoke_role("b", "r").await),
        EtcdErrorKind::RoleNotGranted
    );
    assert!(auth.get_user("b").await.unwrap().is_empty());
    auth.change_password("b", "q").await.unwrap();
    auth.delete_user("b").await.unwrap();
    assert_eq!(
        refused(auth.delete_user("b").await),
        EtcdErrorKind::UserNotFound
    );
    assert_eq!(
        refused(auth.get_user("b").await),
        EtcdErrorKind::UserNotFound
    );
    assert_eq!(
        refused(auth.change_password("b", "q").await),
        EtcdErrorKind::UserNotFound
    );
}

async fn v3_117_roles_come_and_go<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    auth.add_role("b").await.unwrap();
    auth.add_role("a").await.unwrap();
    assert_eq!(refused(auth.add_role("a").await), EtcdErrorKind::RoleExists);
    assert_eq!(auth.list_roles().await.unwrap(), ["a", "b"]);
    auth.delete_role("a").await.unwrap();
    assert_eq!(
        refused(auth.delete_role("a").await),
        EtcdErrorKind::RoleNotFound
    );
    assert_eq!(
        refused(auth.get_role("a").await),
        EtcdErrorKind::RoleNotFound
    );
}

async fn v3_118_permissions_come_and_go<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    auth.add_role("r").await.unwrap();
    let all = [
        Permission::read("a"),
        Permission::write(KeyRange::prefix("b")),
        Permission::read_write(KeyRange::starting_at("c")),
        Permission::read(KeyRange::between("d", "f")),
    ];
    for permission in all.iter().rev() {
        auth.grant_permission("r", permission.clone())
            .await
            .unwrap();
    }
    assert_eq!(auth.get_role("r").await.unwrap(), all);
    // The same keys: replaced.
    auth.grant_permission("r", Permission::write("a"))
        .await
        .unwrap();
    let now = auth.get_role("r").await.unwrap();
    assert_eq!(now[0].permission_type(), PermissionType::Write);
    auth.revoke_permission("r", KeyRange::prefix("b"))
        .await
        .unwrap();
    let again = auth.revoke_permission("r", KeyRange::prefix("b")).await;
    assert_eq!(refused(again), EtcdErrorKind::PermissionNotGranted);
    assert_eq!(auth.get_role("r").await.unwrap().len(), 3);
}

async fn v3_119_a_user_may_do_what_its_roles_may<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let auth = root.v3().auth();
    auth.add_user("u", "p").await.unwrap();
    auth.add_role("r").await.unwrap();
    auth.grant_role("u", "r").await.unwrap();
    for permission in [
        Permission::read(KeyRange::prefix("read/")),
        Permission::write(KeyRange::prefix("write/")),
    ] {
        auth.grant_permission("r", permission).await.unwrap();
    }
    let user = etcd.client(|builder| builder.v3_auth("u", "p"));
    let kv = user.v3().kv();
    kv.get("read/a").await.unwrap();
    kv.range(KeyRange::prefix("read/")).await.unwrap();
    kv.put("write/a", "x").await.unwrap();
    kv.delete("write/a").await.unwrap();
    user.send(
        Txn::new()
            .when(Compare::missing("read/a"))
            .then(Put::new("write/b", "")),
    )
    .await
    .unwrap();
    for denied in [
        kv.get("write/a").await.unwrap_err(),
        kv.put("read/a", "x").await.unwrap_err(),
        user.send(Range::new(KeyRange::prefix("read")))
            .await
            .unwrap_err(),
        user.send(Put::new("write/a", "x").prev_kv(true))
            .await
            .unwrap_err(),
        user.send(DeleteRange::new("write/a").prev_kv(true))
            .await
            .unwrap_err(),
        user.send(Txn::new().otherwise(Put::new("read/a", "")))
            .await
            .unwrap_err(),
        user.v3().auth().list_users().await.unwrap_err(),
        // With another message and another code.
        user.v3().maintenance().get_hash().await.unwrap_err(),
    ] {
        assert!(
            denied.is_permission_denied() && denied.is_unauthorized(),
            "{denied}"
        );
        assert_eq!(denied.outcome(), Outcome::Rejected);
    }
}
