use http::Method;
use serde::{Deserialize, Serialize};

use crate::v2::auth::{Permissions, bare_operation, null_is_empty};
use crate::{
    error::Result,
    operation::{Call, Operation, Repeat, Reply, sealed::Sealed},
    v2::protocol,
};

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

bare_operation! {
    /// Lists the roles: `GET /v2/auth/roles`. There is always `root`.
    ListRoles {} -> Vec<Role>;
    "v2.auth.roles.list", GET "/v2/auth/roles", Always,
    |reply| protocol::json(reply).map(|Roles { roles }| roles)
}

bare_operation! {
    /// Reads a role: `GET /v2/auth/roles/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound).
    GetRole { name: "role" } -> Role;
    "v2.auth.roles.get", GET "/v2/auth/roles/", Always, protocol::json
}

bare_operation! {
    /// Deletes a role: `DELETE /v2/auth/roles/NAME`. Users keep its name.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Forbidden`](crate::EtcdErrorKind::Forbidden) for
    /// `root`.
    DeleteRole { name: "role" } -> ();
    "v2.auth.roles.delete", DELETE "/v2/auth/roles/", IfUnsent, protocol::empty
}

#[derive(Deserialize)]
struct Roles {
    #[serde(deserialize_with = "null_is_empty")]
    roles: Vec<Role>,
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
                let name = protocol::segment(Self::NAME, "role", &self.name)?;
                let path = format!("/v2/auth/roles/{name}");
                let body = protocol::to_json(Self::NAME, &Body {
                    role: &self.name,
                    permissions: KeyPermissions {
                        kv: self.permissions.clone(),
                    },
                })?;
                Ok(Call::new(Self::NAME, Method::PUT, path, Repeat::IfUnsent)?
                    .body("application/json", body))
            }

            fn decode(&self, reply: Reply) -> Result<Role> {
                protocol::json(reply)
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
