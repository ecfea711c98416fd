use std::time::Duration;

use crate::{base::endpoint::Endpoint, endpoints::protocol::Protocol};

/// An endpoint of a client, and what the client knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointInfo {
    /// The URL.
    pub endpoint: Endpoint,
    /// Whether requests go there. An endpoint that failed is avoided for a while if there are others.
    pub is_up: bool,
    /// Whether its circuit is closed: see [`Circuit`].
    pub circuit: Circuit,
    /// How calls of the v3 API travel there: [`Grpc`](Protocol::Grpc) or [`Gateway`](Protocol::Gateway). `None` as long as
    /// that is not known.
    pub protocol: Option<Protocol>,
    /// Why calls travel there in this way, if the client has found it out.
    pub reason: Option<String>,
}

/// Whether requests go to an endpoint, as of an electric circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Circuit {
    /// Requests go there.
    Closed,
    /// It has failed: requests go to other endpoints, if there are any that are up.
    #[non_exhaustive]
    Open {
        /// How many times in a row it has failed after it was tried again.
        failures: u32,
        /// For how long it is avoided yet. This doubles with each failure, from 1 s up to 30 s.
        retry_in: Duration,
    },
    /// It has failed, and was avoided for long enough: it is tried again. The next response closes the circuit, and the next
    /// failure opens it.
    #[non_exhaustive]
    HalfOpen {
        /// How many times in a row it has failed.
        failures: u32,
    },
}

impl Circuit {
    /// Returns one word in lower case, for a label: `closed`, `open` or `half_open`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

impl EndpointInfo {
    /// An endpoint that is up, and of which no more is known. For your own tests.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            is_up: true,
            circuit: Circuit::Closed,
            protocol: None,
            reason: None,
        }
    }
}
