use etcd_transport::Transport;

use crate::{
    auth::{
        secret::Secret,
        token::{self, Granted},
    },
    builder::ClientBuilder,
    endpoints::wire::Wire,
    error::{Error, EtcdErrorKind, Outcome, Result, UnexpectedAnswer},
    pipeline::{
        answer::Answer,
        call::Call,
        exchange::{Encoded, Exchange, TypedExchange},
    },
    v3::Authenticate,
};

/// # The v3 API's user
impl<T: Transport> ClientBuilder<T> {
    /// The user of the v3 API. Its token is fetched when a call first needs it, sent with v3 calls to the client's endpoints
    /// and nowhere else, and renewed when etcd no longer accepts it. All calls that need one at that time wait for one
    /// request, and get the same result, a token or an error. Where etcd's authentication is off, calls go without.
    ///
    /// Where it is on, and the client shows a TLS certificate, that must be one without a common name: etcd's gateway
    /// refuses every call with another, whatever the token.
    pub fn v3_auth(self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let request = TokenRequest(Authenticate::new(user, password));
        let checked = request.encode(Wire::Http);
        self.tokens(checked.map(|_| Box::new(request) as token::Authenticate))
    }
}

/// An [`Authenticate`] whose answer is a token for the pipeline.
struct TokenRequest(Authenticate);

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

    fn decode(&self, answer: Answer) -> Result<Granted> {
        let context = answer.context.clone();
        match self.0.decode(answer) {
            Ok(granted) => match Secret::new(granted.token).into_header() {
                Ok(token) => Ok(Some(token)),
                Err(_) => {
                    let what = "the token does not fit a header";
                    let error = UnexpectedAnswer::new(context, what, Outcome::Rejected);
                    Err(Error::Unexpected(error))
                }
            },
            Err(error) if error.etcd_kind() == Some(EtcdErrorKind::AuthNotEnabled) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
