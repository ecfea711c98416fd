use std::fmt;

/// Something that is wrong, or that limits what works, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of problem.
    pub problem: Problem,
    /// What was found, such as the server's own words.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl Finding {
    /// A finding. For your own tests.
    pub fn new(problem: Problem, what: impl AsRef<str>, advice: impl AsRef<str>) -> Self {
        Self {
            problem,
            what: what.as_ref().to_owned(),
            advice: advice.as_ref().to_owned(),
        }
    }

    /// Returns how serious it is.
    pub fn severity(&self) -> Severity {
        self.problem.severity()
    }
}

/// Two lines: what was found, and what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = self.severity();
        write!(f, "{severity}: {}\n  to do: {}", self.what, self.advice)
    }
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Something is not there that not every program needs.
    Note,
    /// It works, with a loss: of speed, or of an endpoint that could be used.
    Warning,
    /// The endpoint, or an API of it, cannot be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// The kind of problem that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// No connection could be made.
    Unreachable,
    /// The connection breaks off before a response.
    Broken,
    /// A connection is made, and there is no response.
    Silent,
    /// The transport cannot send to this endpoint, such as `https://` without TLS.
    Rejected,
    /// The endpoint is `http://`, and the server takes `https://`.
    TlsRequired,
    /// The endpoint is `https://`, and the server takes `http://`.
    NoTls,
    /// The server's certificate is of an unknown authority, has another name, or is not valid now.
    Untrusted,
    /// The server breaks off after the handshake of TLS, as it does without a client's certificate that it accepts.
    ClientCertificate,
    /// What responds is not an etcd.
    NotEtcd,
    /// The endpoint has a path below which there is no etcd, and without it there is one.
    WrongPath,
    /// The port is the one where members talk to each other.
    PeerPort,
    /// A proxy does not let the client through, or does not reach etcd.
    Refused,
    /// The etcd is older than this client supports.
    OldVersion,
    /// The v3 API is served neither by gRPC nor by the gateway.
    NoV3,
    /// There is no gRPC, and calls travel by the gateway.
    NoGrpc,
    /// There is no gateway, and calls travel by gRPC.
    NoGateway,
    /// There is no v2 API.
    NoV2,
    /// A proxy withholds the messages of a stream.
    Buffered,
    /// The member has no vote, and serves hardly any call.
    Learner,
    /// The member knows no leader.
    NoLeader,
    /// The member reports that it cannot serve, as with an alarm.
    Unhealthy,
    /// Authentication is enabled, and the client has no credentials.
    AuthRequired,
    /// The client's credentials are not accepted.
    BadCredentials,
    /// The client has credentials, and authentication is disabled.
    AuthDisabled,
    /// The endpoint is of another cluster than those before it.
    OtherCluster,
    /// An address that a member advertises cannot be reached.
    UnreachableMember,
    /// An address that a member advertises is not used by a [sync](crate::Client::sync).
    UnusedAddress,
    /// A member was added and has not started.
    UnstartedMember,
    /// Leases run at another rate than this machine's clock.
    LeaseClock,
    /// No lease can be granted.
    LeaseRefused,
}

impl Problem {
    /// Returns how serious it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::NoV2 | Self::NoGateway | Self::AuthDisabled | Self::UnusedAddress => {
                Severity::Note
            }
            Self::NoGrpc
            | Self::Buffered
            | Self::Learner
            | Self::UnreachableMember
            | Self::UnstartedMember => Severity::Warning,
            _ => Severity::Error,
        }
    }
}
