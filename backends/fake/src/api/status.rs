//! `/version` and `/health`, and what the fake says of the v3 API.

use http::Method;

use super::{Handled, Incoming, reply::Reply};
use crate::{Profile, server::Server};

pub(crate) fn version(server: &Server, request: &Incoming<'_>, reply: Reply) -> Reply {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET"));
    }
    let mut reply = reply.json();
    let (server_version, cluster_version) = (
        server.profile.server_version(),
        server.profile.cluster_version(),
    );
    let body =
        format!("{{\"etcdserver\":\"{server_version}\",\"etcdcluster\":\"{cluster_version}\"}}");
    reply.body = body.into_bytes();
    reply
}

/// Health is a quorum read of the root, once there is a leader.
pub(crate) fn health(server: &mut Server, request: &Incoming<'_>, reply: Reply) -> Handled {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET")).into();
    }
    if server.cluster.leader.is_none() {
        return unhealthy(server, "RAFT NO LEADER", reply).into();
    }
    if !server.can_commit() {
        if !request.timed_out {
            return Handled::Blocked;
        }
        let reason = "QGET ERROR:etcdserver: request timed out";
        return unhealthy(server, reason, reply).into();
    }
    if server.v2 {
        // The root is always there.
        let _ = server.quorum_get(request.endpoint, b"/");
    }
    let mut reply = reply.plain();
    reply.body = body(server.profile, "true", "").into_bytes();
    reply.into()
}

/// The fake has no v3 API: it answers as a gateway that does not know the path.
pub(crate) fn gateway(server: &Server, reply: Reply) -> Reply {
    if server.profile == Profile::V3_4 {
        return reply.text(404, "Not Found");
    }
    let mut reply = reply.json().status(404);
    reply.body = b"{\"code\":5, \"message\":\"Not Found\"}".to_vec();
    reply
}

fn unhealthy(server: &Server, reason: &str, reply: Reply) -> Reply {
    reply.text(503, &body(server.profile, "false", reason))
}

fn body(profile: Profile, health: &str, reason: &str) -> String {
    if profile == Profile::V3_4 {
        format!("{{\"health\":\"{health}\"}}")
    } else {
        format!("{{\"health\":\"{health}\",\"reason\":\"{reason}\"}}")
    }
}
