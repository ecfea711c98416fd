//! The users and roles of the v3 API, its tokens, and who may do what.

mod access;
mod interval;
mod permission;
mod store;

use std::{collections::BTreeMap, sync::Arc};

use super::message::auth::Permission;

/// The user and the role that may do everything.
const ROOT: &str = "root";

/// How long an unused token is valid if nothing else is said, in nanoseconds.
const TOKEN_TTL: i64 = 300_000_000_000;

/// What a member knows about users.
#[derive(Clone, Debug)]
pub(crate) struct AuthStore {
    is_enabled: bool,
    /// Incremented by every change of users and roles.
    revision: u64,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, Vec<Permission>>,
    /// In memory alone.
    tokens: BTreeMap<String, Token>,
    /// How long an unused token is valid, in nanoseconds.
    pub(crate) token_ttl: i64,
}

#[derive(Clone, Debug)]
struct User {
    /// None for a user who cannot have a password.
    password: Option<String>,
    /// Sorted.
    roles: Vec<String>,
}

#[derive(Clone, Debug)]
struct Token {
    user: String,
    expires: i64,
}

/// What a request says about who makes it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Credentials {
    #[default]
    None,
    Token(String),
    /// The common name of the client's certificate. A token takes precedence.
    CommonName(CommonName),
}

/// The common name of the certificate that a client has shown; empty if the certificate has none.
///
/// A request has it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct CommonName(pub(crate) Arc<str>);

/// Who makes a call: the user whose token the request has, or that the client's certificate names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller(Option<String>);

impl Caller {
    pub(crate) fn user(name: &str) -> Self {
        Self(Some(name.to_owned()))
    }
}

impl Credentials {
    pub(crate) fn of_token(token: Option<String>) -> Self {
        token.map_or(Self::None, Self::Token)
    }
}

impl AuthStore {
    pub(crate) fn new() -> Self {
        Self {
            is_enabled: false,
            revision: 1,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            tokens: BTreeMap::new(),
            token_ttl: TOKEN_TTL,
        }
    }

    /// Forgets what is in memory alone.
    pub(crate) fn restart(&mut self) {
        self.tokens.clear();
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Makes a token valid.
    pub(crate) fn add_token(&mut self, token: String, user: String, now: i64) {
        let expires = now.saturating_add(self.token_ttl);
        self.tokens.retain(|_, token| token.expires > now);
        self.tokens.insert(token, Token { user, expires });
    }

    /// Finds out whose token it is, and extends its time.
    pub(crate) fn use_token(&mut self, token: &str, now: i64) -> Option<Caller> {
        let found = self.tokens.get_mut(token)?;
        if found.expires <= now {
            return None;
        }
        found.expires = now.saturating_add(self.token_ttl);
        Some(Caller(Some(found.user.clone())))
    }
}
