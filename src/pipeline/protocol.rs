use std::fmt;

use http::{HeaderMap, HeaderValue};

use crate::{
    endpoints::wire::Wire,
    error::Refusal,
    pipeline::{
        answer::{Reply, Verdict},
        call::Call,
        exchange::Exchange,
    },
};

/// The part of one of etcd's APIs that the pipeline does not know: headers and the meaning of responses.
pub(crate) trait Protocol: fmt::Debug + Sync {
    /// Adds the call's headers to a request: credentials, a required leader, the deadline.
    fn headers(&self, call: &Call, wire: Wire, credentials: Shown<'_>, headers: &mut HeaderMap);

    /// Returns what the head of a response says about the server.
    fn origin(&self, _headers: &HeaderMap) -> Origin {
        Origin::default()
    }

    /// Returns what a complete response means. This is the only place that parses it: the verdict has the result.
    fn classify(&self, call: &Call, wire: Wire, reply: &Reply) -> Verdict;

    /// Returns a request for a member's status, if this protocol has more than one wire: the response shows which of them the
    /// member's endpoint has.
    fn status_request(&self) -> Option<Box<dyn Exchange>> {
        None
    }

    /// Returns what to do about a refusal, if etcd's message does not say so.
    fn hint(&self, _refusal: &Refusal, _has_credentials: bool) -> Option<&'static str> {
        None
    }
}

/// Paths outside of etcd's APIs, such as `/version` and `/metrics`, whose responses have only a status.
#[derive(Debug)]
pub(crate) struct Plain;

impl Protocol for Plain {
    fn headers(&self, _: &Call, _: Wire, _: Shown<'_>, _: &mut HeaderMap) {}

    fn classify(&self, _: &Call, _: Wire, reply: &Reply) -> Verdict {
        if reply.status.is_success() {
            Verdict::Success {
                origin: Origin::default(),
            }
        } else {
            Verdict::FOREIGN
        }
    }
}

/// The credentials that may be sent to an endpoint.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shown<'a> {
    /// The user and password as an `Authorization` header.
    pub(crate) basic: Option<&'a HeaderValue>,
    pub(crate) token: Option<&'a HeaderValue>,
}

/// What a response says about its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) cluster: Option<u64>,
    /// The member, which v2 does not tell.
    pub(crate) member: Option<u64>,
    /// The index of the store of v2.
    pub(crate) index: Option<u64>,
    /// The revision of the store of v3.
    pub(crate) revision: Option<u64>,
    /// The raft term of the last entry that the member has applied.
    pub(crate) term: Option<u64>,
}
