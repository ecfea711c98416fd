use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

use etcd_transport::Transport;
use futures::lock::Mutex;
use http::HeaderValue;

use crate::{
    Call, Error, EtcdErrorKind, Operation, Outcome, Reply, Result,
    error::UnexpectedAnswer,
    exchange::Road,
    secret::Secret,
    v3::{Authenticate, refusal},
};

/// The tokens of the v3 API: fetched when one is first needed, by one call for all that wait; then kept, until etcd no
/// longer takes it.
pub(crate) struct Tokens {
    authenticate: Authenticate,
    /// `None` before the first one.
    current: RwLock<Option<Granted>>,
    /// Held while one is fetched.
    fetching: Mutex<()>,
}

/// A token; or `None`, when etcd said that it needs none.
type Granted = Option<HeaderValue>;

impl Tokens {
    pub(crate) fn new(user: String, password: String) -> Result<Self> {
        let authenticate = Authenticate::new(user, password);
        authenticate.encode()?;
        Ok(Self {
            authenticate,
            current: RwLock::new(None),
            fetching: Mutex::new(()),
        })
    }

    /// The current token; a new one, where there is none, or only the one that was refused.
    async fn get<T: Transport>(
        &self,
        road: &Road<T>,
        refused: Option<&Granted>,
    ) -> Result<Granted> {
        let usable = || self.current().filter(|current| Some(current) != refused);
        if let Some(current) = usable() {
            return Ok(current);
        }
        let _alone = self.fetching.lock().await;
        // Somebody else may have fetched it while we waited.
        if let Some(current) = usable() {
            return Ok(current);
        }
        let granted = self.fetch(road).await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(granted.clone());
        Ok(granted)
    }

    async fn fetch<T: Transport>(&self, road: &Road<T>) -> Result<Granted> {
        let reply = road.attempts(&self.authenticate.encode()?).await?;
        let site = reply.site.clone();
        match self.authenticate.decode(reply) {
            Ok(answer) => match Secret::new(answer.token).into_header() {
                Ok(token) => Ok(Some(token)),
                Err(_) => {
                    let what = "the token does not fit a header";
                    let error = UnexpectedAnswer::new(site, what, Outcome::Rejected);
                    Err(Error::Unexpected(error))
                }
            },
            Err(error) if error.etcd_kind() == Some(EtcdErrorKind::AuthNotEnabled) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn current(&self) -> Option<Granted> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Says nothing of what it keeps.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

impl<T: Transport> Road<T> {
    /// Sends a call, with a token where it needs one: once more with a new one, when etcd refuses it for its token. What
    /// was refused was not carried out, so that this is safe for writes.
    pub(crate) async fn exchange(&self, call: &Call) -> Result<Reply> {
        let Some(call) = self.with_token(call).await? else {
            return self.attempts(call).await;
        };
        let reply = self.attempts(&call).await?;
        if !refusal::of(&call, &reply).is_some_and(|refusal| refusal.is_of_the_token()) {
            return Ok(reply);
        }
        let call = self.with_new_token(call).await?;
        let mut again = self.attempts(&call).await?;
        again.in_doubt |= reply.in_doubt;
        Ok(again)
    }

    /// The call with the current token; `None` for a call that goes without.
    pub(crate) async fn with_token(&self, call: &Call) -> Result<Option<Call>> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        if !self.needs_token(call) {
            return Ok(None);
        }
        let mut call = call.clone();
        call.token = tokens.get(self, None).await?;
        Ok(Some(call))
    }

    /// Whether a call is sent with a token, if etcd's authentication is on.
    pub(crate) fn needs_token(&self, call: &Call) -> bool {
        self.tokens.is_some() && call.is_v3() && call.target.path() != Authenticate::PATH
    }

    /// The call with another token than the one it has, which etcd refused.
    pub(crate) async fn with_new_token(&self, mut call: Call) -> Result<Call> {
        if let Some(tokens) = &self.tokens {
            call.token = tokens.get(self, Some(&call.token)).await?;
        }
        Ok(call)
    }
}
