use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, HeaderName},
    response::Parts,
};

use crate::{
    error::{ErrorContext, Outcome, UnexpectedAnswer, UnexpectedKind},
    operation::{Call, Repeat},
};

/// The most header fields that an answer may have, and the most bytes in them. etcd sends about ten.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 << 10;

const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");
const INDEX: HeaderName = HeaderName::from_static("x-etcd-index");
const TERM: HeaderName = HeaderName::from_static("x-raft-term");

/// Which answers a client accepts, by what those before have told: which cluster it is, and how far its store has got.
#[derive(Debug, Default)]
pub(crate) struct ResponseCheck {
    pub(crate) allow_cluster_change: bool,
    pub(crate) reject_stale_reads: bool,
    /// The cluster that answered first; 0 is none yet.
    cluster: AtomicU64,
    /// The highest index of the v2 store that an answer told.
    index: AtomicU64,
}

impl ResponseCheck {
    /// Whether an answer that begins like this may be looked at.
    pub(crate) fn accept(&self, call: &Call, head: &Parts) -> Result<(), Refused> {
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
        let mut cluster = None;
        let mut encoding = None;
        for (name, value) in &head.headers {
            size += name.as_str().len() + value.len();
            if name == CLUSTER_ID {
                cluster = hexadecimal(value);
            } else if name == CONTENT_ENCODING {
                encoding = Some(value.as_bytes());
            }
        }
        if size > MAX_HEAD {
            return refuse(Reason::Head);
        }
        // This client asks for none, and unpacks none: what cannot be unpacked cannot fill the memory.
        if let Some(encoding) = encoding
            && !encoding.eq_ignore_ascii_case(b"identity")
        {
            let encoding = String::from_utf8_lossy(encoding).into_owned();
            return refuse(Reason::Encoded(encoding));
        }
        if let Some(found) = cluster {
            self.check_cluster(found, head.status)?;
        }
        if self.reject_stale_reads && is_keys(call) {
            self.index
                .fetch_max(number(&head.headers, INDEX).unwrap_or(0), Relaxed);
        }
        Ok(())
    }

    /// Whether an answer may come from this cluster.
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

    /// What the answer to this call must not fall behind: to be asked before the call is sent.
    pub(crate) fn seen_before(&self, call: &Call) -> Option<Seen> {
        let guarded = self.reject_stale_reads && call.repeat == Repeat::Always && is_keys(call);
        guarded.then(|| Seen {
            cluster: self.cluster.load(Relaxed),
            index: self.index.load(Relaxed),
        })
    }

    /// Whether an answer is as new as those that the caller may have seen before it asked.
    pub(crate) fn accept_index(
        &self,
        seen: &Seen,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), Refused> {
        match number(headers, INDEX) {
            // 0: it was refused before it got to the store.
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
                    status,
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

/// An answer that is not accepted, and why.
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

    /// Asking again would only bring the same.
    pub(crate) fn is_final(&self) -> bool {
        match self.reason {
            // A proxy that has nobody behind it may pack its page as it likes.
            Reason::Head | Reason::Encoded(_) => !self.status.is_server_error(),
            Reason::OtherCluster { .. } => true,
            Reason::Stale { .. } => false,
        }
    }

    /// Another endpoint might do better.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        matches!(
            self.reason,
            Reason::OtherCluster { .. } | Reason::Stale { .. }
        )
    }

    pub(crate) fn into_error(self, context: ErrorContext) -> UnexpectedAnswer {
        let (kind, what) = match self.reason {
            Reason::Head => (
                UnexpectedKind::Other,
                format!(
                    "the answer has more than {MAX_HEADERS} headers, or {MAX_HEAD} bytes of them"
                ),
            ),
            Reason::Encoded(encoding) => (
                UnexpectedKind::Other,
                format!("the answer is encoded ({encoding:?}), which this client never asks for"),
            ),
            Reason::OtherCluster { expected, found } => (
                UnexpectedKind::ClusterChanged,
                format!(
                    "the answer is from the cluster {found:016x}, and those before were from {expected:016x}: \
                     is an endpoint wrong, or was the cluster made anew? If that is meant, `allow_cluster_change`"
                ),
            ),
            Reason::Stale { seen, index } => (
                UnexpectedKind::Stale,
                format!(
                    "the answer is stale: the store's index is {index} there, and was {seen} already"
                ),
            ),
        };
        let outcome = if self.status.is_client_error() || self.status.is_redirection() {
            Outcome::Rejected
        } else {
            Outcome::Unknown
        };
        UnexpectedAnswer::new(context, what, outcome).with_kind(kind)
    }
}

/// The raft term that an answer is from.
pub(crate) fn term(headers: &HeaderMap) -> Option<u64> {
    number(headers, TERM)
}

fn hexadecimal(value: &HeaderValue) -> Option<u64> {
    u64::from_str_radix(value.to_str().ok()?, 16).ok()
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Whether a call's answer tells the v2 store's index.
fn is_keys(call: &Call) -> bool {
    let path = call.target.path();
    path == "/v2/keys" || path.starts_with("/v2/keys/")
}
