//! `/version` and `/health`.

use http::Method;

use crate::{
    go::{form::Form, reply::Reply},
    profile::Profile,
    state::EtcdCluster,
    v2::api::{Handled, Incoming},
    v3::message::maintenance::AlarmType,
};

pub(crate) fn version(cluster: &EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Reply {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET"));
    }
    let mut reply = reply.json();
    let (server_version, cluster_version) = (
        cluster.profile.server_version(),
        cluster.profile.cluster_version(),
    );
    let body =
        format!("{{\"etcdserver\":\"{server_version}\",\"etcdcluster\":\"{cluster_version}\"}}");
    reply.body = body.into_bytes();
    reply
}

/// A member is healthy if no alarm is active but those that `exclude` names, it knows a leader, and can read the root with a
/// quorum.
pub(crate) fn health(cluster: &mut EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Handled {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET")).into();
    }
    let alarms = cluster
        .local(request.endpoint)
        .v3
        .alarms
        .active_of(AlarmType::NONE);
    let query = Form::of_query(request.query);
    let is_excluded = |alarm: AlarmType| {
        let name = alarm.to_go_string();
        let mut pairs = query.pairs().iter();
        pairs.any(|(parameter, value)| **parameter == *b"exclude" && **value == *name.as_bytes())
    };
    let alarm = alarms
        .iter()
        .map(|it| it.alarm)
        .find(|&it| !is_excluded(it));
    if let Some(alarm) = alarm {
        let reason = match alarm {
            AlarmType::NOSPACE => "ALARM NOSPACE",
            AlarmType::CORRUPT => "ALARM CORRUPT",
            _ => "ALARM UNKNOWN",
        };
        return unhealthy(cluster, reason, reply).into();
    }
    if cluster.leader_at(request.endpoint).is_none() {
        return unhealthy(cluster, "RAFT NO LEADER", reply).into();
    }
    if !cluster.can_commit_at(request.endpoint) {
        if !request.timed_out {
            return Handled::Blocked;
        }
        let reason = "QGET ERROR:etcdserver: request timed out";
        return unhealthy(cluster, reason, reply).into();
    }
    if cluster.state.is_v2_enabled {
        cluster.confirm_read(request.endpoint);
        // The root always exists. The read is counted.
        let _ = cluster.local(request.endpoint).v2.get(b"/");
    }
    let mut reply = reply.plain();
    reply.body = body(cluster.profile, "true", "").into_bytes();
    reply.into()
}

fn unhealthy(cluster: &EtcdCluster, reason: &str, reply: Reply) -> Reply {
    reply.text(503, &body(cluster.profile, "false", reason))
}

fn body(profile: Profile, health: &str, reason: &str) -> String {
    if profile == Profile::V3_4 {
        format!("{{\"health\":\"{health}\"}}")
    } else {
        format!("{{\"health\":\"{health}\",\"reason\":\"{reason}\"}}")
    }
}
