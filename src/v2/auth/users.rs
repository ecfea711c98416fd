use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    endpoints::wire::Wire,
    error::Result,
    json::{Decode, decoded},
    operation::Operation,
    pipeline::{
        answer::Answer,
        call::Call,
        exchange::{Encoded, Exchange, TypedExchange},
    },
    v2::{
        auth::{Role, bare_operation},
        protocol,
    },
};

decoded! {
    /// A user and the names of its roles.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    pub struct User {
        /// The name.
        #[serde(rename = "user")]
        pub name: String,
        /// The names of its roles.
        #[serde(default, deserialize_with = "Decode::decode")]
        pub roles: Vec<String>,
    }
}

decoded! {
    /// A user and its roles with their permissions.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    pub struct UserDetails {
        /// The name.
        #[serde(rename = "user")]
        pub name: String,
        /// The roles.
        #[serde(default, deserialize_with = "Decode::decode")]
        pub roles: Vec<Role>,
    }
}

bare_operation! {
    /// Lists the users: `GET /v2/auth/users`.
    ListUsers {} -> Vec<UserDetails>;
    "v2.auth.users.list", GET "/v2/auth/users", read,
    |answer: Answer| answer.json().map(|Users { users }| users)
}

bare_operation! {
    /// Reads a user: `GET /v2/auth/users/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound), also if one of its roles does not exist.
    GetUser { name: "user" } -> UserDetails;
    "v2.auth.users.get", GET "/v2/auth/users/", read, Answer::decode
}

bare_operation! {
    /// Deletes a user: `DELETE /v2/auth/users/NAME`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Forbidden`](crate::EtcdErrorKind::Forbidden) for
    /// `root` while authentication is on.
    DeleteUser { name: "user" } -> ();
    "v2.auth.users.delete", DELETE "/v2/auth/users/", write, protocol::empty
}

#[derive(Deserialize)]
struct Users {
    #[serde(deserialize_with = "Decode::decode")]
    users: Vec<UserDetails>,
}

#[derive(Default, Serialize)]
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

fn put_user(operation: &'static str, body: &UserBody<'_>) -> Result<Encoded> {
    let path = format!(
        "/v2/auth/users/{}",
        protocol::segment(operation, "user", body.user)?
    );
    Ok(Encoded::new(operation, Method::PUT, path)?
        .body("application/json", protocol::to_json(operation, body)?))
}

/// Creates a user: `PUT /v2/auth/users/NAME`. For an existing user, etcd changes the password, unless roles are given.
///
/// # Errors
/// [`EtcdErrorKind::BadRequest`](crate::EtcdErrorKind::BadRequest) for an empty password;
/// [`Conflict`](crate::EtcdErrorKind::Conflict) for an existing user, if roles are given.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct CreateUser {
    name: String,
    password: String,
    roles: Vec<String>,
}

impl CreateUser {
    /// Creates a user with this password and without roles.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: password.as_ref().to_owned(),
            roles: Vec::new(),
        }
    }

    /// Adds a role. etcd accepts any name, and cannot return the user until that role exists.
    pub fn and_role(mut self, role: impl AsRef<str>) -> Self {
        self.roles.push(role.as_ref().to_owned());
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

impl Operation for CreateUser {
    type Output = User;
    const NAME: &'static str = "v2.auth.users.create";
}

impl Exchange for CreateUser {
    fn call(&self) -> Call {
        protocol::OTHER.write(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        put_user(
            Self::NAME,
            &UserBody {
                user: &self.name,
                password: Some(&self.password),
                roles: &self.roles,
                ..UserBody::default()
            },
        )
    }
}

impl TypedExchange for CreateUser {
    type Decoded = User;

    fn decode(&self, answer: Answer) -> Result<User> {
        answer.decode()
    }
}

/// Changes a user's password: `PUT /v2/auth/users/NAME`. If the user does not exist, etcd creates it.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ChangePassword {
    name: String,
    password: String,
}

impl ChangePassword {
    /// Sets this password for the user with this name.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: password.as_ref().to_owned(),
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

impl Operation for ChangePassword {
    type Output = User;
    const NAME: &'static str = "v2.auth.users.change_password";
}

impl Exchange for ChangePassword {
    fn call(&self) -> Call {
        protocol::OTHER.write(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        put_user(
            Self::NAME,
            &UserBody {
                user: &self.name,
                password: Some(&self.password),
                ..UserBody::default()
            },
        )
    }
}

impl TypedExchange for ChangePassword {
    type Decoded = User;

    fn decode(&self, answer: Answer) -> Result<User> {
        answer.decode()
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
            /// Creates the operation for the user with this name and these roles.
            pub fn new<R: AsRef<str>>(
                name: impl AsRef<str>,
                roles: impl IntoIterator<Item = R>,
            ) -> Self {
                Self {
                    name: name.as_ref().to_owned(),
                    roles: roles.into_iter().map(|role| role.as_ref().to_owned()).collect(),
                }
            }
        }

        impl Operation for $name {
            type Output = User;
            const NAME: &'static str = $operation;
        }

        impl Exchange for $name {
            fn call(&self) -> Call {
                protocol::OTHER.write(Self::NAME)
            }

            fn encode(&self, _: Wire) -> Result<Encoded> {
                let mut body = UserBody {
                    user: &self.name,
                    ..UserBody::default()
                };
                body.$field = &self.roles;
                put_user(Self::NAME, &body)
            }
        }

        impl TypedExchange for $name {
            type Decoded = User;

            fn decode(&self, answer: Answer) -> Result<User> {
                answer.decode()
            }
        }
    };
}

user_roles_operation! {
    /// Grants roles to a user: `PUT /v2/auth/users/NAME` with `grant`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Conflict`](crate::EtcdErrorKind::Conflict) if the
    /// user has one of them.
    GrantRoles, "v2.auth.users.grant", grant
}

user_roles_operation! {
    /// Revokes roles of a user: `PUT /v2/auth/users/NAME` with `revoke`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Conflict`](crate::EtcdErrorKind::Conflict) if the
    /// user does not have one of them.
    RevokeRoles, "v2.auth.users.revoke", revoke
}
