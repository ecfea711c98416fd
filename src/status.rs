use http::{Method, StatusCode};
use serde::Deserialize;

use crate::{Call, Operation, Repeat, Reply, Result, operation::sealed::Sealed};

/// The versions a server tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub struct ServerVersion {
    /// The server's own: `3.5.16`.
    #[serde(rename = "etcdserver")]
    pub server: String,
    /// The one its cluster has agreed on: `3.5.0`.
    #[serde(rename = "etcdcluster")]
    pub cluster: String,
}

/// What a server says of its own health.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Health {
    /// Whether it can serve: there is a leader, and no alarm.
    pub healthy: bool,
    /// Why not, from etcd 3.5 on: `RAFT NO LEADER`, `ALARM NOSPACE`. Empty when healthy, or not told.
    pub reason: String,
}

pub(crate) struct GetVersion;

impl Sealed for GetVersion {}

impl Operation for GetVersion {
    type Output = ServerVersion;
    const NAME: &'static str = "version";

    fn encode(&self) -> Result<Call> {
        Call::new(Self::NAME, Method::GET, "/version".into(), Repeat::Always)
    }

    fn decode(&self, reply: Reply) -> Result<ServerVersion> {
        reply.json()
    }
}

pub(crate) struct GetHealth;

impl Sealed for GetHealth {}

impl Operation for GetHealth {
    type Output = Health;
    const NAME: &'static str = "health";

    fn encode(&self) -> Result<Call> {
        Call::new(Self::NAME, Method::GET, "/health".into(), Repeat::Always)
    }

    fn decode(&self, reply: Reply) -> Result<Health> {
        /// etcd sends text, not a JSON boolean.
        #[derive(Deserialize)]
        struct Body {
            health: String,
            #[serde(default)]
            reason: String,
        }

        let mut reply = reply;
        // The body says the same as this status, and more.
        if reply.status == StatusCode::SERVICE_UNAVAILABLE {
            reply.status = StatusCode::OK;
        }
        reply.json().map(|Body { health, reason }| Health {
            healthy: health == "true",
            reason,
        })
    }
}
