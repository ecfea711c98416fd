use crate::{
    auth::secret::Secret,
    error::{Error, Result},
    v3::protocol::message::{self, Encode, Fields},
};

use crate::v3::auth::{check_name, named, roles::Roles};

/// Creates a user without roles: `POST /v3/auth/user/add`. Returns the header.
///
/// etcd's `hashedPassword` is not offered: 3.5 ignores it and makes a user with an empty password.
///
/// # Errors
/// [`UserExists`](crate::EtcdErrorKind::UserExists).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddUser {
    name: String,
    password: Option<Secret>,
}

impl AddUser {
    /// A user with this password.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: Some(password.as_ref().into()),
        }
    }

    /// A user without a password, who authenticates with a client certificate.
    pub fn without_password(name: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: None,
        }
    }
}

struct Options {
    no_password: bool,
}

impl Encode for Options {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "no_password", &self.no_password);
    }
}

impl Encode for AddUser {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "user", &self.name)?;
        check_password(operation, self.password.as_ref())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        let options = self
            .password
            .is_none()
            .then_some(Options { no_password: true });
        to.put(1, "name", &self.name)
            .put(2, "password", &self.password)
            .put(3, "options", &options);
    }
}

crate::v3::protocol::operation!(AddUser => Header, "v3.auth.user.add", USER_ADD, IfUnsent);

/// Changes the password of a user: `POST /v3/auth/user/changepw`. The user's tokens become invalid. Returns the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ChangePassword {
    name: String,
    password: Secret,
}

impl ChangePassword {
    /// Sets the password of the user with this name.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: password.as_ref().into(),
        }
    }
}

impl Encode for ChangePassword {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "user", &self.name)?;
        check_password(operation, Some(&self.password))
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name)
            .put(2, "password", &self.password);
    }
}

crate::v3::protocol::operation!(
    ChangePassword => Header,
    "v3.auth.user.change_password",
    USER_CHANGE_PASSWORD, IfUnsent
);

message::empty! {
    /// Lists the names of all users: `POST /v3/auth/user/list`.
    ListUsers;
}

crate::v3::protocol::operation!(ListUsers => Vec<String>, in Users, "v3.auth.user.list", USER_LIST, Always);

message::list!(Users { 2 "users" => Vec<String> });

/// Lists the roles of a user: `POST /v3/auth/user/get`.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetUser {
    name: String,
}

/// Deletes a user: `POST /v3/auth/user/delete`. The user's tokens become invalid. Returns the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound);
/// [`InvalidAuthManagement`](crate::EtcdErrorKind::InvalidAuthManagement) for `root` while authentication is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteUser {
    name: String,
}

named!("user": GetUser as "name", DeleteUser as "name");

crate::v3::protocol::operation!(GetUser => Vec<String>, in Roles, "v3.auth.user.get", USER_GET, Always);
crate::v3::protocol::operation!(DeleteUser => Header, "v3.auth.user.delete", USER_DELETE, IfUnsent);

/// Grants a role to a user: `POST /v3/auth/user/grant`. Granting it again is not an error. Returns the header.
///
/// # Errors
/// [`UserNotFound`](crate::EtcdErrorKind::UserNotFound), [`RoleNotFound`](crate::EtcdErrorKind::RoleNotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GrantRole {
    name: String,
    role: String,
}

crate::v3::protocol::operation!(GrantRole => Header, "v3.auth.user.grant_role", USER_GRANT_ROLE, IfUnsent);

/// Revokes a role from a user: `POST /v3/auth/user/revoke`. Returns the header.
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
            /// The user with this name and the role.
            pub fn new(name: impl AsRef<str>, role: impl AsRef<str>) -> Self {
                Self {
                    name: name.as_ref().to_owned(),
                    role: role.as_ref().to_owned(),
                }
            }
        }

        impl Encode for $operation {
            fn check(&self, operation: &'static str) -> Result<()> {
                check_name(operation, "user", &self.name)?;
                check_name(operation, "role", &self.role)
            }

            fn fields<F: Fields>(&self, to: &mut F) {
                to.put(1, $user, &self.name).put(2, "role", &self.role);
            }
        }
    )+};
}

of_user_and_role!(GrantRole as "user", RevokeRole as "name");

crate::v3::protocol::operation!(RevokeRole => Header, "v3.auth.user.revoke_role", USER_REVOKE_ROLE, IfUnsent);

/// Rejects an empty password. etcd accepts it, and then every client that knows the name can authenticate.
fn check_password(operation: &'static str, password: Option<&Secret>) -> Result<()> {
    if password.is_some_and(Secret::is_empty) {
        let reason =
            "the password is empty: for a user without a password, use `AddUser::without_password`";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

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
        assert!(GetUser::new("").request().is_err());
        assert!(GrantRole::new("a", "").request().is_err());
        assert_eq!(
            AddUser::new("a", "").request().unwrap_err().to_string(),
            "v3.auth.user.add: the password is empty: for a user without a password, use \
             `AddUser::without_password`"
        );
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"}, "users":["h", "root"]}"#;
        assert_eq!(
            decoded(&ListUsers::new(), 200, json).unwrap(),
            ["h", "root"]
        );
        let json = r#"{"header":{"cluster_id":"7","revision":"2"},"roles":["root"]}"#;
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

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.AuthUserAddRequest")
            .send(&AddUser::new("a", "b"))
            .send(&AddUser::without_password("a"))
            .all_fields_but(&["hashedPassword"]);
        Requests::of("etcdserverpb.AuthUserChangePasswordRequest")
            .send(&ChangePassword::new("a", "b"))
            .all_fields_but(&["hashedPassword"]);
        Requests::of("etcdserverpb.AuthUserListRequest")
            .send(&ListUsers::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthUserGetRequest")
            .send(&GetUser::new("a"))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthUserDeleteRequest")
            .send(&DeleteUser::new("a"))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthUserGrantRoleRequest")
            .send(&GrantRole::new("a", "r"))
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthUserRevokeRoleRequest")
            .send(&RevokeRole::new("a", "r"))
            .all_fields_but(&[]);
        response::<Users>("etcdserverpb.AuthUserListResponse", &["header"]);
        response::<Roles>("etcdserverpb.AuthUserGetResponse", &["header"]);
    }
}
