use std::fmt;

use crate::pipeline::{deadline::Deadline, protocol::Protocol};

/// What the pipeline knows of a call, whatever the wire that carries it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The operation's name in errors and observations.
    pub(crate) operation: &'static str,
    pub(crate) protocol: &'static dyn Protocol,
    pub(crate) repeat: Repeat,
    pub(crate) deadline: Deadline,
    pub(crate) login: Login,
    /// What a server that does not support this call is remembered to lack.
    pub(crate) feature: Option<Feature>,
    /// A member without a leader is to refuse it.
    pub(crate) require_leader: bool,
    /// Whether it can be carried by gRPC.
    pub(crate) has_grpc: bool,
    /// Whether a success names its cluster: one that does not is not etcd's.
    pub(crate) names_cluster: bool,
    /// The lease that it is about, by its id; 0 is none.
    pub(crate) lease: i64,
    /// Whether it has a secret, which a response may quote: errors do not show what etcd itself does not say.
    pub(crate) is_confidential: bool,
}

impl Call {
    /// A call without credentials, deadline or feature.
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
            login: Login::None,
            feature: None,
            require_leader: false,
            has_grpc: false,
            names_cluster: false,
            lease: 0,
            is_confidential: false,
        }
    }

    pub(crate) fn deadline(self, deadline: Deadline) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) fn login(self, login: Login) -> Self {
        Self { login, ..self }
    }
}

/// Whether a request may be sent again after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or twice has the same effect as once: again as often as the
    /// [`RetryPolicy`](crate::RetryPolicy) allows.
    Always,
    /// It writes: again only if the server definitely did nothing in the attempt before.
    IfUnsent,
}

/// Which credentials a call is sent with, if the client has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    /// User and password in each request.
    Basic,
    /// A token that was granted for them.
    Token,
}

/// A part of an API that a server may lack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// Every member carries it out, whichever is asked: no member may lack it.
    pub(crate) by_all_members: bool,
}

impl fmt::Debug for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
