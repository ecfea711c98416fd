//! The endpoints below `/v2`, one file for each family.

mod auth;
mod keys;
mod members;
mod reply;
mod stats;

use http::{HeaderMap, Method};

use crate::{cluster::exchanges::ExchangeId, go::reply::Reply, state::EtcdCluster};

/// A request that has reached an endpoint.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a Method,
    /// As sent: percent-encoded.
    pub(crate) path: &'a [u8],
    pub(crate) query: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// That of the client's certificate, where it names users; empty if the certificate has none.
    pub(crate) common_name: Option<&'a str>,
    pub(crate) endpoint: usize,
    /// The id of the watch, if it is one.
    pub(crate) watch_id: ExchangeId,
    /// Whether it has waited for a quorum as long as etcd waits.
    pub(crate) timed_out: bool,
}

/// What an endpoint does with a request.
pub(crate) enum Handled {
    Reply(Reply),
    /// The head of a watch, and whether more than one event follows.
    Watch(Reply, bool),
    /// There is no quorum. The request is handled again when there is one, or when it has timed out.
    Blocked,
}

impl From<Reply> for Handled {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// Handles a request. `path` is decoded and clean.
pub(crate) fn handle(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    path: &[u8],
    reply: Reply,
) -> Handled {
    match path {
        b"/v2/machines" => members::machines(cluster, request, reply).into(),
        b"/v2/stats/store" => stats::store(cluster, request, reply).into(),
        b"/v2/stats/self" => stats::this_member(cluster, request, reply).into(),
        b"/v2/stats/leader" => stats::leader(cluster, request, reply).into(),
        b"/v2/auth/enable" => auth::enable(cluster, request, reply),
        _ => handle_family(cluster, request, path, reply),
    }
}

fn handle_family(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    path: &[u8],
    reply: Reply,
) -> Handled {
    if let Some(key) = family(path, b"/v2/keys") {
        return keys::handle(cluster, request, key, reply);
    }
    if let Some(rest) = family(path, b"/v2/members") {
        return members::handle(cluster, request, rest, reply);
    }
    if let Some(rest) = family(path, b"/v2/auth/users") {
        return auth::users(cluster, request, rest, reply);
    }
    if let Some(rest) = family(path, b"/v2/auth/roles") {
        return auth::roles(cluster, request, rest, reply);
    }
    reply.not_found().into()
}

/// The rest of a path after a prefix that is followed by nothing or by a slash. The slash is part of the rest.
fn family<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}
