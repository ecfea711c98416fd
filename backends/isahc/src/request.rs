use std::time::Duration;

use etcd_transport::{
    Body, Duplex, IdleLimit, Request, TransportError,
    http::{self, Method, Uri, Version, request::Parts},
    http_body::Body as _,
};
use isahc::{
    AsyncBody,
    config::{Configurable, ExpectContinue, RedirectPolicy, VersionNegotiation},
};

use crate::body;

/// Converts a request for isahc, with all settings that the contract demands.
///
/// Its body is [`AsyncBody::empty`] exactly if libcurl could send the request again on its own.
pub(crate) fn outgoing(
    request: Request,
    idle_limit: Duration,
) -> Result<http::Request<AsyncBody>, TransportError> {
    let (head, content) = request.into_parts();
    check(&head, &content).map_err(TransportError::rejected)?;
    let idle_limit = head
        .extensions
        .get()
        .map_or(idle_limit, |IdleLimit(limit)| *limit);
    let http2 = head.version == Version::HTTP_2;
    let mut request = http::Request::builder()
        .method(head.method)
        .uri(head.uri)
        .redirect_policy(RedirectPolicy::None)
        .automatic_decompression(false)
        .expect_continue(ExpectContinue::disabled())
        // isahc does not notice that an exchange was dropped until the next byte arrives. This limits the wait.
        .low_speed_timeout(1, whole_seconds(idle_limit))
        // Over HTTP/1.1 a connection serves one exchange at a time, so one that is closed afterwards is never reused.
        .version_negotiation(if http2 {
            VersionNegotiation::http2()
        } else {
            VersionNegotiation::http11()
        })
        .body(body::outgoing(content, http2))
        .map_err(TransportError::rejected)?;
    *request.headers_mut() = head.headers;
    Ok(request)
}

/// Rejects what isahc or libcurl would panic at, change, or not understand.
fn check(head: &Parts, content: &Body) -> Result<(), &'static str> {
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err("the URI's scheme is neither http nor https");
    }
    if head
        .uri
        .authority()
        .is_none_or(|authority| authority.as_str().contains('@'))
    {
        // libcurl would make a header of the credentials.
        return Err("the URI has no authority, or one with credentials");
    }
    if has_dot_segment(&head.uri) {
        return Err("libcurl would resolve the segments `.` and `..` of the path");
    }
    if head.headers.values().any(|value| value.to_str().is_err()) {
        return Err("isahc cannot send a header value beyond visible ASCII");
    }
    if head.extensions.get::<Duplex>().is_some() {
        return Err("isahc ends the body of a request when the response begins");
    }
    if head.method == Method::HEAD && (head.version == Version::HTTP_2 || !content.is_end_stream())
    {
        return Err("isahc cannot send HEAD with a body, nor by HTTP/2");
    }
    Ok(())
}

fn has_dot_segment(uri: &Uri) -> bool {
    let mut after_dots = uri.path().split('/').filter_map(after_dot);
    after_dots.any(|rest| rest.is_empty() || after_dot(rest) == Some(""))
}

/// Returns what follows the dot, escaped or not, that a segment begins with.
fn after_dot(segment: &str) -> Option<&str> {
    let dots = [".", "%2e", "%2E"];
    dots.iter().find_map(|dot| segment.strip_prefix(dot))
}

/// Rounds the limit up to seconds, which libcurl counts in, and adds one: the caller's own timeout is to come first.
fn whole_seconds(limit: Duration) -> Duration {
    let most = Duration::from_secs(i32::MAX as u64 - 2);
    let limit = limit.min(most);
    let begun = u64::from(limit.subsec_nanos() > 0);
    Duration::from_secs(limit.as_secs() + begun + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Request {
        http::Request::get(uri).body(Body::empty()).unwrap()
    }

    #[test]
    fn only_whole_dot_segments_are_rejected() {
        for path in ["/a/../b", "/.", "/a/%2e%2E/b", "/a/.%2e"] {
            let request = request(&format!("http://etcd{path}"));
            assert!(outgoing(request, Duration::ZERO).is_err(), "{path}");
        }
        for path in ["/", "/a//b", "/...", "/.a/b.", "/a?b=/../c"] {
            let request = request(&format!("http://etcd{path}"));
            assert!(outgoing(request, Duration::ZERO).is_ok(), "{path}");
        }
    }

    #[test]
    fn credentials_in_a_uri_are_rejected_and_not_shown() {
        let error = outgoing(request("http://root:secret@etcd/"), Duration::ZERO).unwrap_err();
        assert!(error.is_unsent());
        assert!(!format!("{error:?}").contains("secret"));
    }

    #[test]
    fn the_idle_limit_is_rounded_up_and_never_too_large_for_libcurl() {
        assert_eq!(whole_seconds(Duration::ZERO).as_secs(), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1500)).as_secs(), 3);
        assert!(whole_seconds(Duration::MAX).as_secs() <= i32::MAX as u64);
    }

    #[test]
    fn a_body_is_empty_exactly_if_there_is_none_over_http_1() {
        let body = |version, content: &'static str| {
            let request = http::Request::put("http://etcd/").version(version);
            let request = request.body(Body::from(content)).unwrap();
            outgoing(request, Duration::ZERO).unwrap().into_body()
        };
        assert!(body(Version::HTTP_11, "").is_empty());
        assert!(!body(Version::HTTP_11, "value=1").is_empty());
        assert!(!body(Version::HTTP_2, "").is_empty());
    }
}
