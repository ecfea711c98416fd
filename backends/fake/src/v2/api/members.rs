//! `/v2/members` and `/v2/machines`.

use http::{Method, header};

use super::{Handled, Incoming, auth::has_root_access};
use crate::{
    cluster::membership::{Member, MembershipError},
    go::{
        json::{push_string, push_strings},
        reply::Reply,
        scan::{Json, Kind, Name, scan_whole},
        url::url_error,
    },
    profile::Profile,
    state::EtcdCluster,
};

pub(crate) fn machines(cluster: &EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Reply {
    if !matches!(*request.method, Method::GET | Method::HEAD) {
        return reply.not_allowed(Some("GET,HEAD"));
    }
    let mut reply = reply.plain();
    reply.body = cluster.membership.client_urls().join(", ").into_bytes();
    reply
}

pub(crate) fn handle(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    rest: &[u8],
    reply: Reply,
) -> Handled {
    let profile = cluster.profile;
    let id = rest.strip_prefix(b"/").unwrap_or(rest);
    match *request.method {
        Method::GET => read(cluster, request, id, reply).into(),
        Method::POST | Method::PUT | Method::DELETE => {
            if !has_root_access(cluster, request) {
                return reply.insufficient_credentials(profile).into();
            }
            let reply = reply.cluster(cluster);
            let result = match *request.method {
                Method::POST => add(cluster, request),
                Method::PUT => update(cluster, request, id),
                _ => remove(cluster, request, id),
            };
            respond(cluster, result, reply)
        }
        _ => reply.not_allowed(Some("GET,POST,DELETE,PUT")).into(),
    }
}

fn read(cluster: &EtcdCluster, request: &Incoming<'_>, what: &[u8], reply: Reply) -> Reply {
    let mut reply = reply.cluster(cluster);
    let profile = cluster.profile;
    match what {
        b"" => {
            reply.body.extend_from_slice(b"{\"members\":[");
            for (position, member) in cluster.membership.sorted().into_iter().enumerate() {
                if position > 0 {
                    reply.body.push(b',');
                }
                push_member(&mut reply.body, member, profile);
            }
            reply.body.extend_from_slice(b"]}\n");
            reply.json()
        }
        b"leader" => {
            let leader = cluster.leader_at(request.endpoint);
            let Some(leader) = leader.and_then(|id| cluster.membership.get(id)) else {
                return reply.message(503, "During election", profile);
            };
            push_member(&mut reply.body, leader, profile);
            reply.body.push(b'\n');
            reply.json()
        }
        _ => reply.message(404, "Not found", profile),
    }
}

/// The outcome of a change of the members.
enum Outcome {
    Added(Member),
    Done,
    NoId,
    Blocked,
    Refused(u16, String),
}

impl Outcome {
    fn internal() -> Self {
        Self::Refused(500, "Internal Server Error".to_owned())
    }
}

fn respond(cluster: &EtcdCluster, outcome: Outcome, reply: Reply) -> Handled {
    let profile = cluster.profile;
    match outcome {
        Outcome::Added(member) => {
            let mut reply = reply.status(201).json();
            push_member(&mut reply.body, &member, profile);
            reply.body.push(b'\n');
            reply.into()
        }
        Outcome::Done => reply.status(204).into(),
        Outcome::NoId => reply.not_allowed(None).into(),
        Outcome::Blocked => Handled::Blocked,
        Outcome::Refused(status, message) => reply.message(status, &message, profile).into(),
    }
}

fn add(cluster: &mut EtcdCluster, request: &Incoming<'_>) -> Outcome {
    let peer_urls = match peer_urls(request) {
        Ok(urls) => urls,
        Err(outcome) => return outcome,
    };
    if let Some(outcome) = wait_for_quorum(cluster, request) {
        return outcome;
    }
    let member = Member {
        is_learner: false,
        id: cluster.rng.next(),
        name: String::new(),
        peer_urls,
        client_urls: Vec::new(),
    };
    match cluster.add_member(member.clone()) {
        Ok(()) => Outcome::Added(member),
        Err(error) => refusal(error, ""),
    }
}

fn update(cluster: &mut EtcdCluster, request: &Incoming<'_>, id: &[u8]) -> Outcome {
    let id = match member_id(id) {
        Ok(id) => id,
        Err(outcome) => return outcome,
    };
    let peer_urls = match peer_urls(request) {
        Ok(urls) => urls,
        Err(outcome) => return outcome,
    };
    if let Some(outcome) = wait_for_quorum(cluster, request) {
        return outcome;
    }
    match cluster.update_member(id, peer_urls) {
        Ok(()) => Outcome::Done,
        // etcd has no specific error for this one here.
        Err(MembershipError::IdRemoved) => Outcome::internal(),
        Err(error) => refusal(error, &format!("{id:x}")),
    }
}

fn remove(cluster: &mut EtcdCluster, request: &Incoming<'_>, id: &[u8]) -> Outcome {
    let id = match member_id(id) {
        Ok(id) => id,
        Err(outcome) => return outcome,
    };
    if let Some(outcome) = wait_for_quorum(cluster, request) {
        return outcome;
    }
    match cluster.remove_member(id) {
        Ok(()) => Outcome::Done,
        Err(error) => refusal(error, &format!("{id:x}")),
    }
}

fn wait_for_quorum(cluster: &EtcdCluster, request: &Incoming<'_>) -> Option<Outcome> {
    if cluster.can_commit_at(request.endpoint) {
        return None;
    }
    Some(if request.timed_out {
        Outcome::internal()
    } else {
        Outcome::Blocked
    })
}

fn refusal(error: MembershipError, id: &str) -> Outcome {
    let (status, message) = match error {
        MembershipError::PeerUrlExists => (409, "membership: peerURL exists".to_owned()),
        MembershipError::IdNotFound => (404, format!("No such member: {id}")),
        MembershipError::IdRemoved => (410, format!("Member permanently removed: {id}")),
        MembershipError::NotEnoughStarted
        | MembershipError::TooManyLearners
        | MembershipError::NotLearner
        | MembershipError::LearnerNotReady => return Outcome::internal(),
    };
    Outcome::Refused(status, message)
}

fn member_id(id: &[u8]) -> Result<u64, Outcome> {
    if id.is_empty() {
        return Err(Outcome::NoId);
    }
    let text = String::from_utf8_lossy(id);
    let is_hex = id.iter().all(u8::is_ascii_hexdigit);
    let parsed = u64::from_str_radix(&text, 16).ok().filter(|_| is_hex);
    parsed.ok_or_else(|| Outcome::Refused(404, format!("No such member: {text}")))
}

/// The field `peerURLs` of a body, as `json.Unmarshal` reads it.
fn unmarshal(body: &[u8]) -> Result<Vec<String>, String> {
    let cannot = |json: &Json<'_>, what: &str| {
        let kind = json.kind_name();
        Err(format!("json: cannot unmarshal {kind} into Go {what}"))
    };
    let json = scan_whole(body)?;
    let fields = match &json.kind {
        Kind::Null => return Ok(Vec::new()),
        Kind::Object(fields) => fields,
        _ => {
            return cannot(
                &json,
                r#"value of type struct { PeerURLs []string "json:\"peerURLs\"" }"#,
            );
        }
    };
    let mut urls = Vec::new();
    let is_known = |name: &Name<'_>| name.text().eq_ignore_ascii_case(b"peerURLs");
    for (_, value) in fields.iter().filter(|(name, _)| is_known(name)) {
        let elements = match &value.kind {
            Kind::Null => &[][..],
            Kind::Array(elements) => elements,
            _ => return cannot(value, "struct field .peerURLs of type []string"),
        };
        urls.clear();
        for element in elements {
            if !matches!(element.kind, Kind::Null | Kind::String) {
                return cannot(element, "struct field .peerURLs of type string");
            }
            let text = element.text().unwrap_or_default();
            urls.push(String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(urls)
}

/// The peer URLs in a request's body, sorted.
fn peer_urls(request: &Incoming<'_>) -> Result<Vec<String>, Outcome> {
    let content_type = request.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    let content_type = String::from_utf8_lossy(content_type);
    let kind = match content_type.split_once(';') {
        Some((kind, _)) => kind.to_lowercase().trim().to_owned(),
        None => content_type.into_owned(),
    };
    if kind != "application/json" {
        let message = format!("Bad Content-Type {kind}, accept application/json");
        return Err(Outcome::Refused(415, message));
    }
    let bad = |message: String| Outcome::Refused(400, message);
    let urls = unmarshal(request.body).map_err(bad)?;
    let mut urls: Vec<String> = urls.iter().map(|url| url.trim().to_owned()).collect();
    if urls.is_empty() {
        return Err(bad("no valid URLs given".to_owned()));
    }
    for url in &urls {
        if let Some(error) = url_error(url) {
            return Err(bad(format!("{error}: {url}")));
        }
    }
    urls.sort_unstable();
    Ok(urls)
}

fn push_member(out: &mut Vec<u8>, member: &Member, profile: Profile) {
    out.extend_from_slice(format!("{{\"id\":\"{:x}\",\"name\":", member.id).as_bytes());
    push_string(out, member.name.as_bytes(), profile);
    out.extend_from_slice(b",\"peerURLs\":");
    push_strings(out, &member.peer_urls, profile);
    out.extend_from_slice(b",\"clientURLs\":");
    push_strings(out, &member.client_urls, profile);
    out.push(b'}');
}
