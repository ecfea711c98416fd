use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use http::{StatusCode, header::CONTENT_ENCODING, response::Parts};

use crate::{
    error::{ErrorContext, ForeignStatus, UnexpectedKind, UnexpectedResponse},
    pipeline::{
        call::{Call, Repeat},
        protocol::Origin,
        terms::{ANY_MEMBER, Known, Terms},
    },
};

/// The maximum number of header fields of a response, and of bytes in them. etcd sends about ten fields.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 << 10;

/// Accepts or rejects responses by what earlier ones reported: the cluster's id, the store's index, the members' terms.
#[derive(Debug, Default)]
pub(crate) struct ResponseCheck {
    pub(crate) allow_cluster_change: bool,
    /// Whether a client must not read what is older than what was seen: what is seen is recorded since.
    records: AtomicBool,
    /// The cluster that responded first; 0 before.
    cluster: AtomicU64,
    /// The highest index of the store of v2 that a response reported, and the highest revision of that of v3.
    index: AtomicU64,
    revision: AtomicU64,
    /// The highest raft terms, by member.
    terms: Terms,
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
        self.record(&origin);
        if let Some(term) = origin.term {
            self.terms.raise(ANY_MEMBER, term);
        }
        Ok(origin)
    }

    /// Checks whether a response may come from this cluster.
    pub(crate) fn check_cluster(&self, found: u64, status: StatusCode) -> Result<(), Refused> {
        if found == 0 {
            return Ok(());
        }
        let expected = match self.cluster.load(Relaxed) {
            0 => match self.cluster.compare_exchange(0, found, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                // Another response was faster.
                Err(first) => first,
            },
            known => known,
        };
        if expected == found {
            return Ok(());
        }
        if !self.allow_cluster_change {
            return Err(Refused {
                reason: Reason::OtherCluster { expected, found },
                status,
            });
        }
        self.cluster.store(found, Relaxed);
        self.forget();
        Ok(())
    }

    /// Forgets what belongs to one store: another one begins.
    fn forget(&self) {
        self.index.store(0, Relaxed);
        self.revision.store(0, Relaxed);
        self.terms.clear();
    }

    /// Returns what the response to a call must reach. Read before the call is sent.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            cluster: self.cluster.load(Relaxed),
            index: self.index.load(Relaxed),
            revision: self.revision.load(Relaxed),
            terms: self.terms.known(),
        }
    }

    /// Checks a message that names its member: a member never goes back behind an entry that it has applied, so if its
    /// term went down, its store was recreated. Another member may lag behind and rightly shows less.
    pub(crate) fn accept_origin(
        &self,
        seen: &Seen,
        origin: &Origin,
        status: StatusCode,
    ) -> Result<(), Refused> {
        if let (Some(member), Some(term)) = (origin.member, origin.term) {
            self.accept_term(seen, member, term, status)?;
        }
        self.record(origin);
        Ok(())
    }

    /// Records from now on what responses report of the store: no read may be older.
    pub(crate) fn begin_recording(&self) {
        self.records.store(true, Relaxed);
    }

    fn record(&self, origin: &Origin) {
        if self.records.load(Relaxed) {
            self.index.fetch_max(origin.index.unwrap_or(0), Relaxed);
            self.revision
                .fetch_max(origin.revision.unwrap_or(0), Relaxed);
        }
    }

    /// Checks whether a response of the store of v3 is as new as what was seen before the call was sent.
    pub(crate) fn accept_revision(
        &self,
        seen: &Seen,
        origin: &Origin,
        status: StatusCode,
    ) -> Result<(), Refused> {
        let is_same = seen.cluster == self.cluster.load(Relaxed);
        match origin.revision {
            Some(revision) if revision < seen.revision && is_same => Err(Refused {
                reason: Reason::Stale {
                    what: "revision",
                    seen: seen.revision,
                    now: revision,
                },
                status,
            }),
            _ => Ok(()),
        }
    }

    fn accept_term(
        &self,
        seen: &Seen,
        member: u64,
        term: u64,
        status: StatusCode,
    ) -> Result<(), Refused> {
        let last = seen.terms.of(member);
        if term < last && seen.cluster == self.cluster.load(Relaxed) {
            if !self.allow_cluster_change {
                let reason = Reason::OtherStore { member, last, term };
                return Err(Refused { reason, status });
            }
            self.forget();
        } else if term == last {
            return Ok(());
        }
        self.terms.raise(member, term);
        self.terms.raise(ANY_MEMBER, term);
        Ok(())
    }

    /// Checks whether a response whose head tells this origin is of the store that was seen before, and as new as that if it
    /// `must_be_new`.
    pub(crate) fn accept_head(
        &self,
        call: &Call,
        must_be_new: bool,
        seen: &Seen,
        origin: &Origin,
        status: StatusCode,
    ) -> Result<(), Refused> {
        let checks_index = must_be_new && call.repeat == Repeat::Always;
        if !checks_index && !call.is_linearizable {
            return Ok(());
        }
        if call.is_linearizable
            && let Some(term) = origin.term
        {
            self.accept_term(seen, ANY_MEMBER, term, status)?;
        }
        match origin.index.filter(|_| checks_index) {
            // 0 means that the request was refused before it reached the store.
            Some(index)
                if index > 0
                    && index < seen.index
                    && seen.cluster == self.cluster.load(Relaxed) =>
            {
                Err(Refused {
                    reason: Reason::Stale {
                        what: "index",
                        seen: seen.index,
                        now: index,
                    },
                    status,
                })
            }
            _ => Ok(()),
        }
    }
}

/// A cluster, how far its stores were, and the terms of its members.
#[derive(Debug)]
pub(crate) struct Seen {
    cluster: u64,
    index: u64,
    revision: u64,
    terms: Known,
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
    OtherCluster {
        expected: u64,
        found: u64,
    },
    /// The term of this member went down.
    OtherStore {
        member: u64,
        last: u64,
        term: u64,
    },
    Stale {
        /// What tells it.
        what: &'static str,
        seen: u64,
        now: u64,
    },
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
            Reason::OtherCluster { .. } | Reason::OtherStore { .. } => true,
            Reason::Stale { .. } => false,
        }
    }

    /// Returns whether another endpoint may succeed.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        matches!(
            self.reason,
            Reason::OtherCluster { .. } | Reason::OtherStore { .. } | Reason::Stale { .. }
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
            Reason::OtherStore { member, last, term } => {
                let whose = match *member {
                    ANY_MEMBER => String::new(),
                    member => format!(" of member {member:x}"),
                };
                (
                    UnexpectedKind::ClusterChanged,
                    format!(
                        "the raft term{whose} is {term}, and was {last} before: was the cluster's data lost or restored? \
                         If so, set `allow_cluster_change`"
                    ),
                )
            }
            Reason::Stale { what, seen, now } => (
                UnexpectedKind::Stale,
                format!(
                    "the response is stale: the store's {what} is {now}, and was {seen} before"
                ),
            ),
        }
    }

    pub(crate) fn into_error(self, context: ErrorContext) -> UnexpectedResponse {
        let (kind, what) = self.describe();
        let outcome = ForeignStatus::of(self.status).outcome();
        UnexpectedResponse::of(context, what, outcome).with_kind(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_was_overtaken_on_its_way_is_none_of_a_recreated_store() {
        let check = ResponseCheck::default();
        let accept = |seen: &Seen, term| {
            let origin = Origin {
                member: Some(1),
                term: Some(term),
                ..Origin::default()
            };
            check.accept_origin(seen, &origin, StatusCode::OK).is_ok()
        };
        let before = check.seen();
        assert!(accept(&before, 5));
        // Its member may have sent it before the one that said 5.
        assert!(accept(&before, 4));
        let after = check.seen();
        assert!(!accept(&after, 4));
        assert!(accept(&after, 5));
    }
}
