use std::fmt;

use zeroize::Zeroizing;

use crate::{
    error::{Error, Outcome, Result, UnexpectedAnswer},
    operation::{Call, Operation, Repeat, Reply, sealed::Sealed},
    v3::{
        Header,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

use crate::v3::auth::check_name;

gateway::empty! {
    /// Switches authentication on: `POST /v3/auth/enable`. Answers the header.
    ///
    /// # Errors
    /// [`RootUserMissing`](crate::EtcdErrorKind::RootUserMissing) unless there is a user `root` with the role `root`.
    EnableAuth;

    /// Switches authentication off: `POST /v3/auth/disable`. Answers the header.
    DisableAuth;

    /// Asks whether authentication is on: `POST /v3/auth/status`. From etcd 3.5 on.
///
/// **Not while a cluster is being upgraded from 3.4**: a member of 3.5 that is asked makes those of 3.4 end with a panic
/// (seen with 3.5.16 and 3.4.23). This client does not send it once an endpoint has said that it lacks it; whether all have it,
/// the `cluster` version of [`Client::version`](crate::Client::version) tells: 3.5.0 or later.
    GetAuthStatus;
}

// On twice is on; off twice is off.
gateway::operation!(
    EnableAuth => Header, in OnlyHeader, "v3.auth.enable", "/v3/auth/enable", |_| Repeat::IfUnsent
);
gateway::operation!(
    DisableAuth => Header, in OnlyHeader, "v3.auth.disable", "/v3/auth/disable", |_| Repeat::IfUnsent
);
gateway::operation!(
    GetAuthStatus => AuthStatusResponse, "v3.auth.status", "/v3/auth/status", |_| Repeat::Always
);

/// What an [`GetAuthStatus`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthStatusResponse {
    /// Who answered.
    pub header: Header,
    /// Whether authentication is on.
    pub enabled: bool,
    /// Grows with each change of users and roles.
    pub auth_revision: u64,
}

gateway::decode!(AuthStatusResponse {
    "header" => header,
    "enabled" => enabled,
    "authRevision" => auth_revision,
});

/// Gets a token: `POST /v3/auth/authenticate`.
///
/// A client with [`v3_auth`](crate::ClientBuilder::v3_auth) does this by itself.
///
/// # Errors
/// [`AuthenticationFailed`](crate::EtcdErrorKind::AuthenticationFailed),
/// [`AuthNotEnabled`](crate::EtcdErrorKind::AuthNotEnabled).
#[derive(Clone, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Authenticate {
    name: String,
    password: Zeroizing<String>,
}

impl Authenticate {
    pub(crate) const PATH: &'static str = "/v3/auth/authenticate";

    /// A token for this user.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: Zeroizing::new(password.into()),
        }
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("name", &self.name)
            .field("password", &"***")
            .finish()
    }
}

impl Encode for Authenticate {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, "user", &self.name)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name).put("password", &*self.password);
    }
}

impl Sealed for Authenticate {}

impl Operation for Authenticate {
    type Output = AuthenticateResponse;
    const NAME: &'static str = "v3.auth.authenticate";

    fn encode(&self) -> Result<Call> {
        gateway::call(Self::NAME, Self::PATH, Repeat::Always, self)
    }

    fn decode(&self, reply: Reply) -> Result<AuthenticateResponse> {
        let reply = gateway::success(reply)?;
        // An error that quotes the answer would show the token.
        gateway::parse(&reply.body).map_err(|_| {
            let what = "the answer is not what etcd sends";
            Error::Unexpected(UnexpectedAnswer::new(
                reply.context,
                what,
                Outcome::Rejected,
            ))
        })
    }
}

/// What an [`Authenticate`] got.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticateResponse {
    /// Who answered.
    pub header: Header,
    /// The token: the value of `Authorization`, bare. As good as the password, as long as it lives.
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

gateway::decode!(AuthenticateResponse {
    "header" => header,
    "token" => token,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::EtcdErrorKind,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_requests_are_as_documented() {
        let enable = EnableAuth::new().encode().unwrap();
        assert_eq!(
            (enable.target(), enable.body_bytes()),
            ("/v3/auth/enable", &b"{}"[..])
        );
        let disable = DisableAuth::new().encode().unwrap();
        assert_eq!(
            (disable.target(), disable.body_bytes()),
            ("/v3/auth/disable", &b"{}"[..])
        );
        assert_eq!(
            GetAuthStatus::new().encode().unwrap().target(),
            "/v3/auth/status"
        );
        let root = Authenticate::new("root", "pä\"ss");
        assert_eq!(root.encode().unwrap().target(), "/v3/auth/authenticate");
        assert_eq!(body(&root), r#"{"name":"root","password":"pä\"ss"}"#);
        assert_eq!(
            Authenticate::new("", "x").encode().unwrap_err().to_string(),
            "v3.auth.authenticate: a user needs a name"
        );
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"}, "enabled":true, "authRevision":"6"}"#;
        let status = decoded(&GetAuthStatus::new(), 200, json).unwrap();
        assert_eq!((status.enabled, status.auth_revision), (true, 6));
        let json = r#"{"header":{"revision":"2"}, "token":"IrpeFtValWUKbabG.13"}"#;
        let granted = decoded(&Authenticate::new("root", "x"), 200, json).unwrap();
        assert_eq!(granted.token, "IrpeFtValWUKbabG.13");
        let json = r#"{"code":3, "message":"etcdserver: authentication failed, invalid user ID or password"}"#;
        let error = decoded(&Authenticate::new("root", "x"), 400, json).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::AuthenticationFailed));
    }

    #[test]
    fn answers_that_say_nothing_else_have_their_header() {
        let json =
            r#"{"header":{"cluster_id":"5", "member_id":"7", "revision":"9", "raft_term":"2"}}"#;
        let on = decoded(&EnableAuth::new(), 200, json).unwrap();
        let off = decoded(&DisableAuth::new(), 200, json).unwrap();
        assert_eq!((on.revision, on.cluster_id, on), (9, 5, off));
    }

    #[test]
    fn what_a_version_lacks_is_unsupported() {
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
}
