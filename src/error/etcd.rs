use std::{error::Error as StdError, fmt, sync::Arc};

use http::StatusCode;

use crate::{
    base::endpoint::Endpoint,
    error::{ErrorContext, Outcome},
};

/// An error response from etcd.
///
/// Kind and message do not depend on the wire. The codes and messages of the v2 API:
/// <https://etcd.io/docs/v2.3/errorcode/>.
#[derive(Clone)]
pub struct EtcdError {
    pub(super) context: ErrorContext,
    pub(super) refusal: Arc<Refusal>,
}

/// A refusal by etcd, and what it means. Each protocol creates it from its own responses.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) api: Api,
    pub(crate) kind: EtcdErrorKind,
    pub(crate) code: Option<EtcdCode>,
    pub(crate) message: String,
    /// What exactly it is about. Empty if etcd does not report it.
    pub(crate) cause: String,
    pub(crate) index: Option<u64>,
    pub(crate) compact_revision: Option<i64>,
    pub(crate) http_status: Option<StatusCode>,
    pub(crate) outcome: Outcome,
    /// Another attempt may succeed, if repeating the request is safe.
    pub(crate) is_retryable: bool,
    /// The server cannot serve at the moment: another server may, or this one later.
    pub(crate) is_unavailable: bool,
    /// Another endpoint may succeed.
    pub(crate) is_endpoint_fault: bool,
    /// This member does not serve the call, so nothing was done, and another one may.
    pub(crate) is_not_served: bool,
    /// The message may quote the request, and so a key or a secret.
    pub(crate) quotes_request: bool,
    /// What to do about the refusal.
    pub(crate) hint: Option<&'static str>,
}

/// One of etcd's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// The v2 API: keys in a tree of directories, below `/v2`.
    V2,
    /// The v3 API: keys and values with revisions, leases and transactions, below `/v3` and over gRPC.
    V3,
}

impl Api {
    /// Returns the API that a path belongs to.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        [(Self::V2, "/v2"), (Self::V3, "/v3")]
            .into_iter()
            .find_map(|(api, root)| {
                let below = path.strip_prefix(root)?;
                (below.is_empty() || below.starts_with('/')).then_some(api)
            })
    }
}

/// etcd's number for an error. It is less specific than [`EtcdErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtcdCode {
    /// The v2 API's `errorCode`, from 100 on.
    V2(u32),
    /// The v3 API's gRPC status code, from 1 to 16, on any wire.
    Grpc(u8),
}

impl EtcdCode {
    /// Returns the number.
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
    pub(crate) fn of(context: ErrorContext, refusal: Refusal) -> Self {
        let refusal = Arc::new(refusal);
        Self { context, refusal }
    }

    /// Sets the cause. For your own tests.
    pub fn with_cause(mut self, cause: impl AsRef<str>) -> Self {
        self.refusal().cause = cause.as_ref().to_owned();
        self
    }

    /// Sets the store's index (v2). For your own tests.
    pub fn with_index(mut self, index: u64) -> Self {
        self.refusal().index = Some(index);
        self
    }

    /// Sets the first revision that was not compacted (v3). For your own tests.
    pub fn with_compact_revision(mut self, revision: i64) -> Self {
        self.refusal().compact_revision = Some(revision);
        self
    }

    /// The error's own fields, as long as it has no clone.
    fn refusal(&mut self) -> &mut Refusal {
        Arc::make_mut(&mut self.refusal)
    }

    /// Returns the API that refused the request.
    pub fn api(&self) -> Api {
        self.refusal.api
    }

    /// Returns the kind of error.
    pub fn kind(&self) -> EtcdErrorKind {
        self.refusal.kind
    }

    /// Returns etcd's number for the error. v2's members, auth and stats endpoints send none.
    pub fn code(&self) -> Option<EtcdCode> {
        self.refusal.code
    }

    /// Returns etcd's message, without the cause.
    pub fn message(&self) -> &str {
        &self.refusal.message
    }

    /// Returns the cause: a key, a field, the two values that differ. Empty if etcd does not report it.
    pub fn cause(&self) -> &str {
        &self.refusal.cause
    }

    /// Returns the store's index when etcd refused the request (v2); 0 if the request did not reach the store.
    pub fn index(&self) -> Option<u64> {
        self.refusal.index
    }

    /// Returns the first revision that was not compacted, if a watch reported it (v3).
    pub fn compact_revision(&self) -> Option<i64> {
        self.refusal.compact_revision
    }

    /// Returns the HTTP status of the response; `None` over gRPC.
    pub fn http_status(&self) -> Option<StatusCode> {
        self.refusal.http_status
    }

    /// Returns the endpoint that refused the request.
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

impl StdError for EtcdError {}

/// The kind of error that etcd refused a request with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtcdErrorKind {
    /// 100: the key does not exist; the cause is the first prefix of its path that does not. In v3, a put was to keep
    /// the value or the lease of a key that does not exist.
    KeyNotFound,
    /// 101: the condition of a compare-and-swap or compare-and-delete does not hold; the cause shows both values.
    CompareFailed,
    /// 102: the key is a directory.
    NotAFile,
    /// 104: a segment of the path is a file.
    NotADirectory,
    /// 105: the key already exists.
    AlreadyExists,
    /// 107: `/` cannot be written, created or deleted.
    RootReadOnly,
    /// 108: the directory has children, hidden ones included.
    DirectoryNotEmpty,
    /// 110, and any 401 without a code: credentials are missing, wrong, or insufficient.
    Unauthorized,
    /// 201: a comparison with an empty value.
    PreviousValueRequired,
    /// 202: the TTL is not a number.
    InvalidTtl,
    /// 203: an index is not a number.
    InvalidIndex,
    /// 209: a parameter has an invalid value.
    InvalidField,
    /// 210: the form cannot be parsed, or is larger than 10 MiB.
    InvalidForm,
    /// 211: a refresh with a value.
    ValueOnRefresh,
    /// 212: a refresh without a TTL.
    TtlRequiredOnRefresh,
    /// 300: raft failed, usually for lack of a quorum: the write may still be committed.
    RaftInternal,
    /// 301, and a 503 without a code: there is currently no leader.
    DuringLeaderElection,
    /// 400: the server restored a snapshot under a watch.
    WatcherCleared,
    /// 401: the requested events are no longer in the server's history of 1,000.
    HistoryCleared,
    /// A 400 or 415 without a code: the members or auth endpoint rejected the request as malformed. In v3, etcd
    /// rejected an argument for a reason without a kind of its own.
    BadRequest,
    /// A 403 without a code: not the leader (stats), or a user or role that cannot be changed (auth).
    Forbidden,
    /// A 404 without a code: no such member, user or role. In v3, gRPC's code 5 for a reason without a kind of its own.
    NotFound,
    /// A 409 without a code: it already exists, is already enabled, or is already granted.
    Conflict,
    /// A 410 without a code: the member was removed before.
    Gone,
    /// v3: the requested revision was compacted.
    Compacted,
    /// v3: the requested revision does not exist yet.
    FutureRevision,
    /// v3: a transaction has more comparisons or operations than the server allows. Its limit defaults to 128.
    TooManyOperations,
    /// v3: a transaction would write a key twice.
    DuplicateKey,
    /// v3: the request is larger than the server allows. Its limit defaults to 1.5 MiB.
    RequestTooLarge,
    /// v3: the response is larger than an old server's gateway can forward. The request was applied.
    ResponseTooLarge,
    /// v3: the database has reached its quota; reads and deletes still work.
    NoSpace,
    /// v3: the server cannot keep up.
    TooManyRequests,
    /// v3: the lease does not exist: it expired, was revoked, or never was.
    LeaseNotFound,
    /// v3: a lease with this id exists.
    LeaseExists,
    /// v3: a time to live of more than 9,000,000,000 seconds.
    LeaseTtlTooLarge,
    /// v3: the user does not have the permission.
    PermissionDenied,
    /// v3: the user does not exist, or the password is wrong, or the user has none.
    AuthenticationFailed,
    /// v3: a watch of an empty range.
    EmptyWatchRange,
    /// v3: two watches of one request have the same id.
    DuplicateWatchId,
    /// v3: the token is invalid or has expired.
    InvalidAuthToken,
    /// v3: users or roles were changed since the token was given.
    AuthRevisionOld,
    /// v3: no token was sent and one is required, or the name of a user is empty.
    UserNameEmpty,
    /// v3: authentication is disabled.
    AuthNotEnabled,
    /// v3: a change of users or roles that is invalid, or that would lock out every user.
    InvalidAuthManagement,
    /// v3: authentication requires a user `root` with the role `root`.
    RootUserMissing,
    /// v3: a user with this name exists.
    UserExists,
    /// v3: no user has this name.
    UserNotFound,
    /// v3: a role with this name exists.
    RoleExists,
    /// v3: no role has this name.
    RoleNotFound,
    /// v3: the user does not have this role.
    RoleNotGranted,
    /// v3: the role does not have this permission.
    PermissionNotGranted,
    /// v3: no member has this id.
    MemberNotFound,
    /// v3: a member with this id, or with one of these URLs, exists.
    MemberExists,
    /// v3: only a learner can be promoted.
    MemberNotALearner,
    /// v3: the learner has not caught up with the leader yet.
    LearnerNotReady,
    /// v3: the cluster has as many learners as it allows. The limit defaults to one.
    TooManyLearners,
    /// v3: a learner does not support this.
    NotSupportedByLearner,
    /// v3: too few members are up for a change of the membership.
    NotEnoughStartedMembers,
    /// v3: not all members are connected, so the membership cannot change.
    UnhealthyCluster,
    /// v3: the request is for another cluster.
    ClusterIdMismatch,
    /// v3: a member of the cluster is too old for this.
    NotCapable,
    /// v3: there is currently no leader.
    NoLeader,
    /// v3: the leader changed during the request: a write may have been applied.
    LeaderChanged,
    /// v3: only the leader supports this, and the contacted member is not the leader.
    NotLeader,
    /// v3: the member cannot become the leader.
    BadLeaderTransferee,
    /// v3: the server stopped during the request: a write may have been applied.
    ServerStopped,
    /// v3: the server or the cluster did not complete the request in time: a write may still be applied.
    RequestTimedOut,
    /// v3: the request was canceled.
    Canceled,
    /// v3: the alarm `CORRUPT` is on: the members' data differ.
    Corrupt,
    /// v3: the election has no leader.
    ElectionWithoutLeader,
    /// v3: another candidate leads this election, or it has no leader.
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
    /// Returns whether the token is missing, invalid, expired, or older than the last change of users and roles.
    pub(crate) fn is_token_error(self) -> bool {
        matches!(
            self,
            Self::InvalidAuthToken | Self::AuthRevisionOld | Self::UserNameEmpty
        )
    }
}
