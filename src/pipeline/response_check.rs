use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{StatusCode, header::CONTENT_ENCODING, response::Parts};

use crate::{
    error::{ErrorContext, Outcome, UnexpectedAnswer, UnexpectedKind},
    pipeline::{
        answer::Reply,
        call::{Call, Repeat},
        protocol::Origin,
        redirect::is_unapplied_redirect,
    },
};

/// The maximum number of header fields of a response, and of bytes in them. etcd sends about ten fields.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 << 10;

/// Accepts or rejects responses by what earlier ones reported: the cluster's id and the store's index.
#[derive(Debug, Default)]
pub(crate) struct ResponseCheck {
    pub(crate) allow_cluster_change: bool,
    pub(crate) reject_stale_reads: bool,
    /// The cluster that responded first; 0 before.
    cluster: AtomicU64,
    /// The highest index of the store that a response reported.
    index: AtomicU64,
}

impl ResponseCheck {
    /// Checks whether a response with this head may be read, and returns what the head says about its server.
    pub(crate) fn accept(&self, call: &Call, head: &Parts) -> Result<Origin, Refused> {
        let refuse = |reason| {
            Err(Refused {
                reason,
                status: head.status,
            })
        };
        if head.headers.len() > MAX_HEADERS {
            return refuse(Reason::Head);
        }
        let mut size = 0;
        let mut encoding = None;
        for (name, value) in &head.headers {
            size += name.as_str().len() + value.len();
            if name == CONTENT_ENCODING {
                encoding = Some(value.as_bytes());
            }
        }
        if size > MAX_HEAD {
            return refuse(Reason::Head);
        }
        // The client neither requests nor decodes an encoding: a body that is not decompressed cannot fill the memory.
        if let Some(encoding) = encoding
            && !encoding.eq_ignore_ascii_case(b"identity")
        {
            let encoding = String::from_utf8_lossy(encoding).into_owned();
            return refuse(Reason::Encoded(encoding));
        }
        let origin = call.protocol.origin(&head.headers);
        if let Some(found) = origin.cluster {
            self.check_cluster(found, head.status)?;
        }
        if self.reject_stale_reads {
            self.index.fetch_max(origin.index.unwrap_or(0), Relaxed);
        }
        Ok(origin)
    }

    /// Checks whether a response may come from this cluster.
    pub(crate) fn check_cluster(&self, found: u64, status: StatusCode) -> Result<(), Refused> {
        if found == 0 || self.cluster.load(Relaxed) == found {
            return Ok(());
        }
        match self.cluster.compare_exchange(0, found, Relaxed, Relaxed) {
            Ok(_) => Ok(()),
            Err(expected) if expected == found => Ok(()),
            Err(_) if self.allow_cluster_change => {
                self.cluster.store(found, Relaxed);
                self.index.store(0, Relaxed);
                Ok(())
            }
            Err(expected) => Err(Refused {
                reason: Reason::OtherCluster { expected, found },
                status,
            }),
        }
    }

    /// Returns the index that the response to a call must reach. Read before the call is sent.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            cluster: self.cluster.load(Relaxed),
            index: self.index.load(Relaxed),
        }
    }

    /// Checks whether a read is at least as new as what the caller may have seen before.
    pub(crate) fn accept_index(
        &self,
        call: &Call,
        seen: &Seen,
        reply: &Reply,
    ) -> Result<(), Refused> {
        if !self.reject_stale_reads || call.repeat != Repeat::Always {
            return Ok(());
        }
        match call.protocol.origin(&reply.headers).index {
            // 0 means that the request was refused before it reached the store.
            Some(index)
                if index > 0
                    && index < seen.index
                    && seen.cluster == self.cluster.load(Relaxed) =>
            {
                Err(Refused {
                    reason: Reason::Stale {
                        seen: seen.index,
                        index,
                    },
                    status: reply.status,
                })
            }
            _ => Ok(()),
        }
    }
}

/// A cluster, and an index of its store.
pub(crate) struct Seen {
    cluster: u64,
    index: u64,
}

/// Why a response is not accepted.
#[derive(Debug)]
pub(crate) struct Refused {
    reason: Reason,
    status: StatusCode,
}

#[derive(Debug)]
enum Reason {
    Head,
    Encoded(String),
    OtherCluster { expected: u64, found: u64 },
    Stale { seen: u64, index: u64 },
}

impl Refused {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Another attempt would fail in the same way.
    pub(crate) fn is_final(&self) -> bool {
        match self.reason {
            // A proxy without a server may compress its error page.
            Reason::Head | Reason::Encoded(_) => !self.status.is_server_error(),
            Reason::OtherCluster { .. } => true,
            Reason::Stale { .. } => false,
        }
    }

    /// Returns whether another endpoint may succeed.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        matches!(
            self.reason,
            Reason::OtherCluster { .. } | Reason::Stale { .. }
        )
    }

    /// What is wrong.
    pub(crate) fn what(&self) -> String {
        self.describe().1
    }

    fn describe(&self) -> (UnexpectedKind, String) {
        match &self.reason {
            Reason::Head => (
                UnexpectedKind::Foreign,
                format!(
                    "the response has more than {MAX_HEADERS} headers, or {MAX_HEAD} bytes of them"
                ),
            ),
            Reason::Encoded(encoding) => (
                UnexpectedKind::Foreign,
                format!("the response is encoded ({encoding:?}), which this client never requests"),
            ),
            Reason::OtherCluster { expected, found } => (
                UnexpectedKind::ClusterChanged,
                format!(
                    "the response is from the cluster {found:x}, and those before were from {expected:x}: \
                     is an endpoint wrong, or was the cluster replaced? If so, set `allow_cluster_change`"
                ),
            ),
            Reason::Stale { seen, index } => (
                UnexpectedKind::Stale,
                format!(
                    "the response is stale: the store's index is {index}, and was {seen} before"
                ),
            ),
        }
    }

    pub(crate) fn into_error(self, context: ErrorContext) -> UnexpectedAnswer {
        let (kind, what) = self.describe();
        let outcome = if self.status.is_client_error() || is_unapplied_redirect(self.status) {
            Outcome::Rejected
        } else {
            Outcome::Unknown
        };
        UnexpectedAnswer::new(context, what, outcome).with_kind(kind)
    }
}
