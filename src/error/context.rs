use std::{fmt, sync::Arc};

use crate::base::endpoint::Endpoint;

/// The operation that failed, its endpoint and attempt, and whether an earlier attempt may have been applied.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext {
    pub(crate) operation: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) attempts: u32,
    pub(crate) in_doubt: bool,
    /// The call may change something.
    pub(crate) is_write: bool,
    /// The call itself was not sent: the error is of the token that it needs.
    pub(crate) is_unsent: bool,
    /// Other calls are answered while this one is not.
    pub(crate) is_withheld: bool,
    /// Boxed, as few errors have it.
    pub(crate) more: Option<Arc<More>>,
}

/// What few errors have.
#[derive(Clone, Debug, Default)]
pub(crate) struct More {
    /// The method and the path, for a request that the operation's name does not tell.
    pub(super) request: Option<String>,
    /// Why the last attempt at each of the other endpoints failed.
    others: Vec<(Endpoint, String)>,
}

impl ErrorContext {
    /// The context of a first attempt.
    pub(crate) fn new(operation: &'static str, endpoint: Endpoint) -> Self {
        Self {
            operation,
            endpoint,
            attempts: 1,
            in_doubt: false,
            is_write: false,
            is_unsent: false,
            is_withheld: false,
            more: None,
        }
    }

    /// Adds why the last attempt at each of the other endpoints failed.
    pub(crate) fn with_others(mut self, others: Vec<(Endpoint, String)>) -> Self {
        if !others.is_empty() {
            self.more().others = others;
        }
        self
    }

    /// Adds the method and the path of the request.
    pub(crate) fn with_request(mut self, request: Option<String>) -> Self {
        self.more().request = request;
        self
    }

    pub(super) fn more(&mut self) -> &mut More {
        Arc::make_mut(self.more.get_or_insert_default())
    }

    /// Writes what is likely wrong with an endpoint that names no port.
    pub(super) fn write_port_hint(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.endpoint.is_https() || self.endpoint.has_port() {
            return Ok(());
        }
        f.write_str(": the endpoint names no port, so this is port 80: did you mean :2379?")
    }

    /// Writes why the other endpoints failed, behind the reason of the last one.
    pub(super) fn write_others(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (endpoint, reason) in self.more.iter().flat_map(|more| more.others.iter()) {
            write!(f, "; {endpoint}: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(request) = self.more.as_ref().and_then(|more| more.request.as_ref()) {
            write!(f, " {request}")?;
        }
        write!(f, " at {}", self.endpoint)?;
        if self.attempts > 1 {
            write!(f, " (attempt {})", self.attempts)?;
        }
        Ok(())
    }
}
