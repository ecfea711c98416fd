//! Which endpoint serves a path, as etcd's `http.ServeMux` decides.

use http::{HeaderValue, Method, Response, StatusCode, header};

use super::status;
use crate::{
    go::{form::unescape, path, reply::Reply},
    state::EtcdCluster,
    v2::api::{self, Handled, Incoming},
};

/// The response to a request, framed.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole(Response<Vec<u8>>),
    /// The head of a watch, and whether more than one event follows.
    Watch(Response<()>, bool),
    /// There is no quorum. The request is answered again when there is one, or when it has timed out.
    Blocked,
    /// The gateway serves this path, which is decoded and clean.
    Gateway(Vec<u8>),
    Metrics,
}

/// Responds to a request over HTTP/1.1.
pub(crate) fn answer(cluster: &mut EtcdCluster, request: &Incoming<'_>) -> Answer {
    let Ok(path) = unescape(request.path, false) else {
        return Answer::Whole(bad_request(request.method));
    };
    // A blocked request is answered again from the start, but counted once.
    let stats = (!cluster.can_commit_at(request.endpoint))
        .then(|| cluster.local(request.endpoint).v2.stats.clone());
    let handled = match route(cluster, request, &path) {
        Routed::Handled(handled) => handled,
        Routed::Gateway => return Answer::Gateway(path.into_owned()),
        Routed::Metrics => return Answer::Metrics,
    };
    match handled {
        Handled::Reply(reply) => Answer::Whole(reply.finish(request.method)),
        Handled::Watch(reply, is_stream) => Answer::Watch(reply.begin(), is_stream),
        Handled::Blocked => {
            if let Some(stats) = stats {
                cluster.local(request.endpoint).v2.stats = stats;
            }
            Answer::Blocked
        }
    }
}

/// The gateway shows the server's certificate to the server.
const COMMON_NAME: &str = "CommonName of client sending a request against gateway will be ignored and not used as expected";

/// What serves a path.
enum Routed {
    Handled(Handled),
    Gateway,
    Metrics,
}

fn route(cluster: &mut EtcdCluster, request: &Incoming<'_>, path: &[u8]) -> Routed {
    if is_gateway(path) && request.method != Method::OPTIONS {
        if request.common_name.is_some_and(|name| !name.is_empty())
            && cluster.local(request.endpoint).v3.auth.is_enabled()
        {
            return Routed::Handled(Reply::new().text(400, COMMON_NAME).into());
        }
        return Routed::Gateway;
    }
    if path == b"/metrics" && request.method != Method::OPTIONS {
        return Routed::Metrics;
    }
    Routed::Handled(handle(cluster, request, path))
}

/// Whether a clean path is one of the v3 API.
fn is_gateway(path: &[u8]) -> bool {
    let is_v3 = path.starts_with(b"/v3/") || path.starts_with(b"/v3beta/");
    is_v3 && *path::clean_keeping_slash(path) == *path
}

fn handle(cluster: &mut EtcdCluster, request: &Incoming<'_>, path: &[u8]) -> Handled {
    let reply = Reply::new();
    if request.method == Method::OPTIONS {
        return reply.into();
    }
    let clean = path::clean_keeping_slash(path);
    if path == b"/v3" {
        return redirect(reply, request, b"/v3/").into();
    }
    if *clean != *path {
        return redirect(reply, request, &clean).into();
    }
    match path {
        b"/version" => status::version(cluster, request, reply).into(),
        b"/health" => status::health(cluster, request, reply),
        _ if !cluster.state.is_v2_enabled => reply.not_found().into(),
        _ => api::handle(cluster, request, path, reply),
    }
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

/// Go's response to a path that it cannot decode. etcd never sees the request.
fn bad_request(method: &Method) -> Response<Vec<u8>> {
    // Go sends a body even after a HEAD, but no client reads it.
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
