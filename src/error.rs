use std::{error::Error as StdError, fmt, time::Duration};

use etcd_transport::{TransportError, TransportErrorKind};
use http::StatusCode;

use crate::{Call, Endpoint, credentials::is_v2, v3::refusal};

/// The result of an etcd operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// The variant says who said no; [`outcome`](Self::outcome) says whether a write may have been carried out all the same;
/// the `is_…` predicates answer what programs ask most. `Display` gives the operation, the endpoint and the reason;
/// [`source`](StdError::source) goes one layer down where there is one.
///
/// ```
/// # use etcd_http::{Client, Error};
/// use etcd_http::Outcome;
///
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
/// match client.v2().create("/leader", "me").await {
///     Ok(_) => println!("mine"),
///     Err(error) if error.is_already_exists() => println!("somebody else's"),
///     Err(error) if error.outcome() == Outcome::Unknown => println!("ask again who it is: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// etcd said no.
    #[error(transparent)]
    Etcd(EtcdError),
    /// Something answered with a status of 400 or more, and its body is not one of etcd's errors.
    #[error(transparent)]
    Http(HttpError),
    /// No endpoint answered.
    #[error(transparent)]
    Transport(TransportFailure),
    /// No answer within the time allowed.
    #[error(transparent)]
    Timeout(TimeoutError),
    /// Something answered that does not speak this API.
    #[error(transparent)]
    Unexpected(UnexpectedAnswer),
    /// The server is an etcd that does not have this operation, or has it switched off.
    #[error(transparent)]
    Unsupported(Unsupported),
    /// Refused by this client before anything was sent.
    #[error(transparent)]
    Invalid(InvalidInput),
}

/// What is known of a write that failed. Of a read it says nothing that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Surely not carried out: nothing of it reached a server.
    NotSent,
    /// Surely not carried out: a server refused it.
    Rejected,
    /// May have been carried out, or may be yet. Read before you write again.
    Unknown,
}

impl Error {
    /// Whether a failed write was *not sent*, *rejected*, or may have been carried out (*unknown*).
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Etcd(error) => error.outcome(),
            Self::Http(error) => outcome_of_status(error.status()),
            Self::Transport(error) if error.0.source.is_unsent() => Outcome::NotSent,
            Self::Transport(_) | Self::Timeout(_) => Outcome::Unknown,
            Self::Unexpected(error) => error.0.outcome,
            Self::Unsupported(_) => Outcome::Rejected,
            Self::Invalid(_) => Outcome::NotSent,
        }
    }

    /// etcd's own error, where etcd said no.
    pub fn as_etcd(&self) -> Option<&EtcdError> {
        match self {
            Self::Etcd(error) => Some(error),
            _ => None,
        }
    }

    /// What etcd said no to, where etcd said no.
    pub fn etcd_kind(&self) -> Option<EtcdErrorKind> {
        self.as_etcd().map(EtcdError::kind)
    }

    /// The key does not exist (code 100; in v3, only a put that was to keep what is there says so).
    pub fn is_key_not_found(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::KeyNotFound)
    }

    /// A compare-and-swap or compare-and-delete found something else (code 101).
    pub fn is_compare_failed(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::CompareFailed)
    }

    /// The key is a directory, and a file was wanted (code 102).
    pub fn is_not_a_file(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NotAFile)
    }

    /// A segment of the path is a file, and a directory was wanted (code 104).
    pub fn is_not_a_directory(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NotADirectory)
    }

    /// The key to be created exists already (code 105).
    pub fn is_already_exists(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::AlreadyExists)
    }

    /// The directory to be deleted has children (code 108).
    pub fn is_directory_not_empty(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::DirectoryNotEmpty)
    }

    /// The credentials are missing, wrong, or not enough: for etcd, or for a proxy before it.
    pub fn is_unauthorized(&self) -> bool {
        use EtcdErrorKind as Kind;
        match self {
            // An answer to HEAD has no body to hold an error of etcd's.
            Self::Http(error) => error.status() == StatusCode::UNAUTHORIZED,
            _ => matches!(
                self.etcd_kind(),
                Some(
                    Kind::Unauthorized
                        | Kind::PermissionDenied
                        | Kind::AuthenticationFailed
                        | Kind::InvalidAuthToken
                        | Kind::AuthRevisionOld
                        | Kind::UserNameEmpty
                )
            ),
        }
    }

    /// The revision asked for was compacted away (v3).
    pub fn is_compacted(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::Compacted)
    }

    /// The lease does not exist: it expired, was revoked, or never was (v3).
    pub fn is_lease_not_found(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::LeaseNotFound)
    }

    /// The user may not do this (v3).
    pub fn is_permission_denied(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::PermissionDenied)
    }

    /// There is no leader at the moment, or none that a majority follows (v3).
    pub fn is_no_leader(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NoLeader)
    }

    /// The database has reached its quota; reads and deletes still work (v3).
    pub fn is_no_space(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NoSpace)
    }

    /// The events a watch asked for are no longer in the server's history (code 401).
    pub fn is_history_cleared(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::HistoryCleared)
    }

    /// The answer is from another cluster than those before: an endpoint is wrong, or the cluster was made anew. See
    /// [`ClientBuilder::allow_cluster_change`](crate::ClientBuilder::allow_cluster_change).
    pub fn is_cluster_changed(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::ClusterChanged)
    }

    /// Every endpoint answered from an older state of the store than was seen before. See
    /// [`ClientBuilder::reject_stale_reads`](crate::ClientBuilder::reject_stale_reads).
    pub fn is_stale_read(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::Stale)
    }

    fn unexpected_kind(&self) -> Option<UnexpectedKind> {
        match self {
            Self::Unexpected(error) => Some(error.0.kind),
            _ => None,
        }
    }

    /// Asking again may bring something else: nobody answered, or somebody who cannot serve at the moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Transport(error) => error.0.source.kind() != TransportErrorKind::Rejected,
            Self::Timeout(_) => true,
            Self::Http(error) => error.status().is_server_error(),
            Self::Etcd(error) => match error.0.api {
                Api::V2 => {
                    let is_passing = error.kind() == EtcdErrorKind::WatcherCleared;
                    is_passing || error.status().is_server_error()
                }
                Api::V3 { kind, .. } => refusal::is_passing(kind),
            },
            _ => false,
        }
    }

    /// With a word on why it was not authorized. etcd's v2 says «Insufficient credentials» to all.
    pub(crate) fn explained(self, call: &Call, has_credentials: bool) -> Self {
        match self {
            Self::Etcd(EtcdError(parts, None))
                if is_v2(call.target.path()) && parts.status == StatusCode::UNAUTHORIZED =>
            {
                Self::Etcd(EtcdError(
                    parts,
                    Some(if has_credentials {
                        "the client's user or password is wrong, or its roles do not allow this"
                    } else {
                        "this client shows no credentials, and guests may not do this"
                    }),
                ))
            }
            error => error,
        }
    }

    pub(crate) fn invalid(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid(InvalidInput(Box::new((operation, reason.into()))))
    }
}

/// Which operation failed, where, and at which attempt.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) operation: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) attempts: u32,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.operation, self.endpoint)?;
        if self.attempts > 1 {
            write!(f, " (attempt {})", self.attempts)?;
        }
        Ok(())
    }
}

/// An error in etcd's own words.
///
/// Codes and messages: <https://etcd.io/docs/v2.3/errorcode/>; the status and the `cause` are as a real server sends them.
pub struct EtcdError(Box<EtcdErrorParts>, Option<&'static str>);

pub(crate) struct EtcdErrorParts {
    pub(crate) site: Site,
    pub(crate) status: StatusCode,
    pub(crate) api: Api,
    pub(crate) code: Option<u32>,
    pub(crate) message: String,
    pub(crate) cause: String,
    pub(crate) index: Option<u64>,
    pub(crate) compact_revision: Option<i64>,
}

/// Which API an error comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Api {
    V2,
    /// With what its words mean.
    V3 {
        kind: EtcdErrorKind,
        outcome: Outcome,
    },
}

impl EtcdError {
    pub(crate) fn new(parts: EtcdErrorParts) -> Self {
        Self(Box::new(parts), None)
    }

    /// What etcd said no to.
    pub fn kind(&self) -> EtcdErrorKind {
        match (self.0.api, self.0.code) {
            (Api::V3 { kind, .. }, _) => kind,
            (Api::V2, Some(code)) => EtcdErrorKind::of_code(code),
            (Api::V2, None) => EtcdErrorKind::of_status(self.0.status),
        }
    }

    /// etcd's number for the error. In the v2 API its `errorCode`, from 100 on; its members, auth and stats endpoints
    /// send none. In the v3 API the code of gRPC, up to 16; it says less than [`kind`](Self::kind).
    pub fn code(&self) -> Option<u32> {
        self.0.code
    }

    /// etcd's words for the kind of error.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What exactly it was about: a key, a field, the two values that differ. Empty where etcd gives none.
    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    /// The store's index when etcd said no; 0 where the request did not get as far as the store.
    pub fn index(&self) -> Option<u64> {
        self.0.index
    }

    /// The first revision that a compacted history still has, where a watch was told so (v3).
    pub fn compact_revision(&self) -> Option<i64> {
        self.0.compact_revision
    }

    /// The HTTP status that came with it.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Which endpoint said it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.site.endpoint
    }

    pub(crate) fn into_site(self) -> Site {
        self.0.site
    }

    fn outcome(&self) -> Outcome {
        match (self.0.api, self.0.code) {
            (Api::V3 { outcome, .. }, _) => outcome,
            // A proposal that raft gave up waiting for may still be committed.
            (Api::V2, Some(300 | 301)) => Outcome::Unknown,
            // Whatever the code: a server that is at fault has not said no.
            (Api::V2, _) => outcome_of_status(self.0.status),
        }
    }
}

impl fmt::Display for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
        write!(f, "{}: {}", parts.site, parts.message)?;
        if !parts.cause.is_empty() {
            write!(f, ": {}", parts.cause)?;
        }
        match (parts.code, parts.index) {
            (Some(code), Some(index)) => write!(f, " (code {code}, index {index})"),
            (Some(code), None) => write!(f, " (code {code})"),
            (None, _) => write!(f, " (status {})", parts.status.as_u16()),
        }?;
        match self.1 {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdError")
            .field("kind", &self.kind())
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("cause", &self.0.cause)
            .field("index", &self.0.index)
            .field("status", &self.0.status)
            .field("site", &self.0.site)
            .finish()
    }
}

impl StdError for EtcdError {}

/// What etcd said no to.
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
    fn of_code(code: u32) -> Self {
        match code {
            100 => Self::KeyNotFound,
            101 => Self::CompareFailed,
            102 => Self::NotAFile,
            104 => Self::NotADirectory,
            105 => Self::AlreadyExists,
            107 => Self::RootReadOnly,
            108 => Self::DirectoryNotEmpty,
            110 => Self::Unauthorized,
            201 => Self::PreviousValueRequired,
            202 => Self::InvalidTtl,
            203 => Self::InvalidIndex,
            209 => Self::InvalidField,
            210 => Self::InvalidForm,
            211 => Self::ValueOnRefresh,
            212 => Self::TtlRequiredOnRefresh,
            300 => Self::RaftInternal,
            301 => Self::DuringLeaderElection,
            400 => Self::WatcherCleared,
            401 => Self::HistoryCleared,
            other => Self::Other(other),
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 415 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            410 => Self::Gone,
            503 => Self::DuringLeaderElection,
            other => Self::Other(other.into()),
        }
    }
}

/// A status of 400 or more whose body is not one of etcd's errors: a proxy, mostly, or a path that etcd does not have.
#[derive(Debug)]
pub struct HttpError(Box<(Site, StatusCode, String)>);

impl HttpError {
    pub(crate) fn new(site: Site, status: StatusCode, body: &[u8]) -> Self {
        Self(Box::new((site, status, excerpt(body))))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.1
    }

    /// The beginning of the body, at most 256 characters.
    pub fn excerpt(&self) -> &str {
        &self.0.2
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (site, status, excerpt) = &*self.0;
        write!(f, "{site}: HTTP status {status}, and no error of etcd's")?;
        quote(f, excerpt)
    }
}

impl StdError for HttpError {}

/// No endpoint answered; the [`source`](StdError::source) is the last attempt's [`TransportError`].
#[derive(Debug)]
pub struct TransportFailure(Box<TransportFailureParts>);

#[derive(Debug)]
struct TransportFailureParts {
    site: Site,
    source: TransportError,
}

impl TransportFailure {
    pub(crate) fn new(site: Site, source: TransportError) -> Self {
        Self(Box::new(TransportFailureParts { site, source }))
    }

    /// How many requests were sent, or tried to be.
    pub fn attempts(&self) -> u32 {
        self.0.site.attempts
    }

    /// The endpoint of the last attempt.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.site.endpoint
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.site, self.0.source)
    }
}

impl StdError for TransportFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The transport's own line is part of ours; what comes next is its cause.
        self.0.source.source()
    }
}

/// No answer within the time allowed.
#[derive(Debug)]
pub struct TimeoutError(Box<(Site, Duration)>);

impl TimeoutError {
    pub(crate) fn new(site: Site, limit: Duration) -> Self {
        Self(Box::new((site, limit)))
    }

    /// How long the last attempt was given.
    pub fn limit(&self) -> Duration {
        self.0.1
    }

    /// How many requests were sent.
    pub fn attempts(&self) -> u32 {
        self.0.0.attempts
    }

    /// The endpoint of the last attempt.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.0.endpoint
    }
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (site, limit) = &*self.0;
        write!(f, "{site}: no answer within {limit:?}")
    }
}

impl StdError for TimeoutError {}

/// Something answered that does not speak this API: a captive portal, another program, a truncated or oversized answer.
#[derive(Debug)]
pub struct UnexpectedAnswer(Box<UnexpectedParts>);

#[derive(Debug)]
struct UnexpectedParts {
    site: Site,
    what: String,
    excerpt: String,
    outcome: Outcome,
    kind: UnexpectedKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What programs ask of an answer that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnexpectedKind {
    ClusterChanged,
    Stale,
    Other,
}

impl UnexpectedAnswer {
    pub(crate) fn new(site: Site, what: impl Into<String>, outcome: Outcome) -> Self {
        Self(Box::new(UnexpectedParts {
            site,
            what: what.into(),
            excerpt: String::new(),
            outcome,
            kind: UnexpectedKind::Other,
            source: None,
        }))
    }

    pub(crate) fn with_body(mut self, body: &[u8]) -> Self {
        self.0.excerpt = excerpt(body);
        self
    }

    pub(crate) fn with_kind(mut self, kind: UnexpectedKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The beginning of the body, at most 256 characters.
    pub fn excerpt(&self) -> &str {
        &self.0.excerpt
    }
}

impl fmt::Display for UnexpectedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.site, self.0.what)?;
        quote(f, &self.0.excerpt)
    }
}

impl StdError for UnexpectedAnswer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The server is an etcd that does not have this operation, or has it switched off.
#[derive(Debug)]
pub struct Unsupported(Box<(Site, &'static str)>);

impl Unsupported {
    pub(crate) fn new(site: Site, what: &'static str) -> Self {
        Self(Box::new((site, what)))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.0, self.0.1)
    }
}

impl StdError for Unsupported {}

/// Refused by this client before anything was sent: says what was wrong, and what to do.
#[derive(Debug)]
pub struct InvalidInput(Box<(&'static str, String)>);

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.0, self.0.1)
    }
}

impl StdError for InvalidInput {}

fn outcome_of_status(status: StatusCode) -> Outcome {
    if status.is_server_error() {
        Outcome::Unknown
    } else {
        Outcome::Rejected
    }
}

fn excerpt(body: &[u8]) -> String {
    const CHARACTERS: usize = 256;
    // At most four bytes a character: no need to look at a long body's end.
    let start = body.get(..4 * CHARACTERS).unwrap_or(body);
    String::from_utf8_lossy(start)
        .chars()
        .take(CHARACTERS)
        .collect()
}

fn quote(f: &mut fmt::Formatter<'_>, excerpt: &str) -> fmt::Result {
    if excerpt.is_empty() {
        Ok(())
    } else {
        write!(f, ": {excerpt:?}")
    }
}
