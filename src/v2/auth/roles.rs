use http::Method;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    error,
    json::Decode,
    pipeline::{answer::Answer, exchange::Encoded},
    v2::{
        auth::permissions::{Permissions, PermissionsBody},
        operation::{bare_operation, operation},
        protocol,
    },
};

/// A role and its permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Role {
    /// The name. `root` has all permissions; `guest` applies to requests without credentials.
    pub name: String,
    /// The permissions.
    pub permissions: Permissions,
}

impl Decode for Role {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Body {
            role: String,
            #[serde(default)]
            permissions: KeyPermissions,
        }

        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct KeyPermissions {
            #[serde(deserialize_with = "Decode::decode")]
            kv: Permissions,
        }

        let body = Body::deserialize(deserializer)?;
        Ok(Self {
            name: body.role,
            permissions: body.permissions.kv,
        })
    }
}

bare_operation! {
    /// Lists the roles: `GET /v2/auth/roles`. The role `root` always exists.
    ListRoles {} -> Vec<Role>;
    "v2.auth.roles.list", GET "/v2/auth/roles", read,
    |answer: Box<Answer>| answer.json().map(|Roles { roles }| roles)
}

bare_operation! {
    /// Reads a role: `GET /v2/auth/roles/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound).
    GetRole { name: "role" } -> Role;
    "v2.auth.roles.get", GET "/v2/auth/roles/", read, Answer::decode
}

bare_operation! {
    /// Deletes a role: `DELETE /v2/auth/roles/NAME`. Users keep the name of the deleted role.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Forbidden`](crate::EtcdErrorKind::Forbidden) for
    /// `root`.
    DeleteRole { name: "role" } -> ();
    "v2.auth.roles.delete", DELETE "/v2/auth/roles/", write, protocol::empty
}

#[derive(Deserialize)]
struct Roles {
    #[serde(deserialize_with = "Decode::decode")]
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
            /// Creates the operation for the role with this name and these permissions.
            pub fn new(name: impl AsRef<str>, permissions: Permissions) -> Self {
                Self {
                    name: name.as_ref().to_owned(),
                    permissions,
                }
            }

            fn encoded(&self, operation: &'static str) -> error::Result<Encoded> {
                #[derive(Serialize)]
                struct Body<'a> {
                    role: &'a str,
                    #[serde(rename = $field)]
                    permissions: PermissionsBody<'a>,
                }
                let name = protocol::segment(operation, "role", &self.name)?;
                let path = format!("/v2/auth/roles/{name}");
                let body = Body {
                    role: &self.name,
                    permissions: (&self.permissions).into(),
                };
                protocol::with_json(operation, Method::PUT, path, &body)
            }
        }

        operation!($name => Role, $operation, OTHER.write, Answer::decode);
    };
}

role_operation! {
    /// Creates a role: `PUT /v2/auth/roles/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) if it exists.
    AddRole, "v2.auth.roles.add", "permissions"
}

role_operation! {
    /// Grants permissions to a role: `PUT /v2/auth/roles/NAME` with `grant`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Conflict`](crate::EtcdErrorKind::Conflict) if it
    /// has one of them; [`Forbidden`](crate::EtcdErrorKind::Forbidden) for `root`.
    GrantPermissions, "v2.auth.roles.grant", "grant"
}

role_operation! {
    /// Revokes permissions of a role: `PUT /v2/auth/roles/NAME` with `revoke`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`BadRequest`](crate::EtcdErrorKind::BadRequest) if
    /// it has none of them.
    RevokePermissions, "v2.auth.roles.revoke", "revoke"
}
