use std::sync::Arc;

use http::HeaderValue;

use crate::{
    auth::basic::Credentials,
    pipeline::{call::Login, token::TokenSource},
};

/// The user and the password that each request of the v2 API carries, and where they come from.
#[derive(Clone, Debug)]
pub(crate) enum BasicAuth {
    /// They do not change.
    Fixed(Arc<Credentials>),
    /// They are asked for, and cached as a token is.
    Provided(Arc<TokenSource>),
}

impl BasicAuth {
    /// Returns the header of a request, if it needs none of the provider.
    pub(crate) fn fixed(&self) -> Option<&HeaderValue> {
        match self {
            Self::Fixed(credentials) => Some(credentials.header()),
            Self::Provided(_) => None,
        }
    }
}

/// Returns what provides that which a call is sent with, if it is cached: a token of v3, or v2's credentials.
pub(crate) fn source<'a>(
    login: Login,
    basic: Option<&'a BasicAuth>,
    tokens: Option<&'a Arc<TokenSource>>,
) -> Option<&'a Arc<TokenSource>> {
    match (login, basic) {
        (Login::Token, _) => tokens,
        (Login::Basic, Some(BasicAuth::Provided(source))) => Some(source),
        (Login::Basic | Login::None, _) => None,
    }
}
