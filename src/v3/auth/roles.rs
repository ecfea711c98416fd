use crate::{
    error::Result,
    operation::Repeat,
    v3::{
        Header, KeyRange,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

use crate::v3::auth::{
    check_name, named,
    permission::{Listed, Permission},
};

/// Creates a role that may do nothing yet: `POST /v3/auth/role/add`. Answers the header.
///
/// # Errors
/// [`RoleExists`](crate::EtcdErrorKind::RoleExists).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddRole {
    name: String,
}

/// Lists what a role may do, in the order of keys: `POST /v3/auth/role/get`. The role `root` may do everything, and lists
/// nothing.
///
/// # Errors
/// [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetRole {
    name: String,
}

/// Deletes a role, and takes it from all users: `POST /v3/auth/role/delete`. Answers the header.
///
/// # Errors
/// [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound);
/// [`InvalidAuthManagement`](crate::EtcdErrorKind::InvalidAuthManagement) for `root` while authentication is on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteRole {
    name: String,
}

named!("role": AddRole as "name", GetRole as "role", DeleteRole as "role");

gateway::operation!(
    AddRole => Header, in OnlyHeader, "v3.auth.role.add", "/v3/auth/role/add", |_| Repeat::IfUnsent
);
gateway::operation!(
    GetRole => Vec<Permission>, in Permissions,
    "v3.auth.role.get",
    "/v3/auth/role/get",
    |_| Repeat::Always
);
gateway::operation!(
    DeleteRole => Header, in OnlyHeader,
    "v3.auth.role.delete",
    "/v3/auth/role/delete",
    |_| Repeat::IfUnsent
);

#[derive(Default)]
struct Permissions {
    perm: Vec<Listed>,
}

gateway::decode!(Permissions { "perm" => perm });

impl From<Permissions> for Vec<Permission> {
    fn from(answer: Permissions) -> Self {
        answer.perm.into_iter().map(Into::into).collect()
    }
}

gateway::empty! {
    /// Lists the names of all roles: `POST /v3/auth/role/list`.
    ListRoles;
}

gateway::operation!(
    ListRoles => Vec<String>, in Roles, "v3.auth.role.list", "/v3/auth/role/list", |_| Repeat::Always
);

gateway::list!(Roles { "roles" => Vec<String> });

/// Lets a role do something: `POST /v3/auth/role/grant`. What it may do with exactly these keys is replaced. Answers the
/// header.
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
    /// The role with this name, and what it may do.
    pub fn new(name: impl Into<String>, permission: Permission) -> Self {
        Self {
            name: name.into(),
            permission,
        }
    }
}

impl Encode for GrantPermission {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "role", &self.name)?;
        self.permission.check(operation)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name).put("perm", &self.permission);
    }
}

gateway::operation!(
    GrantPermission => Header, in OnlyHeader,
    "v3.auth.role.grant_permission",
    "/v3/auth/role/grant",
    |_| Repeat::IfUnsent
);

/// Takes from a role what it may do with exactly these keys: `POST /v3/auth/role/revoke`. Answers the header.
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
    /// The role with this name, and the keys.
    pub fn new(name: impl Into<String>, range: impl Into<KeyRange>) -> Self {
        Self {
            name: name.into(),
            range: range.into(),
        }
    }
}

impl Encode for RevokePermission {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "role", &self.name)?;
        self.range.check(operation)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("role", &self.name)
            .put("key", self.range.wire_key())
            .put("range_end", self.range.wire_end());
    }
}

gateway::operation!(
    RevokePermission => Header, in OnlyHeader,
    "v3.auth.role.revoke_permission",
    "/v3/auth/role/revoke",
    |_| Repeat::IfUnsent
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_requests_are_as_documented() {
        fn sent(operation: &impl Operation, path: &str, json: &str) {
            assert_eq!(operation.encode().unwrap().target(), path);
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
        assert!(AddRole::new("").encode().is_err());
        assert!(
            GrantPermission::new("r", Permission::read(""))
                .encode()
                .is_err()
        );
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"},"perm":[{"key":"YQ=="},{"permType":"READWRITE","key":"Yg==","range_end":"AA=="}]}"#;
        assert_eq!(
            decoded(&GetRole::new("r"), 200, json).unwrap(),
            [
                Permission::read("a"),
                Permission::read_write(KeyRange::starting_at("b"))
            ]
        );
        let json = r#"{"header":{"revision":"2"},"roles":["r","root"]}"#;
        assert_eq!(
            decoded(&ListRoles::new(), 200, json).unwrap(),
            ["r", "root"]
        );
    }
}
