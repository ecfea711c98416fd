//! `/v2/stats`: the store's counters, the member itself, the leader's followers.

use http::Method;

use super::Incoming;
use crate::{
    go::{
        date::push_rfc3339,
        json::{push_string, push_u64},
        reply::Reply,
    },
    state::EtcdCluster,
};

pub(crate) fn store(cluster: &mut EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Reply {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET"));
    }
    let mut reply = reply.json();
    let store = &cluster.local(request.endpoint).v2;
    let mut comma = b'{';
    for (name, count) in store.stats.fields(store.hub.live()) {
        reply.body.push(comma);
        comma = b',';
        reply
            .body
            .extend_from_slice(format!("\"{name}\":").as_bytes());
        push_u64(&mut reply.body, count);
    }
    reply.body.push(b'}');
    reply
}

pub(crate) fn this_member(cluster: &EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Reply {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET"));
    }
    let mut reply = reply.json();
    let Some(member) = cluster.member(request.endpoint) else {
        return reply.not_found();
    };
    let leader = cluster.leader_at(request.endpoint);
    let others = cluster.membership.members.len().saturating_sub(1) as u64;
    // The leader sends each entry of the log to each follower.
    let (state, received, sent) = if leader == Some(member.id) {
        ("StateLeader", 0, cluster.raft_index * others)
    } else {
        ("StateFollower", cluster.raft_index, 0)
    };
    let leader = leader.map_or(String::new(), |id| format!("{id:x}"));
    let body = &mut reply.body;
    body.extend_from_slice(b"{\"name\":");
    push_string(body, member.name.as_bytes(), cluster.profile);
    let id = member.id;
    body.extend_from_slice(format!(",\"id\":\"{id:x}\",\"state\":\"{state}\",").as_bytes());
    body.extend_from_slice(b"\"startTime\":\"");
    push_rfc3339(body, cluster.started);
    let uptime = go_duration(cluster.now - cluster.started);
    let info = format!("\",\"leaderInfo\":{{\"leader\":\"{leader}\",\"uptime\":\"{uptime}\",");
    body.extend_from_slice(info.as_bytes());
    body.extend_from_slice(b"\"startTime\":\"");
    push_rfc3339(body, cluster.started);
    let counts =
        format!("\"}},\"recvAppendRequestCnt\":{received},\"sendAppendRequestCnt\":{sent}}}");
    body.extend_from_slice(counts.as_bytes());
    reply
}

pub(crate) fn leader(cluster: &EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Reply {
    if request.method != Method::GET {
        return reply.not_allowed(Some("GET"));
    }
    let member = cluster.member(request.endpoint);
    let own = member.map(|member| member.id);
    // A leader without a quorum says that it is not the leader.
    if own.is_none() || own != cluster.leader || !cluster.can_commit_at(request.endpoint) {
        return reply.message(403, "not current leader", cluster.profile);
    }
    let mut reply = reply.json();
    let mut followers: Vec<u64> = cluster.membership.members.iter().map(|m| m.id).collect();
    followers.retain(|&id| Some(id) != own);
    let mut names: Vec<String> = followers.iter().map(|id| format!("{id:x}")).collect();
    names.sort_unstable();
    let body = &mut reply.body;
    let leader = own.unwrap_or_default();
    body.extend_from_slice(format!("{{\"leader\":\"{leader:x}\",\"followers\":{{").as_bytes());
    for (position, name) in names.iter().enumerate() {
        let comma = if position > 0 { "," } else { "" };
        let success = cluster.raft_index;
        let follower = format!(
            "{comma}\"{name}\":{{\"latency\":{{\"current\":0.5,\"average\":0.5,\"standardDeviation\":0,\
             \"minimum\":0.5,\"maximum\":0.5}},\"counts\":{{\"fail\":0,\"success\":{success}}}}}"
        );
        body.extend_from_slice(follower.as_bytes());
    }
    body.extend_from_slice(b"}}");
    reply
}

/// A duration as Go prints it.
fn go_duration(nanos: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    if nanos <= 0 {
        return "0s".to_owned();
    }
    let Some(&(unit, name)) = UNITS.iter().find(|&&(unit, _)| nanos >= unit) else {
        return format!("{nanos}ns");
    };
    let (mut prefix, mut rest) = (String::new(), nanos);
    if unit == 1_000_000_000 {
        let minutes = nanos / (60 * unit);
        if minutes >= 60 {
            prefix = format!("{}h", minutes / 60);
        }
        if minutes > 0 {
            prefix.push_str(&format!("{}m", minutes % 60));
        }
        rest = nanos % (60 * unit);
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", rest % unit);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{prefix}{}{point}{fraction}{name}", rest / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (2_006_387_331, "2.006387331s"),
            (60_000_000_000, "1m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
        ] {
            assert_eq!(go_duration(nanos), expected);
        }
    }
}
