use crate::{
    error::Result,
    v3::{
        KeyRange,
        protocol::message::{self, Encode, Fields},
    },
};

use crate::v3::auth::{
    check_name, named,
    permission::{Permission, WirePermission},
};

/// Creates a role without permissions: `POST /v3/auth/role/add`. Returns the header.
///
/// # Errors
/// [`RoleExists`](crate::EtcdErrorKind::RoleExists).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddRole {
    name: String,
}

/// Lists the permissions of a role in the order of keys: `POST /v3/auth/role/get`. The list of the role `root`, which
/// has every permission, is empty.
///
/// # Errors
/// [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetRole {
    name: String,
}

/// Deletes a role and revokes it from all users: `POST /v3/auth/role/delete`. Returns the header.
///
/// # Errors
/// [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound);
/// [`InvalidAuthManagement`](crate::EtcdErrorKind::InvalidAuthManagement) for `root` while authentication is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteRole {
    name: String,
}

named!("role": AddRole as "name", GetRole as "role", DeleteRole as "role");

crate::v3::protocol::operation!(AddRole => Header, "v3.auth.role.add", ROLE_ADD, IfUnsent);
crate::v3::protocol::operation!(
    GetRole => Vec<Permission>, in Permissions,
    "v3.auth.role.get",
    ROLE_GET, Always
);
crate::v3::protocol::operation!(DeleteRole => Header, "v3.auth.role.delete", ROLE_DELETE, IfUnsent);

#[derive(Default)]
struct Permissions {
    perm: Vec<WirePermission>,
}

message::decode!(Permissions { 2 "perm" => perm });

impl From<Permissions> for Vec<Permission> {
    fn from(answer: Permissions) -> Self {
        answer.perm.into_iter().map(Into::into).collect()
    }
}

message::empty! {
    /// Lists the names of all roles: `POST /v3/auth/role/list`.
    ListRoles;
}

crate::v3::protocol::operation!(ListRoles => Vec<String>, in Roles, "v3.auth.role.list", ROLE_LIST, Always);

message::list!(Roles { 2 "roles" => Vec<String> });

/// Grants a permission to a role: `POST /v3/auth/role/grant`. It replaces the role's permission for exactly this range.
/// Returns the header.
///
/// # Errors
/// [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GrantPermission {
    name: String,
    permission: Permission,
}

impl GrantPermission {
    /// Grants the permission to the role with this name.
    pub fn new(name: impl AsRef<str>, permission: Permission) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            permission,
        }
    }
}

impl Encode for GrantPermission {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "role", &self.name)?;
        self.permission.check(operation)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name)
            .put(2, "perm", &WirePermission::from(&self.permission));
    }
}

crate::v3::protocol::operation!(
    GrantPermission => Header,
    "v3.auth.role.grant_permission",
    ROLE_GRANT_PERMISSION, IfUnsent
);

/// Revokes the permission of a role for exactly this range: `POST /v3/auth/role/revoke`. Returns the header.
///
/// # Errors
/// [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound),
/// [`PermissionNotGranted`](crate::EtcdErrorKind::PermissionNotGranted).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RevokePermission {
    name: String,
    range: KeyRange,
}

impl RevokePermission {
    /// Revokes the permission for this range from the role with this name.
    pub fn new(name: impl AsRef<str>, range: impl Into<KeyRange>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            range: range.into(),
        }
    }
}

impl Encode for RevokePermission {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "role", &self.name)?;
        self.range.check(operation)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "role", &self.name)
            .put(2, "key", self.range.wire_key())
            .put(3, "range_end", self.range.wire_end());
    }
}

crate::v3::protocol::operation!(
    RevokePermission => Header,
    "v3.auth.role.revoke_permission",
    ROLE_REVOKE_PERMISSION, IfUnsent
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    #[test]
    fn the_requests_are_as_documented() {
        fn sent(operation: &impl AsRequest, path: &str, json: &str) {
            assert_eq!(operation.request().unwrap().target(), path);
            assert_eq!(body(operation), json);
        }
        sent(&AddRole::new("r"), "/v3/auth/role/add", r#"{"name":"r"}"#);
        sent(&GetRole::new("r"), "/v3/auth/role/get", r#"{"role":"r"}"#);
        sent(
            &DeleteRole::new("r"),
            "/v3/auth/role/delete",
            r#"{"role":"r"}"#,
        );
        sent(&ListRoles::new(), "/v3/auth/role/list", "{}");
        for (permission, json) in [
            (Permission::read("a"), r#"{"key":"YQ=="}"#),
            (
                Permission::write(KeyRange::prefix("a")),
                r#"{"permType":"WRITE","key":"YQ==","range_end":"Yg=="}"#,
            ),
            (
                Permission::read_write(KeyRange::all()),
                r#"{"permType":"READWRITE","key":"AA==","range_end":"AA=="}"#,
            ),
        ] {
            sent(
                &GrantPermission::new("r", permission),
                "/v3/auth/role/grant",
                &format!(r#"{{"name":"r","perm":{json}}}"#),
            );
        }
        sent(
            &RevokePermission::new("r", KeyRange::prefix("a")),
            "/v3/auth/role/revoke",
            r#"{"role":"r","key":"YQ==","range_end":"Yg=="}"#,
        );
        assert!(AddRole::new("").request().is_err());
        assert!(
            GrantPermission::new("r", Permission::read(""))
                .request()
                .is_err()
        );
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"},"perm":[{"key":"YQ=="},{"permType":"READWRITE","key":"Yg==","range_end":"AA=="}]}"#;
        assert_eq!(
            decoded(&GetRole::new("r"), 200, json).unwrap(),
            [
                Permission::read("a"),
                Permission::read_write(KeyRange::starting_at("b"))
            ]
        );
        let json = r#"{"header":{"cluster_id":"7","revision":"2"},"roles":["r","root"]}"#;
        assert_eq!(
            decoded(&ListRoles::new(), 200, json).unwrap(),
            ["r", "root"]
        );
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        for permission in [
            Permission::read("a"),
            Permission::write("a"),
            Permission::read_write(KeyRange::prefix("a")),
        ] {
            Requests::of("etcdserverpb.AuthRoleGrantPermissionRequest")
                .send(&GrantPermission::new("r", permission.clone()))
                .all_fields_but(&[]);
            let _ = Requests::of("authpb.Permission").send(&WirePermission::from(&permission));
        }
        Requests::of("etcdserverpb.AuthRoleAddRequest")
            .send(&AddRole::new("r"))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthRoleGetRequest")
            .send(&GetRole::new("r"))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthRoleListRequest")
            .send(&ListRoles::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthRoleDeleteRequest")
            .send(&DeleteRole::new("r"))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthRoleRevokePermissionRequest")
            .send(&RevokePermission::new("r", KeyRange::prefix("a")))
            .all_fields_but(&[]);
        response::<Permissions>("etcdserverpb.AuthRoleGetResponse", &["header"]);
        response::<Roles>("etcdserverpb.AuthRoleListResponse", &["header"]);
    }
}
