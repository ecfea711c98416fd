use std::borrow::Cow;

/// A refusal: a gRPC code and etcd's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct V3Error {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    /// Whether etcd says so only after it has waited for as long as it waits for a quorum.
    pub(crate) is_late: bool,
}

/// The gRPC codes that etcd uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    OutOfRange = 11,
    Unimplemented = 12,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl V3Error {
    pub(crate) const EMPTY_KEY: Self =
        Self::new(Code::InvalidArgument, "etcdserver: key is not provided");
    pub(crate) const KEY_NOT_FOUND: Self =
        Self::new(Code::InvalidArgument, "etcdserver: key not found");
    pub(crate) const VALUE_PROVIDED: Self =
        Self::new(Code::InvalidArgument, "etcdserver: value is provided");
    pub(crate) const LEASE_PROVIDED: Self =
        Self::new(Code::InvalidArgument, "etcdserver: lease is provided");
    pub(crate) const TOO_MANY_OPS: Self = Self::new(
        Code::InvalidArgument,
        "etcdserver: too many operations in txn request",
    );
    pub(crate) const DUPLICATE_KEY: Self = Self::new(
        Code::InvalidArgument,
        "etcdserver: duplicate key given in txn request",
    );
    pub(crate) const REQUEST_TOO_LARGE: Self =
        Self::new(Code::InvalidArgument, "etcdserver: request is too large");
    pub(crate) const COMPACTED: Self = Self::new(
        Code::OutOfRange,
        "etcdserver: mvcc: required revision has been compacted",
    );
    pub(crate) const FUTURE_REVISION: Self = Self::new(
        Code::OutOfRange,
        "etcdserver: mvcc: required revision is a future revision",
    );
    pub(crate) const LEASE_NOT_FOUND: Self =
        Self::new(Code::NotFound, "etcdserver: requested lease not found");
    pub(crate) const LEASE_EXISTS: Self =
        Self::new(Code::FailedPrecondition, "etcdserver: lease already exists");
    pub(crate) const LEASE_TTL_TOO_LARGE: Self =
        Self::new(Code::OutOfRange, "etcdserver: too large lease TTL");
    pub(crate) const INVALID_TOKEN: Self =
        Self::new(Code::Unauthenticated, "etcdserver: invalid auth token");
    pub(crate) const NO_SPACE: Self = Self::new(
        Code::ResourceExhausted,
        "etcdserver: mvcc: database space exceeded",
    );
    pub(crate) const CORRUPT: Self = Self::new(Code::DataLoss, "etcdserver: corrupt cluster");
    pub(crate) const EMPTY_USER: Self =
        Self::new(Code::InvalidArgument, "etcdserver: user name is empty");
    pub(crate) const PERMISSION_DENIED: Self =
        Self::new(Code::PermissionDenied, "etcdserver: permission denied");
    /// A snapshot is a file of a real etcd's, and the fake has none.
    pub(crate) const SNAPSHOT: Self = Self::new(
        Code::Unimplemented,
        "etcd-fake: maintenance/snapshot is not served",
    );
    pub(crate) const NO_LEADER: Self = Self::new(Code::Unavailable, "etcdserver: no leader");
    pub(crate) const LEARNER: Self = Self::new(
        Code::Unavailable,
        "etcdserver: rpc not supported for learner",
    );
    pub(crate) const DEADLINE_EXCEEDED: Self =
        Self::new(Code::DeadlineExceeded, "context deadline exceeded");
    pub(crate) const TIMEOUT: Self = Self::new(Code::Unavailable, "etcdserver: request timed out");
    /// The command was applied, and its result never reached the call that waits for it.
    pub(crate) const UNANSWERED: Self = Self {
        code: Code::Unavailable,
        message: Cow::Borrowed("etcdserver: request timed out"),
        is_late: true,
    };

    pub(crate) const fn new(code: Code, message: &'static str) -> Self {
        Self {
            code,
            message: Cow::Borrowed(message),
            is_late: false,
        }
    }

    /// The error as the reason why a watch is not created.
    pub(crate) fn reason(&self) -> String {
        format!("rpc error: code = {:?} desc = {}", self.code, self.message)
    }

    pub(crate) fn message_too_large(length: usize, limit: usize) -> Self {
        let message = format!("grpc: received message larger than max ({length} vs. {limit})");
        Self {
            code: Code::ResourceExhausted,
            message: Cow::Owned(message),
            is_late: false,
        }
    }
}
