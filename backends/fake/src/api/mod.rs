//! etcd's HTTP interface: routing and one file for each family of endpoints.

mod auth;
mod keys;
mod members;
mod reply;
mod stats;
mod status;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::{
    server::Server,
    store::WatcherId,
    wire::{form, path},
};

use reply::Reply;

/// A request as it reached an endpoint.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a Method,
    /// As sent: percent-encoded.
    pub(crate) path: &'a [u8],
    pub(crate) query: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) endpoint: usize,
    /// The id that a watch gets, should this be one.
    pub(crate) watcher: WatcherId,
    /// Whether it has waited for a quorum as long as etcd does.
    pub(crate) timed_out: bool,
}

/// What comes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole(Response<Vec<u8>>),
    /// The head of a watch, and whether more than one event follows.
    Watch(Response<()>, bool),
    /// Nothing yet: there is no quorum. To be asked again when there is, or when time is up.
    Blocked,
}

/// What a handler made of a request.
pub(crate) enum Handled {
    Reply(Reply),
    Watch(Reply, bool),
    Blocked,
}

impl From<Reply> for Handled {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// Answers a request.
pub(crate) fn answer(server: &mut Server, request: &Incoming<'_>) -> Answer {
    let Ok(path) = form::unescape(request.path, false) else {
        return Answer::Whole(bad_request(request.method));
    };
    // A blocked request is asked again from the start, and counts once.
    let stats = (!server.can_commit()).then(|| server.local(request.endpoint).stats.clone());
    match route(server, request, &path) {
        Handled::Reply(reply) => Answer::Whole(reply.finish(request.method)),
        Handled::Watch(reply, stream) => Answer::Watch(reply.begin(), stream),
        Handled::Blocked => {
            if let Some(stats) = stats {
                server.local(request.endpoint).stats = stats;
            }
            Answer::Blocked
        }
    }
}

fn route(server: &mut Server, request: &Incoming<'_>, path: &[u8]) -> Handled {
    let reply = Reply::new();
    if request.method == Method::OPTIONS {
        return reply.into();
    }
    let clean = path::clean_keeping_slash(path);
    if path == b"/v3" {
        return redirect(reply, request, b"/v3/").into();
    }
    if clean != path {
        return redirect(reply, request, &clean).into();
    }
    match path {
        b"/version" => status::version(server, request, reply).into(),
        b"/health" => status::health(server, request, reply),
        _ if path.starts_with(b"/v3/") || path.starts_with(b"/v3beta/") => {
            status::gateway(server, reply).into()
        }
        _ if !server.v2 => reply.not_found().into(),
        b"/v2/machines" => members::machines(server, request, reply).into(),
        b"/v2/stats/store" => stats::store(server, request, reply).into(),
        b"/v2/stats/self" => stats::this_member(server, request, reply).into(),
        b"/v2/stats/leader" => stats::leader(server, request, reply).into(),
        b"/v2/auth/enable" => auth::switch(server, request, reply),
        _ => route_families(server, request, path, reply),
    }
}

fn route_families(
    server: &mut Server,
    request: &Incoming<'_>,
    path: &[u8],
    reply: Reply,
) -> Handled {
    if let Some(key) = family(path, b"/v2/keys") {
        return keys::handle(server, request, key, reply);
    }
    if let Some(rest) = family(path, b"/v2/members") {
        return members::handle(server, request, rest, reply);
    }
    if let Some(rest) = family(path, b"/v2/auth/users") {
        return auth::users(server, request, rest, reply);
    }
    if let Some(rest) = family(path, b"/v2/auth/roles") {
        return auth::roles(server, request, rest, reply);
    }
    reply.not_found().into()
}

/// What follows a prefix that stands alone or before a slash; the slash included.
fn family<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

fn redirect(mut reply: Reply, request: &Incoming<'_>, path: &[u8]) -> Reply {
    let mut location = path::escape(path);
    if !request.query.is_empty() {
        location.push('?');
        location.push_str(&String::from_utf8_lossy(request.query));
    }
    if matches!(*request.method, Method::GET | Method::HEAD) {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        reply.headers.insert(header::CONTENT_TYPE, html);
    }
    if request.method == Method::GET {
        let shown = escape_html(&location);
        let body = format!("<a href=\"{shown}\">Moved Permanently</a>.\n\n");
        reply.body = body.into_bytes();
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        reply.headers.insert(header::LOCATION, location);
    }
    reply.status(301)
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// What Go's server says to a request that it cannot read; etcd never sees it.
fn bad_request(method: &Method) -> Response<Vec<u8>> {
    // No caller reads the body that Go sends even after a HEAD.
    let body = if method == Method::HEAD {
        ""
    } else {
        "400 Bad Request"
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, plain);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
