//! `/metrics`: those of etcd's that a fake can know, with etcd's names.

use std::fmt::{self, Write as _};

use http::{Method, Response};

use crate::{go::reply::Reply, profile::Profile, state::EtcdCore};

/// The names of the codes of gRPC.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The response to a request for the metrics of an endpoint.
pub(super) fn answer(core: &mut EtcdCore, endpoint: usize, method: &Method) -> Response<Vec<u8>> {
    let mut reply = Reply::new();
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers.insert(http::header::CONTENT_TYPE, kind);
    reply.body = text(core, endpoint).into_bytes();
    reply.finish(method)
}

fn text(core: &mut EtcdCore, endpoint: usize) -> String {
    let cluster = &mut core.cluster;
    let profile = cluster.profile;
    let member = cluster.member(endpoint).cloned();
    let leader = cluster.leader_at(endpoint);
    let id = member.as_ref().map_or(0, |member| member.id);
    let is_learner = member.is_some_and(|member| member.is_learner);
    let (applied, changes) = (
        cluster.index_at(endpoint),
        cluster.raft_term.saturating_sub(1),
    );
    let quota = cluster.state.quota.unwrap_or_default();
    let v3 = &cluster.local(endpoint).v3;
    let size = v3.size();
    let mut out = Metrics(String::new());
    let version = match profile {
        Profile::V3_4 => "3.4",
        Profile::V3_5 => "3.5",
    };
    let mvcc = &v3.mvcc;
    out.gauge(
        "etcd_cluster_version",
        format_args!("{{cluster_version=\"{version}\"}}"),
        1,
    );
    out.gauge(
        "etcd_debugging_mvcc_compact_revision",
        NONE,
        mvcc.compacted().max(0),
    );
    out.gauge(
        "etcd_debugging_mvcc_current_revision",
        NONE,
        mvcc.revision(),
    );
    out.gauge(
        "etcd_debugging_mvcc_keys_total",
        NONE,
        mvcc.live_from(b"").count(),
    );
    out.gauge(
        "etcd_debugging_mvcc_watch_stream_total",
        NONE,
        v3.watches.streams(),
    );
    out.gauge(
        "etcd_debugging_mvcc_watcher_total",
        NONE,
        v3.watches.watched().count(),
    );
    out.gauge("etcd_mvcc_db_total_size_in_bytes", NONE, size);
    out.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", NONE, size);
    out.gauge("etcd_server_has_leader", NONE, u8::from(leader.is_some()));
    out.gauge(
        "etcd_server_id",
        format_args!("{{server_id=\"{id:x}\"}}"),
        1,
    );
    out.gauge("etcd_server_is_leader", NONE, u8::from(leader == Some(id)));
    out.gauge("etcd_server_is_learner", NONE, u8::from(is_learner));
    out.counter("etcd_server_leader_changes_seen_total", NONE, changes);
    out.gauge("etcd_server_proposals_applied_total", NONE, applied);
    out.gauge("etcd_server_proposals_committed_total", NONE, applied);
    out.gauge("etcd_server_quota_backend_bytes", NONE, quota);
    let version = profile.server_version();
    out.gauge(
        "etcd_server_version",
        format_args!("{{server_version=\"{version}\"}}"),
        1,
    );
    out.kind("grpc_server_handled_total", "counter");
    for (name, code, count) in core.calls.of(endpoint) {
        let code = CODES.get(usize::from(code)).unwrap_or(&"Unknown");
        let (kind, service, method) = (name.kind, name.service, name.method);
        let labels = format_args!(
            "{{grpc_code=\"{code}\",grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{kind}\"}}"
        );
        out.sample("grpc_server_handled_total", labels, count);
    }
    out.0
}

const NONE: fmt::Arguments<'static> = format_args!("");

/// Metrics in the text format of Prometheus.
struct Metrics(String);

impl Metrics {
    fn gauge(&mut self, name: &str, labels: fmt::Arguments<'_>, value: impl fmt::Display) {
        self.kind(name, "gauge");
        self.sample(name, labels, value);
    }

    fn counter(&mut self, name: &str, labels: fmt::Arguments<'_>, value: impl fmt::Display) {
        self.kind(name, "counter");
        self.sample(name, labels, value);
    }

    fn kind(&mut self, name: &str, kind: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: fmt::Arguments<'_>, value: impl fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}
