use std::fmt;

use http::Method;
use serde::{Deserialize, Deserializer, Serialize};

use super::wire;
use crate::{Call, Operation, Repeat, Reply, Result, operation::sealed::Sealed};

/// What a role may read and write: exact keys, or prefixes that end in `*`. <https://etcd.io/docs/v2.3/auth_api/>
///
/// A recursive read or watch needs a `*` pattern that matches the path as it is written: with `/app/*`, list `/app/`,
/// with the slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Permissions {
    /// Patterns that may be read.
    #[serde(deserialize_with = "null_is_empty")]
    pub read: Vec<String>,
    /// Patterns that may be written.
    #[serde(deserialize_with = "null_is_empty")]
    pub write: Vec<String>,
}

impl Permissions {
    /// No permission at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// And this pattern may be read.
    pub fn and_read(mut self, pattern: impl Into<String>) -> Self {
        self.read.push(pattern.into());
        self
    }

    /// And this pattern may be written.
    pub fn and_write(mut self, pattern: impl Into<String>) -> Self {
        self.write.push(pattern.into());
        self
    }
}

/// A role, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "RoleBody")]
#[non_exhaustive]
pub struct Role {
    /// Its name. `root` may do everything; `guest` is everybody who shows no credentials.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
}

/// A user, and the names of its roles.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Its name.
    #[serde(rename = "user")]
    pub name: String,
    /// The names of its roles.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub roles: Vec<String>,
}

/// A user, and its roles with what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub struct UserDetails {
    /// Its name.
    #[serde(rename = "user")]
    pub name: String,
    /// Its roles.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub roles: Vec<Role>,
}

#[derive(Deserialize)]
struct RoleBody {
    role: String,
    #[serde(default)]
    permissions: KeyPermissions,
}

/// etcd has only keys to give permissions for, and says so each time.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct KeyPermissions {
    kv: Permissions,
}

impl From<RoleBody> for Role {
    fn from(body: RoleBody) -> Self {
        Self {
            name: body.role,
            permissions: body.permissions.kv,
        }
    }
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Deserialize)]
struct Users {
    #[serde(deserialize_with = "null_is_empty")]
    users: Vec<UserDetails>,
}

#[derive(Deserialize)]
struct Roles {
    #[serde(deserialize_with = "null_is_empty")]
    roles: Vec<Role>,
}

/// Declares an operation without a body.
macro_rules! bare_operation {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $what:literal)? } -> $output:ty;
        $operation:literal, $method:ident $path:literal, $repeat:ident, $decode:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $name { $($field: String,)? }

        impl $name {
            /// The operation with these arguments.
            pub fn new($($field: impl Into<String>)?) -> Self {
                Self { $($field: $field.into(),)? }
            }
        }

        bare_operation!(@default $name $($field)?);

        impl Sealed for $name {}

        impl Operation for $name {
            type Output = $output;
            const NAME: &'static str = $operation;

            fn encode(&self) -> Result<Call> {
                #[allow(unused_mut)] // Only some have a name to add.
                let mut path = $path.to_owned();
                $(path.push_str(&wire::segment(Self::NAME, $what, &self.$field)?);)?
                Call::new(Self::NAME, Method::$method, path, Repeat::$repeat)
            }

            fn decode(&self, reply: Reply) -> Result<$output> {
                $decode(reply)
            }
        }
    };
    (@default $name:ident) => {
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
    // There is no default name.
    (@default $name:ident $field:ident) => {};
}

bare_operation! {
    /// Whether authentication is on: `GET /v2/auth/enable`.
    GetAuthStatus {} -> bool;
    "v2.auth.status", GET "/v2/auth/enable", Always,
    |reply| wire::json(reply).map(|Enabled { enabled }| enabled)
}

bare_operation! {
    /// Switches authentication on: `PUT /v2/auth/enable`. There must be a user `root`; a role `guest` that may do
    /// everything is made if there is none.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) without a user `root`, and when it is on already.
    EnableAuth {} -> ();
    "v2.auth.enable", PUT "/v2/auth/enable", IfUnsent, wire::empty
}

bare_operation! {
    /// Switches authentication off: `DELETE /v2/auth/enable`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) when it is off already.
    DisableAuth {} -> ();
    "v2.auth.disable", DELETE "/v2/auth/enable", IfUnsent, wire::empty
}

bare_operation! {
    /// Lists the users: `GET /v2/auth/users`.
    ListUsers {} -> Vec<UserDetails>;
    "v2.auth.users.list", GET "/v2/auth/users", Always,
    |reply| wire::json(reply).map(|Users { users }| users)
}

bare_operation! {
    /// Reads a user: `GET /v2/auth/users/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound), also when one of its roles does not exist.
    GetUser { name: "user" } -> UserDetails;
    "v2.auth.users.get", GET "/v2/auth/users/", Always, wire::json
}

bare_operation! {
    /// Deletes a user: `DELETE /v2/auth/users/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Forbidden`](crate::EtcdErrorKind::Forbidden) for
    /// `root` while authentication is on.
    DeleteUser { name: "user" } -> ();
    "v2.auth.users.delete", DELETE "/v2/auth/users/", IfUnsent, wire::empty
}

bare_operation! {
    /// Lists the roles: `GET /v2/auth/roles`. There is always `root`.
    ListRoles {} -> Vec<Role>;
    "v2.auth.roles.list", GET "/v2/auth/roles", Always,
    |reply| wire::json(reply).map(|Roles { roles }| roles)
}

bare_operation! {
    /// Reads a role: `GET /v2/auth/roles/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound).
    GetRole { name: "role" } -> Role;
    "v2.auth.roles.get", GET "/v2/auth/roles/", Always, wire::json
}

bare_operation! {
    /// Deletes a role: `DELETE /v2/auth/roles/NAME`. Users keep its name.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Forbidden`](crate::EtcdErrorKind::Forbidden) for
    /// `root`.
    DeleteRole { name: "role" } -> ();
    "v2.auth.roles.delete", DELETE "/v2/auth/roles/", IfUnsent, wire::empty
}

#[derive(Serialize)]
struct UserBody<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    grant: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    revoke: &'a [String],
}

fn put_user(operation: &'static str, body: &UserBody<'_>) -> Result<Call> {
    let path = format!(
        "/v2/auth/users/{}",
        wire::segment(operation, "user", body.user)?
    );
    Ok(Call::new(operation, Method::PUT, path, Repeat::IfUnsent)?
        .body("application/json", wire::to_json(operation, body)?))
}

/// Creates a user: `PUT /v2/auth/users/NAME`. Of a user that exists, etcd changes the password, unless roles are given.
///
/// # Errors
/// [`EtcdErrorKind::BadRequest`](crate::EtcdErrorKind::BadRequest) for an empty password;
/// [`Conflict`](crate::EtcdErrorKind::Conflict) for a user that exists, when roles are given.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct CreateUser {
    name: String,
    password: String,
    roles: Vec<String>,
}

impl CreateUser {
    /// A user with this password, and no role.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            roles: Vec::new(),
        }
    }

    /// And with this role. etcd takes any name, and cannot show the user before that role exists.
    pub fn and_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }
}

impl fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUser")
            .field("name", &self.name)
            .field("password", &"***")
            .field("roles", &self.roles)
            .finish()
    }
}

impl Sealed for CreateUser {}

impl Operation for CreateUser {
    type Output = User;
    const NAME: &'static str = "v2.auth.users.create";

    fn encode(&self) -> Result<Call> {
        put_user(
            Self::NAME,
            &UserBody {
                user: &self.name,
                password: Some(&self.password),
                roles: &self.roles,
                grant: &[],
                revoke: &[],
            },
        )
    }

    fn decode(&self, reply: Reply) -> Result<User> {
        wire::json(reply)
    }
}

/// Changes a user's password: `PUT /v2/auth/users/NAME`. Of a user that does not exist, etcd makes one.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ChangePassword {
    name: String,
    password: String,
}

impl ChangePassword {
    /// The user with this name is to have this password.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
        }
    }
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangePassword")
            .field("name", &self.name)
            .field("password", &"***")
            .finish()
    }
}

impl Sealed for ChangePassword {}

impl Operation for ChangePassword {
    type Output = User;
    const NAME: &'static str = "v2.auth.users.change_password";

    fn encode(&self) -> Result<Call> {
        put_user(
            Self::NAME,
            &UserBody {
                user: &self.name,
                password: Some(&self.password),
                roles: &[],
                grant: &[],
                revoke: &[],
            },
        )
    }

    fn decode(&self, reply: Reply) -> Result<User> {
        wire::json(reply)
    }
}

macro_rules! user_roles_operation {
    ($(#[$doc:meta])* $name:ident, $operation:literal, $field:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $name {
            name: String,
            roles: Vec<String>,
        }

        impl $name {
            /// The user with this name, and these roles.
            pub fn new<R: Into<String>>(
                name: impl Into<String>,
                roles: impl IntoIterator<Item = R>,
            ) -> Self {
                Self {
                    name: name.into(),
                    roles: roles.into_iter().map(Into::into).collect(),
                }
            }
        }

        impl Sealed for $name {}

        impl Operation for $name {
            type Output = User;
            const NAME: &'static str = $operation;

            fn encode(&self) -> Result<Call> {
                let mut body = UserBody {
                    user: &self.name,
                    password: None,
                    roles: &[],
                    grant: &[],
                    revoke: &[],
                };
                body.$field = &self.roles;
                put_user(Self::NAME, &body)
            }

            fn decode(&self, reply: Reply) -> Result<User> {
                wire::json(reply)
            }
        }
    };
}

user_roles_operation! {
    /// Gives a user roles: `PUT /v2/auth/users/NAME` with `grant`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Conflict`](crate::EtcdErrorKind::Conflict) when the
    /// user has one of them.
    GrantRoles, "v2.auth.users.grant", grant
}

user_roles_operation! {
    /// Takes roles from a user: `PUT /v2/auth/users/NAME` with `revoke`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Conflict`](crate::EtcdErrorKind::Conflict) when the
    /// user does not have one of them.
    RevokeRoles, "v2.auth.users.revoke", revoke
}

macro_rules! role_operation {
    ($(#[$doc:meta])* $name:ident, $operation:literal, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $name {
            name: String,
            permissions: Permissions,
        }

        impl $name {
            /// The role with this name, and these permissions.
            pub fn new(name: impl Into<String>, permissions: Permissions) -> Self {
                Self {
                    name: name.into(),
                    permissions,
                }
            }
        }

        impl Sealed for $name {}

        impl Operation for $name {
            type Output = Role;
            const NAME: &'static str = $operation;

            fn encode(&self) -> Result<Call> {
                #[derive(Serialize)]
                struct Body<'a> {
                    role: &'a str,
                    #[serde(rename = $field)]
                    permissions: KeyPermissions,
                }
                let name = wire::segment(Self::NAME, "role", &self.name)?;
                let path = format!("/v2/auth/roles/{name}");
                let body = wire::to_json(Self::NAME, &Body {
                    role: &self.name,
                    permissions: KeyPermissions {
                        kv: self.permissions.clone(),
                    },
                })?;
                Ok(Call::new(Self::NAME, Method::PUT, path, Repeat::IfUnsent)?
                    .body("application/json", body))
            }

            fn decode(&self, reply: Reply) -> Result<Role> {
                wire::json(reply)
            }
        }
    };
}

role_operation! {
    /// Creates a role: `PUT /v2/auth/roles/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) when it exists.
    CreateRole, "v2.auth.roles.create", "permissions"
}

role_operation! {
    /// Gives a role permissions: `PUT /v2/auth/roles/NAME` with `grant`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Conflict`](crate::EtcdErrorKind::Conflict) when it
    /// has one of them; [`Forbidden`](crate::EtcdErrorKind::Forbidden) for `root`.
    GrantPermissions, "v2.auth.roles.grant", "grant"
}

role_operation! {
    /// Takes permissions from a role: `PUT /v2/auth/roles/NAME` with `revoke`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound);
    /// [`BadRequest`](crate::EtcdErrorKind::BadRequest) when it has none of them.
    RevokePermissions, "v2.auth.roles.revoke", "revoke"
}

/// Go's encoder writes an empty list as `null`, now and then.
fn null_is_empty<'de, D, E>(deserializer: D) -> Result<Vec<E>, D::Error>
where
    D: Deserializer<'de>,
    E: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
