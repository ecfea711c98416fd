use std::fmt;

use http::{HeaderMap, HeaderValue};

use crate::{
    endpoints::wire::Wire,
    error::Refusal,
    pipeline::{
        answer::{Reply, Verdict},
        call::Call,
    },
};

/// How one of etcd's APIs spells on the wire what the pipeline leaves open.
pub(crate) trait Protocol: fmt::Debug + Sync {
    /// Adds the call's own headers to a request: credentials, a required leader, the deadline.
    fn headers(&self, call: &Call, wire: Wire, credentials: Shown<'_>, headers: &mut HeaderMap);

    /// Returns what the head of an answer tells about the server.
    fn origin(&self, _headers: &HeaderMap) -> Origin {
        Origin::default()
    }

    /// Returns what a whole answer means. It is parsed here, once: what the answer says is in the verdict.
    fn classify(&self, call: &Call, wire: Wire, reply: &Reply) -> Verdict;

    /// Returns what to do about a refusal, where etcd's own words do not say so.
    fn hint(&self, _refusal: &Refusal, _has_credentials: bool) -> Option<&'static str> {
        None
    }
}

/// No API of etcd's: a status is all that an answer says. For `/version`, `/metrics` and the like.
#[derive(Debug)]
pub(crate) struct Plain;

impl Protocol for Plain {
    fn headers(&self, _: &Call, _: Wire, _: Shown<'_>, _: &mut HeaderMap) {}

    fn classify(&self, _: &Call, _: Wire, reply: &Reply) -> Verdict {
        if reply.status.is_success() {
            Verdict::Success { cluster: None }
        } else {
            Verdict::Foreign
        }
    }
}

/// The credentials that may be shown to an endpoint.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shown<'a> {
    /// User and password as an `Authorization` header.
    pub(crate) basic: Option<&'a HeaderValue>,
    pub(crate) token: Option<&'a HeaderValue>,
}

/// What the head of an answer tells about the server that sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) cluster: Option<u64>,
    /// The index of the store that the call reads or writes.
    pub(crate) index: Option<u64>,
    pub(crate) term: Option<u64>,
}
