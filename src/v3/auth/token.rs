use etcd_transport::Transport;

use crate::{
    auth::{secret::Secret, token::Granted},
    builder::ClientBuilder,
    endpoints::wire::Wire,
    error::{Error, EtcdErrorKind, Outcome, Result, UnexpectedResponse},
    pipeline::{
        answer::Answer,
        call::Call,
        exchange::{Encoded, Exchange, TypedExchange},
        token,
    },
    v3::Authenticate,
};

/// # The v3 API's user
impl<T: Transport> ClientBuilder<T> {
    /// Sets the user of the v3 API. Its token is fetched when a call first needs it, sent only with v3 calls to the
    /// client's endpoints, and renewed when etcd no longer accepts it, and after a call with it has timed out, at most every
    /// 30 s. All calls that need a token at that time wait for the same request and get the same result, a token or an
    /// error. If authentication is disabled in etcd, calls have no token.
    ///
    /// If it is enabled and the client has a TLS certificate, the certificate must not have a common name: etcd's
    /// gateway rejects every other call, regardless of the token.
    pub fn v3_auth(self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let request = TokenRequest(Authenticate::new(user, password));
        let checked = request.encode(Wire::Http);
        self.tokens(checked.map(|_| Box::new(request) as token::Authenticate))
    }
}

/// An [`Authenticate`] whose output is a token for the pipeline.
pub(super) struct TokenRequest(pub(super) Authenticate);

impl Exchange for TokenRequest {
    fn call(&self) -> Call {
        self.0.call()
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        self.0.encode(wire)
    }
}

impl TypedExchange for TokenRequest {
    type Decoded = Granted;

    fn decode(&self, answer: Box<Answer>) -> Result<Granted> {
        let context = answer.context.clone();
        match self.0.decode(answer) {
            Ok(granted) => match Secret::new(granted.token).into_header() {
                Ok(token) => Ok(Some(token)),
                Err(_) => {
                    let what = "the token contains characters that are not valid in a header";
                    let error = UnexpectedResponse::of(context, what, Outcome::Rejected);
                    Err(Error::Unexpected(error))
                }
            },
            Err(error) if error.etcd_kind() == Some(EtcdErrorKind::AuthNotEnabled) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
