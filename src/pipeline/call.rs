use std::time::{Duration, Instant};

use crate::{
    endpoints::{state::EndpointState, unsupported::Feature, wire::Wire},
    pipeline::{deadline::Deadline, protocol::Protocol},
};

/// What the pipeline knows of a call, independent of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The operation's name in errors and observations.
    pub(crate) operation: &'static str,
    pub(crate) protocol: &'static dyn Protocol,
    pub(crate) repeat: Repeat,
    pub(crate) deadline: Deadline,
    /// How long the server may take, if the request says so: what is left of the deadline.
    pub(crate) server_limit: Option<Duration>,
    pub(crate) login: Login,
    /// The feature that is recorded as unsupported if a server does not support this call.
    pub(crate) feature: Option<Feature>,
    /// A member without a leader must refuse it.
    pub(crate) require_leader: bool,
    /// It reads, and changes nothing: another endpoint may be asked at the same time.
    pub(crate) is_read: bool,
    /// Whether it can travel by every [`Wire`]. Otherwise it travels by the default one.
    pub(crate) on_any_wire: bool,
    /// Whether a success names its cluster: one that does not is not etcd's.
    pub(crate) names_cluster: bool,
    /// A success reflects every write that was acknowledged before, at any member, though it does not name its own.
    pub(crate) is_linearizable: bool,
    /// Whether a success has the revision of the store that it read.
    pub(crate) reads_keys: bool,
    /// Whether it may change something.
    pub(crate) is_write: bool,
    /// The id of what it is about, for the protocol to name where the server does not; 0 is none.
    pub(crate) subject: i64,
    /// Whether it has a secret, which a response may quote: errors do not show what etcd itself does not say.
    pub(crate) is_confidential: bool,
}

impl Call {
    /// Creates a call without credentials, deadline or feature.
    pub(crate) fn new(
        operation: &'static str,
        protocol: &'static dyn Protocol,
        repeat: Repeat,
    ) -> Self {
        Self {
            operation,
            protocol,
            repeat,
            deadline: Deadline::Usual,
            server_limit: None,
            login: Login::None,
            feature: None,
            require_leader: false,
            is_read: false,
            on_any_wire: false,
            names_cluster: false,
            is_linearizable: false,
            reads_keys: false,
            is_write: repeat == Repeat::IfUnsent,
            subject: 0,
            is_confidential: false,
        }
    }

    /// Returns the wire by which it travels to an endpoint, as far as is known: the one that was used last.
    pub(crate) fn wire_to(&self, endpoint: &EndpointState) -> Wire {
        if self.on_any_wire {
            endpoint.wire().last()
        } else {
            Wire::default()
        }
    }

    /// Returns the wire by which it travels to an endpoint, unless that must be found out.
    pub(crate) fn settled_wire_to(&self, endpoint: &EndpointState, now: Instant) -> Option<Wire> {
        if self.on_any_wire {
            endpoint.wire().settled(now)
        } else {
            Some(Wire::default())
        }
    }

    pub(crate) fn deadline(self, deadline: Deadline) -> Self {
        let server_limit = match deadline {
            Deadline::AtMost(limit) => Some(limit),
            Deadline::Usual | Deadline::Unlimited => None,
        };
        Self {
            deadline,
            server_limit,
            ..self
        }
    }

    pub(crate) fn login(self, login: Login) -> Self {
        Self { login, ..self }
    }
}

/// Whether a request may be retried after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or applying it twice has the same effect as once: it is retried as often as the
    /// [`RetryPolicy`](crate::RetryPolicy) allows.
    Always,
    /// It writes: it is retried only if the previous attempt definitely was not applied.
    IfUnsent,
}

/// The credentials that a call is sent with, if the client has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    /// The user and password, in each request.
    Basic,
    /// A token that etcd granted for them.
    Token,
}
