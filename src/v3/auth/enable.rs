use std::fmt;

use crate::{
    auth::secret::Secret,
    error::{Error, Outcome, Result, UnexpectedResponse},
    pipeline::answer::Answer,
    v3::{
        Header,
        auth::check_name,
        protocol::{
            self,
            message::{self, Encode, Fields},
        },
    },
};

message::empty! {
    /// Enables authentication: `POST /v3/auth/enable`. Returns the header.
    ///
    /// # Errors
    /// [`RootUserMissing`](crate::EtcdErrorKind::RootUserMissing) unless a user `root` with the role `root` exists.
    EnableAuth;

    /// Disables authentication: `POST /v3/auth/disable`. Returns the header.
    DisableAuth;

    /// Returns whether authentication is enabled: `POST /v3/auth/status`. Since etcd 3.5.
    ///
    /// **Do not send it while a cluster is upgraded from 3.4**: a member of 3.5 that receives it makes members of 3.4 panic
    /// (seen with 3.5.16 and 3.4.23). The client does not send it once an endpoint has reported that it does not support
    /// it. All members do if the `cluster` version in [`Client::version`](crate::Client::version) is 3.5.0 or later.
    GetAuthStatus;
}

// Enabling twice has the effect of enabling once, and so has disabling.
crate::v3::protocol::operation!(EnableAuth => Header, "v3.auth.enable", AUTH_ENABLE, IfUnsent);
crate::v3::protocol::operation!(DisableAuth => Header, "v3.auth.disable", AUTH_DISABLE, IfUnsent);
crate::v3::protocol::operation!(GetAuthStatus => AuthStatusResponse, "v3.auth.status", AUTH_STATUS, Always);

/// The response to a [`GetAuthStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthStatusResponse {
    /// The header of the response.
    pub header: Header,
    /// Whether authentication is enabled.
    pub enabled: bool,
    /// The revision of users and roles, which grows with each change.
    pub auth_revision: u64,
}

message::decode!(AuthStatusResponse {
    1 "header" => header,
    2 "enabled" => enabled,
    3 "authRevision" => auth_revision,
});

/// Requests a token: `POST /v3/auth/authenticate`.
///
/// A client with [`v3_auth`](crate::ClientBuilder::v3_auth) does this on its own.
///
/// # Errors
/// [`AuthenticationFailed`](crate::EtcdErrorKind::AuthenticationFailed),
/// [`AuthNotEnabled`](crate::EtcdErrorKind::AuthNotEnabled).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Authenticate {
    name: String,
    password: Secret,
}

impl Authenticate {
    /// Requests a token for this user.
    pub fn new(name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            password: password.as_ref().into(),
        }
    }

    fn decoded(&self, answer: Box<Answer>) -> Result<AuthenticateResponse> {
        let answer = answer.success()?;
        // An error that quotes the response would show the token.
        protocol::decode_quietly(&answer).map_err(|_| {
            let what = "the response is not what etcd sends";
            Error::Unexpected(UnexpectedResponse::of(
                answer.context,
                what,
                Outcome::Rejected,
            ))
        })
    }
}

impl Encode for Authenticate {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "user", &self.name)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name)
            .put(2, "password", &self.password);
    }
}

crate::v3::protocol::operation!(
    Authenticate => AuthenticateResponse,
    "v3.auth.authenticate",
    AUTHENTICATE, Always,
    decoded by Self::decoded
);

/// The response to an [`Authenticate`].
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticateResponse {
    /// The header of the response.
    pub header: Header,
    /// The token: the value of the header `Authorization`, without a scheme. Until it expires, it is as secret as the
    /// password.
    pub token: String,
}

impl fmt::Debug for AuthenticateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateResponse")
            .field("header", &self.header)
            .field("token", &"***")
            .finish()
    }
}

message::decode!(AuthenticateResponse {
    1 "header" => header,
    2 "token" => token,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::AsRequest;
    use crate::{
        error::EtcdErrorKind,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_requests_are_as_documented() {
        let enable = EnableAuth::new().request().unwrap();
        assert_eq!(
            (enable.target(), enable.body_bytes()),
            ("/v3/auth/enable", &b"{}"[..])
        );
        let disable = DisableAuth::new().request().unwrap();
        assert_eq!(
            (disable.target(), disable.body_bytes()),
            ("/v3/auth/disable", &b"{}"[..])
        );
        assert_eq!(
            GetAuthStatus::new().request().unwrap().target(),
            "/v3/auth/status"
        );
        let root = Authenticate::new("root", "pä\"ss");
        assert_eq!(root.request().unwrap().target(), "/v3/auth/authenticate");
        assert_eq!(body(&root), r#"{"name":"root","password":"pä\"ss"}"#);
        assert_eq!(
            Authenticate::new("", "x")
                .request()
                .unwrap_err()
                .to_string(),
            "v3.auth.authenticate: a user requires a name"
        );
    }

    #[test]
    fn responses_are_read() {
        let json =
            r#"{"header":{"cluster_id":"7","revision":"2"}, "enabled":true, "authRevision":"6"}"#;
        let status = decoded(&GetAuthStatus::new(), 200, json).unwrap();
        assert_eq!((status.enabled, status.auth_revision), (true, 6));
        let json = r#"{"header":{"cluster_id":"7","revision":"2"}, "token":"IrpeFtValWUKbabG.13"}"#;
        let granted = decoded(&Authenticate::new("root", "x"), 200, json).unwrap();
        assert_eq!(granted.token, "IrpeFtValWUKbabG.13");
        let json = r#"{"code":3, "message":"etcdserver: authentication failed, invalid user ID or password"}"#;
        let error = decoded(&Authenticate::new("root", "x"), 400, json).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::AuthenticationFailed));
    }

    #[test]
    fn responses_with_nothing_else_have_their_header() {
        let json =
            r#"{"header":{"cluster_id":"5", "member_id":"7", "revision":"9", "raft_term":"2"}}"#;
        let on = decoded(&EnableAuth::new(), 200, json).unwrap();
        let off = decoded(&DisableAuth::new(), 200, json).unwrap();
        assert_eq!((on.revision, on.cluster_id, on), (9, 5, off));
    }

    #[test]
    fn what_a_version_does_not_have_is_unsupported() {
        for (status, body) in [
            (404, "Not Found\n"),
            (404, r#"{"code":5, "message":"Not Found"}"#),
            (
                501,
                r#"{"code":12, "message":"Method Not Allowed", "details":[]}"#,
            ),
        ] {
            let error = decoded(&GetAuthStatus::new(), status, body).unwrap_err();
            assert!(matches!(error, crate::Error::Unsupported(_)), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let granted = AuthenticateResponse {
            header: Header::default(),
            token: "secret".into(),
        };
        let broken = r#"{"token":"secret"#;
        let error = decoded(&Authenticate::new("a", "secret"), 200, broken).unwrap_err();
        for text in [
            format!("{error:?} {error}"),
            format!("{:?}", Authenticate::new("a", "secret")),
            format!("{granted:?}"),
        ] {
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.AuthEnableRequest")
            .send(&EnableAuth::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthDisableRequest")
            .send(&DisableAuth::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthStatusRequest")
            .send(&GetAuthStatus::new())
            .all_fields_but(&[]);
        Requests::of("etcdserverpb.AuthenticateRequest")
            .send(&Authenticate::new("a", "b"))
            .all_fields_but(&[]);
        response::<AuthStatusResponse>("etcdserverpb.AuthStatusResponse", &[]);
        response::<AuthenticateResponse>("etcdserverpb.AuthenticateResponse", &[]);
    }
}
