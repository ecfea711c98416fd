use crate::{base::endpoint::Endpoint, endpoints::protocol::Protocol};

/// An endpoint of a client, and what the client knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointInfo {
    /// The URL.
    pub endpoint: Endpoint,
    /// Whether requests go there. An endpoint that failed is avoided for a while if there are others.
    pub is_up: bool,
    /// How calls of the v3 API travel there: [`Grpc`](Protocol::Grpc) or [`Gateway`](Protocol::Gateway). `None` as long as
    /// that is not known.
    pub protocol: Option<Protocol>,
    /// Why calls travel there in this way, if the client has found it out.
    pub reason: Option<String>,
}

impl EndpointInfo {
    /// An endpoint that is up, and of which no more is known. For your own tests.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            is_up: true,
            protocol: None,
            reason: None,
        }
    }
}
