use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    auth::secret::Secret,
    error::Result,
    json::{Decode, decoded},
    pipeline::{answer::Answer, exchange::Encoded},
    v2::{
        auth::Role,
        operation::{bare_operation, operation},
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
    |answer: Box<Answer>| answer.json().map(|Users { users }| users)
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

impl<'a> UserBody<'a> {
    fn of(user: &'a str) -> Self {
        Self {
            user,
            ..Self::default()
        }
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let name = protocol::segment(operation, "user", self.user)?;
        protocol::with_json(
            operation,
            Method::PUT,
            format!("/v2/auth/users/{name}"),
            self,
        )
    }
}

/// Creates a user: `PUT /v2/auth/users/NAME`. For an existing user, etcd changes the password, unless roles are given.
///
/// # Errors
/// [`EtcdErrorKind::BadRequest`](crate::EtcdErrorKind::BadRequest) for an empty password;
/// [`Conflict`](crate::EtcdErrorKind::Conflict) for an existing user, if roles are given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddUser {
    name: String,
    password: Secret,
    roles: Vec<String>,
}

impl AddUser {
    /// Creates a user with this password and without roles.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: password.as_ref().into(),
            roles: Vec::new(),
        }
    }

    /// Adds a role. etcd accepts any name, and cannot return the user until that role exists.
    pub fn and_role(mut self, role: impl AsRef<str>) -> Self {
        self.roles.push(role.as_ref().to_owned());
        self
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let mut body = UserBody::of(&self.name);
        body.password = Some(self.password.expose());
        body.roles = &self.roles;
        body.encoded(operation)
    }
}

operation!(AddUser => User, "v2.auth.users.add", OTHER.write, Answer::decode);

/// Changes a user's password: `PUT /v2/auth/users/NAME`. If the user does not exist, etcd creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ChangePassword {
    name: String,
    password: Secret,
}

impl ChangePassword {
    /// Sets this password for the user with this name.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: password.as_ref().into(),
        }
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let mut body = UserBody::of(&self.name);
        body.password = Some(self.password.expose());
        body.encoded(operation)
    }
}

operation!(ChangePassword => User, "v2.auth.users.change_password", OTHER.write, Answer::decode);

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

            fn encoded(&self, operation: &'static str) -> Result<Encoded> {
                let mut body = UserBody::of(&self.name);
                body.$field = &self.roles;
                body.encoded(operation)
            }
        }

        operation!($name => User, $operation, OTHER.write, Answer::decode);
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
