use std::fmt;

use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

use crate::v3::auth::{check_name, named, roles::Roles};

/// Creates a user without roles: `POST /v3/auth/user/add`. Answers the header.
///
/// etcd's `hashedPassword` is not offered: 3.5 ignores it and makes a user with an empty password.
///
/// # Errors
/// [`UserExists`](crate::EtcdErrorKind::UserExists).
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddUser {
    name: String,
    password: Option<String>,
}

impl AddUser {
    /// A user with this password.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: Some(password.into()),
        }
    }

    /// A user that no password opens: for client certificates.
    pub fn without_password(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: None,
        }
    }
}

impl fmt::Debug for AddUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddUser")
            .field("name", &self.name)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .finish()
    }
}

struct Options {
    no_password: bool,
}

impl Encode for Options {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("no_password", &self.no_password);
    }
}

impl Encode for AddUser {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "user", &self.name)?;
        check_password(operation, self.password.as_deref())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        let options = self
            .password
            .is_none()
            .then_some(Options { no_password: true });
        to.put("name", &self.name)
            .put("password", &self.password)
            .put("options", &options);
    }
}

gateway::operation!(
    AddUser => Header, in OnlyHeader, "v3.auth.user.add", "/v3/auth/user/add", |_| Repeat::IfUnsent
);

/// Changes a user's password: `POST /v3/auth/user/changepw`. Its tokens are no longer good. Answers the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound).
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

impl Encode for ChangePassword {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "user", &self.name)?;
        check_password(operation, Some(&self.password))
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name).put("password", &self.password);
    }
}

gateway::operation!(
    ChangePassword => Header, in OnlyHeader,
    "v3.auth.user.change_password",
    "/v3/auth/user/changepw",
    |_| Repeat::IfUnsent
);

gateway::empty! {
    /// Lists the names of all users: `POST /v3/auth/user/list`.
    ListUsers;
}

gateway::operation!(
    ListUsers => Vec<String>, in Users, "v3.auth.user.list", "/v3/auth/user/list", |_| Repeat::Always
);

gateway::list!(Users { "users" => Vec<String> });

/// Names a user's roles: `POST /v3/auth/user/get`.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetUser {
    name: String,
}

/// Deletes a user: `POST /v3/auth/user/delete`. Its tokens are no longer good. Answers the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound);
/// [`InvalidAuthManagement`](crate::EtcdErrorKind::InvalidAuthManagement) for `root` while authentication is on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteUser {
    name: String,
}

named!("user": GetUser as "name", DeleteUser as "name");

gateway::operation!(
    GetUser => Vec<String>, in Roles, "v3.auth.user.get", "/v3/auth/user/get", |_| Repeat::Always
);
gateway::operation!(
    DeleteUser => Header, in OnlyHeader,
    "v3.auth.user.delete",
    "/v3/auth/user/delete",
    |_| Repeat::IfUnsent
);

/// Gives a user a role: `POST /v3/auth/user/grant`. A role it has it may be given again. Answers the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound), [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GrantRole {
    name: String,
    role: String,
}

gateway::operation!(
    GrantRole => Header, in OnlyHeader,
    "v3.auth.user.grant_role",
    "/v3/auth/user/grant",
    |_| Repeat::IfUnsent
);

/// Takes a role from a user: `POST /v3/auth/user/revoke`. Answers the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound), [`RoleNotGranted`](crate::EtcdErrorKind::RoleNotGranted).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RevokeRole {
    name: String,
    role: String,
}

macro_rules! of_user_and_role {
    ($($operation:ident as $user:literal),+) => {$(
        impl $operation {
            /// The user with this name, and the role.
            pub fn new(name: impl Into<String>, role: impl Into<String>) -> Self {
                Self {
                    name: name.into(),
                    role: role.into(),
                }
            }
        }

        impl Encode for $operation {
            fn check(&self, operation: &'static str) -> Result<()> {
                check_name(operation, "user", &self.name)?;
                check_name(operation, "role", &self.role)
            }

            fn fields(&self, to: &mut Fields<'_>) {
                to.put($user, &self.name).put("role", &self.role);
            }
        }
    )+};
}

of_user_and_role!(GrantRole as "user", RevokeRole as "name");

gateway::operation!(
    RevokeRole => Header, in OnlyHeader,
    "v3.auth.user.revoke_role",
    "/v3/auth/user/revoke",
    |_| Repeat::IfUnsent
);

/// etcd takes an empty password, and then anybody who knows the name may come in.
fn check_password(operation: &'static str, password: Option<&str>) -> Result<()> {
    if password == Some("") {
        let reason = "the password is empty: for a user that no password opens, use `AddUser::without_password`";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

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
        let path = "/v3/auth/user/add";
        sent(
            &AddUser::new("a", "p"),
            path,
            r#"{"name":"a","password":"p"}"#,
        );
        let certificate = AddUser::without_password("a");
        sent(
            &certificate,
            path,
            r#"{"name":"a","options":{"no_password":true}}"#,
        );
        sent(
            &ChangePassword::new("a", "p"),
            "/v3/auth/user/changepw",
            r#"{"name":"a","password":"p"}"#,
        );
        sent(&ListUsers::new(), "/v3/auth/user/list", "{}");
        sent(&GetUser::new("a"), "/v3/auth/user/get", r#"{"name":"a"}"#);
        sent(
            &DeleteUser::new("a"),
            "/v3/auth/user/delete",
            r#"{"name":"a"}"#,
        );
        // etcd has two names for the same thing.
        let grant = GrantRole::new("a", "r");
        sent(&grant, "/v3/auth/user/grant", r#"{"user":"a","role":"r"}"#);
        let revoke = RevokeRole::new("a", "r");
        sent(
            &revoke,
            "/v3/auth/user/revoke",
            r#"{"name":"a","role":"r"}"#,
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(GetUser::new("").encode().is_err());
        assert!(GrantRole::new("a", "").encode().is_err());
        assert_eq!(
            AddUser::new("a", "").encode().unwrap_err().to_string(),
            "v3.auth.user.add: the password is empty: for a user that no password opens, use \
             `AddUser::without_password`"
        );
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"}, "users":["h", "root"]}"#;
        assert_eq!(
            decoded(&ListUsers::new(), 200, json).unwrap(),
            ["h", "root"]
        );
        let json = r#"{"header":{"revision":"2"},"roles":["root"]}"#;
        assert_eq!(decoded(&GetUser::new("a"), 200, json).unwrap(), ["root"]);
        assert!(
            decoded(&GetUser::new("a"), 200, r#"{"header":{}}"#)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn debug_shows_no_password() {
        for text in [
            format!("{:?}", AddUser::new("a", "secret")),
            format!("{:?}", ChangePassword::new("a", "secret")),
        ] {
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
