use crate::error::EtcdErrorKind as Kind;

/// etcd's messages, without prefixes, and what they mean.
pub(super) const TEXTS: &[(&str, Kind)] = &[
    ("key is not provided", Kind::BadRequest),
    ("key not found", Kind::KeyNotFound),
    ("value is provided", Kind::BadRequest),
    ("lease is provided", Kind::BadRequest),
    (
        "too many operations in txn request",
        Kind::TooManyOperations,
    ),
    ("duplicate key given in txn request", Kind::DuplicateKey),
    ("request is too large", Kind::RequestTooLarge),
    ("required revision has been compacted", Kind::Compacted),
    (
        "required revision is a future revision",
        Kind::FutureRevision,
    ),
    ("database space exceeded", Kind::NoSpace),
    ("too many requests", Kind::TooManyRequests),
    ("requested lease not found", Kind::LeaseNotFound),
    ("lease already exists", Kind::LeaseExists),
    ("too large lease TTL", Kind::LeaseTtlTooLarge),
    ("permission denied", Kind::PermissionDenied),
    ("user name is empty", Kind::UserNameEmpty),
    ("role name is empty", Kind::BadRequest),
    ("permission not given", Kind::BadRequest),
    (
        "authentication failed, invalid user ID or password",
        Kind::AuthenticationFailed,
    ),
    (
        "authentication failed, password was given for no password user",
        Kind::AuthenticationFailed,
    ),
    ("invalid auth token", Kind::InvalidAuthToken),
    ("revision of auth store is old", Kind::AuthRevisionOld),
    ("authentication is not enabled", Kind::AuthNotEnabled),
    ("invalid auth management", Kind::InvalidAuthManagement),
    ("root user does not exist", Kind::RootUserMissing),
    ("root user does not have root role", Kind::RootUserMissing),
    ("user name already exists", Kind::UserExists),
    ("user name not found", Kind::UserNotFound),
    ("role name already exists", Kind::RoleExists),
    ("role name not found", Kind::RoleNotFound),
    ("role is not granted to the user", Kind::RoleNotGranted),
    (
        "permission is not granted to the role",
        Kind::PermissionNotGranted,
    ),
    ("member not found", Kind::MemberNotFound),
    ("member ID already exist", Kind::MemberExists),
    ("Peer URLs already exists", Kind::MemberExists),
    ("given member URLs are invalid", Kind::BadRequest),
    ("can only promote a learner member", Kind::MemberNotALearner),
    (
        "can only promote a learner member which is in sync with leader",
        Kind::LearnerNotReady,
    ),
    ("too many learner members in cluster", Kind::TooManyLearners),
    ("rpc not supported for learner", Kind::NotSupportedByLearner),
    ("cluster ID mismatch", Kind::ClusterIdMismatch),
    ("unhealthy cluster", Kind::UnhealthyCluster),
    ("not capable", Kind::NotCapable),
    ("no leader", Kind::NoLeader),
    ("leader changed", Kind::LeaderChanged),
    ("not leader", Kind::NotLeader),
    ("bad leader transferee", Kind::BadLeaderTransferee),
    ("server stopped", Kind::ServerStopped),
    ("error reading from server: EOF", Kind::ServerStopped),
    ("context deadline exceeded", Kind::RequestTimedOut),
    ("watcher range is empty", Kind::EmptyWatchRange),
    (
        "duplicate watch ID provided on the WatchStream",
        Kind::DuplicateWatchId,
    ),
    ("corrupt cluster", Kind::Corrupt),
    ("election: no leader", Kind::ElectionWithoutLeader),
    ("election: not leader", Kind::NotElectionLeader),
    ("election: session expired", Kind::LeaseNotFound),
    ("mutex: session is expired", Kind::LeaseNotFound),
    ("\"leader\" field must be provided", Kind::BadRequest),
    (
        "cluster has a downgrade job in progress",
        Kind::DowngradeInProgress,
    ),
    ("no inflight downgrade job", Kind::NoDowngradeInProgress),
    (
        "invalid downgrade target version",
        Kind::InvalidDowngradeTarget,
    ),
    (
        "wrong downgrade target version format",
        Kind::InvalidDowngradeTarget,
    ),
];

#[test]
fn no_text_is_listed_twice() {
    for (index, (text, _)) in TEXTS.iter().enumerate() {
        assert!(
            TEXTS[..index].iter().all(|(before, _)| before != text),
            "{text}"
        );
    }
}
