use std::{error::Error as StdError, fmt, sync::Arc};

use http::StatusCode;

use crate::endpoints::endpoint::Endpoint;
use crate::error::{ErrorContext, Outcome};

/// An error in etcd's own words.
///
/// Kind and message are the same whatever carried the request. The codes and messages of the v2 API:
/// <https://etcd.io/docs/v2.3/errorcode/>.
#[derive(Clone)]
pub struct EtcdError {
    pub(super) context: ErrorContext,
    pub(super) refusal: Arc<Refusal>,
}

/// What etcd refused a request with, and what it means. Each protocol makes it of its own answers.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) api: Api,
    pub(crate) kind: EtcdErrorKind,
    pub(crate) code: Option<EtcdCode>,
    pub(crate) message: String,
    /// What exactly it was about; empty where etcd does not say.
    pub(crate) cause: String,
    pub(crate) index: Option<u64>,
    pub(crate) compact_revision: Option<i64>,
    pub(crate) http_status: Option<StatusCode>,
    pub(crate) outcome: Outcome,
    /// Asking again may bring something else, if asking again does no harm.
    pub(crate) is_retryable: bool,
    /// The server cannot serve at the moment: another one, or this one later, may do better.
    pub(crate) is_unavailable: bool,
    /// Another endpoint might do better.
    pub(crate) is_endpoint_fault: bool,
    /// What to do about it.
    pub(crate) hint: Option<&'static str>,
}

/// One of etcd's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// Keys in a tree of directories: `/v2`.
    V2,
    /// Keys and values with revisions, leases, transactions: `/v3`, and gRPC.
    V3,
}

/// etcd's number for an error. It says less than [`EtcdErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtcdCode {
    /// The v2 API's `errorCode`, from 100 on.
    V2(u32),
    /// gRPC's status code, from 1 to 16: the v3 API's, on any wire.
    Grpc(u8),
}

impl EtcdCode {
    /// Returns the bare number.
    pub fn number(self) -> u32 {
        match self {
            Self::V2(code) => code,
            Self::Grpc(code) => code.into(),
        }
    }
}

impl fmt::Display for EtcdCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl EtcdError {
    pub(crate) fn new(context: ErrorContext, refusal: Refusal) -> Self {
        let refusal = Arc::new(refusal);
        Self { context, refusal }
    }

    /// The API that refused the request.
    pub fn api(&self) -> Api {
        self.refusal.api
    }

    /// The kind of error.
    pub fn kind(&self) -> EtcdErrorKind {
        self.refusal.kind
    }

    /// etcd's number for the error. v2's members, auth and stats endpoints send none.
    pub fn code(&self) -> Option<EtcdCode> {
        self.refusal.code
    }

    /// etcd's words for the kind of error.
    pub fn message(&self) -> &str {
        &self.refusal.message
    }

    /// What exactly it was about: a key, a field, the two values that differ. Empty where etcd does not say.
    pub fn cause(&self) -> &str {
        &self.refusal.cause
    }

    /// The store's index when etcd refused the request (v2); 0 if the request did not reach the store.
    pub fn index(&self) -> Option<u64> {
        self.refusal.index
    }

    /// The first revision that a compacted history still has, where a watch was told so (v3).
    pub fn compact_revision(&self) -> Option<i64> {
        self.refusal.compact_revision
    }

    /// The HTTP status that came with it; `None` if it came by gRPC.
    pub fn http_status(&self) -> Option<StatusCode> {
        self.refusal.http_status
    }

    /// The endpoint that refused the request.
    pub fn endpoint(&self) -> &Endpoint {
        &self.context.endpoint
    }
}

impl fmt::Display for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refusal = &*self.refusal;
        write!(f, "{}: {}", self.context, refusal.message)?;
        if !refusal.cause.is_empty() {
            write!(f, ": {}", refusal.cause)?;
        }
        match (refusal.code, refusal.index, refusal.http_status) {
            (Some(code), Some(index), _) => write!(f, " (code {code}, index {index})"),
            (Some(code), None, _) => write!(f, " (code {code})"),
            (None, _, Some(status)) => write!(f, " (status {})", status.as_u16()),
            (None, _, None) => Ok(()),
        }?;
        if let Some(hint) = refusal.hint {
            write!(f, ": {hint}")?;
        }
        self.context.write_others(f)
    }
}

impl fmt::Debug for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdError")
            .field("kind", &self.refusal.kind)
            .field("code", &self.refusal.code)
            .field("message", &self.refusal.message)
            .field("cause", &self.refusal.cause)
            .field("index", &self.refusal.index)
            .field("http_status", &self.refusal.http_status)
            .field("context", &self.context)
            .finish()
    }
}

impl StdError for EtcdError {}

/// The kind of error that etcd refused a request with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtcdErrorKind {
    /// 100: the key does not exist; the cause is the first prefix of its path that does not. In v3, a put that was to
    /// keep the value or the lease of a key that does not exist.
    KeyNotFound,
    /// 101: a compare-and-swap or compare-and-delete found something else; the cause has both.
    CompareFailed,
    /// 102: the key is a directory.
    NotAFile,
    /// 104: a segment of the path is a file.
    NotADirectory,
    /// 105: the key exists already.
    AlreadyExists,
    /// 107: `/` cannot be written, created or deleted.
    RootReadOnly,
    /// 108: the directory has children, hidden ones included.
    DirectoryNotEmpty,
    /// 110, and any 401 without a code: credentials are missing, wrong, or not enough.
    Unauthorized,
    /// 201: a comparison with an empty value.
    PreviousValueRequired,
    /// 202: the TTL is not a number.
    InvalidTtl,
    /// 203: an index is not a number.
    InvalidIndex,
    /// 209: a parameter does not have one of its values.
    InvalidField,
    /// 210: the form cannot be parsed, or is larger than 10 MiB.
    InvalidForm,
    /// 211: a refresh with a value.
    ValueOnRefresh,
    /// 212: a refresh without a TTL.
    TtlRequiredOnRefresh,
    /// 300: raft failed, mostly for want of a quorum: the write may still be committed.
    RaftInternal,
    /// 301, and a 503 without a code: there is no leader at the moment.
    DuringLeaderElection,
    /// 400: the server restored a snapshot under a watch.
    WatcherCleared,
    /// 401: the events asked for are no longer in the server's history of 1,000.
    HistoryCleared,
    /// A 400 or 415 without a code: the members or auth endpoint did not understand. In v3, an argument that etcd refuses
    /// for a reason without a kind of its own.
    BadRequest,
    /// A 403 without a code: not the leader (stats), or not to be changed (auth).
    Forbidden,
    /// A 404 without a code: no such member, user or role. In v3, gRPC's code 5 for a reason without a kind of its own.
    NotFound,
    /// A 409 without a code: it exists, it is switched on, it is granted, already.
    Conflict,
    /// A 410 without a code: the member was removed before.
    Gone,
    /// v3: the revision asked for was compacted away: what was then is no longer known.
    Compacted,
    /// v3: the revision asked for is not there yet.
    FutureRevision,
    /// v3: more than 128 comparisons or operations in a transaction, unless the server is set otherwise.
    TooManyOperations,
    /// v3: a transaction would write a key twice.
    DuplicateKey,
    /// v3: the request is larger than the server takes: 1.5 MiB, unless it is set otherwise.
    RequestTooLarge,
    /// v3: the answer is larger than an old server's gateway can pass on. What it answers was carried out.
    AnswerTooLarge,
    /// v3: the database has reached its quota; reads and deletes still work.
    NoSpace,
    /// v3: the server cannot keep up.
    TooManyRequests,
    /// v3: the lease does not exist: it expired, was revoked, or never was.
    LeaseNotFound,
    /// v3: there is a lease with this id.
    LeaseExists,
    /// v3: a time to live of more than 9,000,000,000 seconds.
    LeaseTtlTooLarge,
    /// v3: the user may not do this.
    PermissionDenied,
    /// v3: the user does not exist, or has another password, or none.
    AuthenticationFailed,
    /// v3: a watch of a range that no key is in.
    EmptyWatchRange,
    /// v3: two watches of one request have the same id.
    DuplicateWatchId,
    /// v3: the token is not, or no longer, good.
    InvalidAuthToken,
    /// v3: users or roles were changed since the token was given.
    AuthRevisionOld,
    /// v3: no token was sent, and one is needed; or a user's name is empty.
    UserNameEmpty,
    /// v3: authentication is off.
    AuthNotEnabled,
    /// v3: a change of users or roles that would lock everybody out, or makes no sense.
    InvalidAuthManagement,
    /// v3: authentication needs a user `root` that has the role `root`.
    RootUserMissing,
    /// v3: there is a user of this name.
    UserExists,
    /// v3: there is no user of this name.
    UserNotFound,
    /// v3: there is a role of this name.
    RoleExists,
    /// v3: there is no role of this name.
    RoleNotFound,
    /// v3: the user does not have this role.
    RoleNotGranted,
    /// v3: the role does not have this permission.
    PermissionNotGranted,
    /// v3: there is no member of this id.
    MemberNotFound,
    /// v3: there is a member of this id, or with one of these URLs.
    MemberExists,
    /// v3: only a learner can be promoted.
    MemberNotALearner,
    /// v3: the learner has not caught up with the leader yet.
    LearnerNotReady,
    /// v3: the cluster has as many learners as it may: one, unless it is set otherwise.
    TooManyLearners,
    /// v3: a learner does not do this.
    NotSupportedByLearner,
    /// v3: too few members are up for a change of the membership.
    NotEnoughStartedMembers,
    /// v3: not all members are connected, so that the membership is not changed.
    UnhealthyCluster,
    /// v3: the request is for another cluster.
    ClusterIdMismatch,
    /// v3: a member of the cluster is too old for this.
    NotCapable,
    /// v3: there is no leader at the moment.
    NoLeader,
    /// v3: the leader changed meanwhile: a write may have been carried out.
    LeaderChanged,
    /// v3: only the leader does this, and the member that was asked is not.
    NotLeader,
    /// v3: the member cannot become the leader.
    BadLeaderTransferee,
    /// v3: the server ended meanwhile: a write may have been carried out.
    ServerStopped,
    /// v3: the server, or the cluster, did not manage in time: a write may still be carried out.
    RequestTimedOut,
    /// v3: the request was cancelled on its way.
    Canceled,
    /// v3: the alarm `CORRUPT` is on: the members' data differ.
    Corrupt,
    /// v3: nobody leads this election.
    ElectionWithoutLeader,
    /// v3: somebody else leads this election, or nobody.
    NotElectionLeader,
    /// v3: the cluster is being downgraded.
    DowngradeInProgress,
    /// v3: the cluster is not being downgraded.
    NoDowngradeInProgress,
    /// v3: the cluster cannot be downgraded to this version.
    InvalidDowngradeTarget,
    /// A code or a status that this client has no name for.
    Other(u32),
}

impl EtcdErrorKind {
    /// The token is missing, no longer good, or older than the last change of users and roles.
    pub(crate) fn is_token_error(self) -> bool {
        matches!(
            self,
            Self::InvalidAuthToken | Self::AuthRevisionOld | Self::UserNameEmpty
        )
    }
}
