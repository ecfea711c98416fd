//! Users, roles and permissions, and what is refused while authentication is enabled.

use etcd_http::{
    Client, Error, EtcdErrorKind, Outcome,
    transport::Transport,
    v2::{AddUser, Event, Get, Permissions, Watch},
};
use futures::StreamExt;
use harness::{
    case::{Etcd, refusal},
    cases,
};

cases! {
    any {
        Alone {
            v2_163_users_are_created_read_listed_and_deleted,
            v2_163_roles_are_granted_and_revoked,
            v2_163_what_etcd_refuses_of_users,
            v2_164_a_user_with_a_role_that_is_missing_cannot_be_read,
            v2_165_roles_are_created_changed_and_deleted,
            v2_165_what_etcd_refuses_of_roles,
            names_may_be_awkward,
            v2_162_auth_needs_a_root_user_and_is_enabled_once,
            v2_160_wrong_or_missing_credentials_are_unauthorized,
            v2_161_without_credentials_the_guest_role_applies,
            v2_166_a_pattern_matches_the_path_as_it_is_written,
            v2_167_auth_moves_the_index_on,
            v2_168_the_root_user_stays_while_auth_is_on,
            a_changed_password_takes_the_place_of_the_old_one,
            a_watch_needs_the_permission_to_read,
            members_may_be_read_by_all_and_changed_by_root_alone,
        }
    }
}

fn read_and_write(pattern: &str) -> Permissions {
    Permissions::none().and_read(pattern).and_write(pattern)
}

/// Enables authentication, with the user `root` and its password `secret`. Returns a client of root.
async fn enable<T: Transport>(etcd: &Etcd<T>) -> Client<T> {
    etcd.v2().add_user("root", "secret").await.unwrap();
    etcd.v2().enable_auth().await.unwrap();
    login(etcd, "root", "secret")
}

fn login<T: Transport>(etcd: &Etcd<T>, user: &str, password: &str) -> Client<T> {
    etcd.client(|client| client.basic_auth(user, password))
}

/// Returns the kind and the message of a refusal by the auth endpoints, which have no codes.
#[track_caller]
fn words<O: std::fmt::Debug>(result: Result<O, Error>) -> (EtcdErrorKind, String) {
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    let etcd = error.as_etcd().unwrap();
    assert_eq!(etcd.code().map(|code| code.number()), None);
    (etcd.kind(), etcd.message().to_owned())
}

async fn v2_163_users_are_created_read_listed_and_deleted<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    assert_eq!(v2.list_users().await.unwrap(), []);
    let bob = v2.add_user("bob", "pw").await.unwrap();
    assert_eq!((bob.name.as_str(), bob.roles.len()), ("bob", 0));
    v2.add_role("app", read_and_write("/app/*")).await.unwrap();
    let amy = AddUser::new("amy", "pw").and_role("app");
    assert_eq!(etcd.send(amy).await.unwrap().roles, ["app"]);

    let amy = v2.get_user("amy").await.unwrap();
    assert_eq!(amy.name, "amy");
    assert_eq!(amy.roles[0].name, "app");
    assert_eq!(amy.roles[0].permissions, read_and_write("/app/*"));
    let mut users = v2.list_users().await.unwrap();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(users.len(), 2);
    assert_eq!(users[0], amy);
    assert_eq!((users[1].name.as_str(), users[1].roles.len()), ("bob", 0));

    v2.delete_user("bob").await.unwrap();
    let gone = words(v2.get_user("bob").await);
    assert_eq!(gone.0, EtcdErrorKind::NotFound);
    assert_eq!(gone.1, "auth: User bob does not exist.");
    assert_eq!(
        words(v2.delete_user("bob").await).0,
        EtcdErrorKind::NotFound
    );
}

async fn v2_163_roles_are_granted_and_revoked<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    for role in ["a", "b"] {
        v2.add_role(role, Permissions::none()).await.unwrap();
    }
    v2.add_user("bob", "pw").await.unwrap();
    let mut granted = v2.grant_roles("bob", ["a", "b"]).await.unwrap();
    granted.roles.sort_unstable();
    assert_eq!(granted.roles, ["a", "b"]);
    let again = words(v2.grant_roles("bob", ["a"]).await);
    assert_eq!(again.0, EtcdErrorKind::Conflict);
    let left = v2.revoke_roles("bob", ["a"]).await.unwrap();
    assert_eq!(left.roles, ["b"]);
    let again = words(v2.revoke_roles("bob", ["a"]).await);
    assert_eq!(again.0, EtcdErrorKind::Conflict);
    let unknown = words(v2.grant_roles("none", ["a"]).await);
    assert_eq!(unknown.0, EtcdErrorKind::NotFound);
}

async fn v2_163_what_etcd_refuses_of_users<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let (kind, message) = words(v2.add_user("bob", "").await);
    assert_eq!(kind, EtcdErrorKind::BadRequest);
    assert_eq!(
        message,
        "auth: Cannot create user bob with an empty password"
    );
    v2.add_user("bob", "pw").await.unwrap();
    let again = AddUser::new("bob", "pw").and_role("root");
    let (kind, message) = words(etcd.send(again).await);
    assert_eq!(kind, EtcdErrorKind::Conflict);
    assert_eq!(message, "auth: User bob already exists.");
}

async fn v2_164_a_user_with_a_role_that_is_missing_cannot_be_read<T: Transport>(etcd: Etcd<T>) {
    let bob = AddUser::new("bob", "pw").and_role("r1");
    etcd.send(bob).await.unwrap();
    let (kind, message) = words(etcd.v2().get_user("bob").await);
    assert_eq!(kind, EtcdErrorKind::NotFound);
    assert_eq!(message, "auth: Role r1 does not exist.");
    let none = Permissions::none();
    etcd.v2().add_role("r1", none.clone()).await.unwrap();
    let bob = etcd.v2().get_user("bob").await.unwrap();
    assert_eq!(bob.roles[0].permissions, none);
}

async fn v2_165_roles_are_created_changed_and_deleted<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    let roles = v2.list_roles().await.unwrap();
    let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["root"]);
    let role = v2.add_role("app", read_and_write("/app/*")).await;
    let role = role.unwrap();
    assert_eq!(role.name, "app");
    assert_eq!(v2.get_role("app").await.unwrap(), role);

    let more = Permissions::none().and_read("/shared");
    let granted = v2.grant_permissions("app", more.clone()).await.unwrap();
    let mut read = granted.permissions.read.clone();
    read.sort_unstable();
    assert_eq!(read, ["/app/*", "/shared"]);
    assert_eq!(granted.permissions.write, ["/app/*"]);
    let again = words(v2.grant_permissions("app", more.clone()).await);
    assert_eq!(again.0, EtcdErrorKind::Conflict);
    let revoked = v2.revoke_permissions("app", more).await.unwrap();
    assert_eq!(revoked, role);
    assert_eq!(v2.list_roles().await.unwrap().len(), 2);

    v2.delete_role("app").await.unwrap();
    assert_eq!(words(v2.get_role("app").await).0, EtcdErrorKind::NotFound);
    assert_eq!(
        words(v2.delete_role("app").await).0,
        EtcdErrorKind::NotFound
    );
}

async fn v2_165_what_etcd_refuses_of_roles<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    v2.add_role("app", read_and_write("/a")).await.unwrap();
    let again = words(v2.add_role("app", read_and_write("/a")).await);
    assert_eq!(again.0, EtcdErrorKind::Conflict);
    let other = v2.revoke_permissions("app", read_and_write("/b")).await;
    assert_ne!(words(other).0, EtcdErrorKind::NotFound);
    let root = words(v2.grant_permissions("root", read_and_write("/a")).await);
    assert_eq!(root.0, EtcdErrorKind::Forbidden);
    assert_eq!(
        words(v2.delete_role("root").await).0,
        EtcdErrorKind::Forbidden
    );
    let unknown = words(v2.grant_permissions("none", read_and_write("/a")).await);
    assert_eq!(unknown.0, EtcdErrorKind::NotFound);
}

async fn names_may_be_awkward<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    for name in ["a b", "%41", "ü?#", "a+b&c=d"] {
        v2.add_role(name, read_and_write("/x y/*")).await.unwrap();
        let user = AddUser::new(name, "pä:ss \"word\"").and_role(name);
        assert_eq!(etcd.send(user).await.unwrap().name, name);
        let user = v2.get_user(name).await.unwrap();
        assert_eq!(user.roles, [v2.get_role(name).await.unwrap()]);
    }
    enable(&etcd).await;
    let root = login(&etcd, "root", "secret");
    root.v2().delete_role("guest").await.unwrap();
    let user = login(&etcd, "ü?#", "pä:ss \"word\"");
    user.v2().set("/x y/z", "1").await.unwrap();
}

async fn v2_162_auth_needs_a_root_user_and_is_enabled_once<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    assert!(!v2.get_auth_status().await.unwrap());
    let (kind, message) = words(v2.enable_auth().await);
    assert_eq!(kind, EtcdErrorKind::Conflict);
    assert_eq!(message, "auth: No root user available, please create one");
    assert_eq!(words(v2.disable_auth().await).0, EtcdErrorKind::Conflict);

    let root = enable(&etcd).await;
    assert!(v2.get_auth_status().await.unwrap());
    let (kind, message) = words(root.v2().enable_auth().await);
    assert_eq!(
        (kind, message.as_str()),
        (EtcdErrorKind::Conflict, "auth: already enabled")
    );
    let refused = words(v2.disable_auth().await);
    assert_eq!(refused.0, EtcdErrorKind::Unauthorized);
    root.v2().disable_auth().await.unwrap();
    assert!(!v2.get_auth_status().await.unwrap());
    v2.list_users().await.unwrap();
}

async fn v2_160_wrong_or_missing_credentials_are_unauthorized<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    root.v2().set("/a", "1").await.unwrap();
    root.v2().delete_role("guest").await.unwrap();
    let wrong = login(&etcd, "root", "wrong");
    let unknown = login(&etcd, "nobody", "secret");
    for client in [&wrong, &unknown, &*etcd] {
        for refused in [
            client.v2().get("/a").await,
            client.v2().set("/a", "2").await,
            client.v2().delete("/a").await,
        ] {
            let error = refused.unwrap_err();
            assert!(error.is_unauthorized());
            assert_eq!(error.outcome(), Outcome::Rejected);
            let etcd = error.as_etcd().unwrap();
            assert_eq!(
                (etcd.code().map(|code| code.number()), etcd.index()),
                (Some(110), Some(0))
            );
            assert_eq!(etcd.cause(), "Insufficient credentials");
        }
        // A response to HEAD has no body for the error.
        let exists = client.v2().exists("/a").await.unwrap_err();
        assert!(exists.is_unauthorized(), "{exists:?}");
        let (kind, message) = words(client.v2().list_users().await);
        assert_eq!(kind, EtcdErrorKind::Unauthorized);
        assert_eq!(message, "Insufficient credentials");
    }
    let read = root.v2().get("/a").await.unwrap();
    assert_eq!(read.node.value.as_deref(), Some("1"));
}

async fn v2_161_without_credentials_the_guest_role_applies<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let guest = root.v2().get_role("guest").await.unwrap();
    assert_eq!(guest.permissions, read_and_write("/*"));
    etcd.v2().set("/a", "1").await.unwrap();
    let no_more = Permissions::none().and_write("/*");
    root.v2()
        .revoke_permissions("guest", no_more)
        .await
        .unwrap();
    assert!(etcd.v2().get("/a").await.is_ok());
    let error = etcd.v2().set("/a", "2").await.unwrap_err();
    assert!(error.is_unauthorized());
}

async fn v2_166_a_pattern_matches_the_path_as_it_is_written<T: Transport>(etcd: Etcd<T>) {
    let v2 = etcd.v2();
    v2.add_role("app", read_and_write("/app/*")).await.unwrap();
    let user = AddUser::new("bob", "pw").and_role("app");
    etcd.send(user).await.unwrap();
    let root = enable(&etcd).await;
    root.v2().delete_role("guest").await.unwrap();
    let bob = login(&etcd, "bob", "pw");
    bob.v2().set("/app/a", "1").await.unwrap();
    assert!(
        bob.v2()
            .set("/other", "1")
            .await
            .unwrap_err()
            .is_unauthorized()
    );
    assert!(bob.v2().get("/").await.unwrap_err().is_unauthorized());

    let with_slash = bob.send(Get::new("/app/").recursive(true)).await;
    assert_eq!(with_slash.unwrap().node.nodes.len(), 1);
    let without = bob.send(Get::new("/app").recursive(true)).await;
    assert!(without.unwrap_err().is_unauthorized());
    let set = bob.v2().set("/app/b", "1").await.unwrap();
    let watch = Watch::new("/app/").recursive(true).from_index(set.index());
    let event = bob.open(watch).next().await.unwrap().unwrap();
    assert_eq!(event.node.key, "/app/b");
}

async fn v2_167_auth_moves_the_index_on<T: Transport>(etcd: Etcd<T>) {
    let index = async || etcd.v2().get("/").await.unwrap().cluster.etcd_index;
    let before = index().await.unwrap();
    etcd.v2().add_user("bob", "pw").await.unwrap();
    assert_eq!(index().await, Some(before + 5));
    etcd.v2().add_user("amy", "pw").await.unwrap();
    assert_eq!(index().await, Some(before + 6));
    assert!(etcd.v2().get("/").await.unwrap().node.nodes.is_empty());
}

async fn v2_168_the_root_user_stays_while_auth_is_on<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let refused = words(root.v2().delete_user("root").await);
    assert_eq!(refused.0, EtcdErrorKind::Forbidden);
    root.v2().disable_auth().await.unwrap();
    root.v2().delete_user("root").await.unwrap();
}

async fn a_changed_password_takes_the_place_of_the_old_one<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let changed = root.v2().change_password("root", "new").await.unwrap();
    assert_eq!(changed.name, "root");
    let old = root.v2().list_users().await.unwrap_err();
    assert!(old.is_unauthorized());
    let new = login(&etcd, "root", "new");
    assert_eq!(new.v2().list_users().await.unwrap().len(), 1);
}

async fn a_watch_needs_the_permission_to_read<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    root.v2().set("/a", "1").await.unwrap();
    root.v2().delete_role("guest").await.unwrap();
    let first: Result<Event, Error> = etcd.v2().watch("/a").next().await.unwrap();
    let (kind, code, _) = refusal(first);
    assert_eq!((kind, code), (EtcdErrorKind::Unauthorized, Some(110)));
    let from = etcd.open(Watch::new("/a").from_index(1)).next().await;
    assert!(from.unwrap().unwrap_err().is_unauthorized());
    // A revoked permission ends an open watch at its next poll.
    let now = root.v2().get("/").await.unwrap().cluster.etcd_index;
    let mut events = root.open(Watch::new("/a").from_index(now.unwrap() + 1));
    root.v2().set("/a", "2").await.unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(event.node.value.as_deref(), Some("2"));
    root.v2().change_password("root", "new").await.unwrap();
    let error = events.next().await.unwrap().unwrap_err();
    assert!(error.is_unauthorized());
    assert!(events.next().await.is_none());
}

async fn members_may_be_read_by_all_and_changed_by_root_alone<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    assert_eq!(etcd.v2().list_members().await.unwrap().len(), 1);
    assert!(etcd.v2().get_leader().await.is_ok());
    let refused = words(etcd.v2().remove_member("1234").await);
    assert_eq!(refused.0, EtcdErrorKind::Unauthorized);
    let unknown = words(root.v2().remove_member("1234").await);
    assert_eq!(unknown.0, EtcdErrorKind::NotFound);
}
