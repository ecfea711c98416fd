use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, header::LOCATION, uri::PathAndQuery};

use crate::{
    endpoints::{set::EndpointSet, state::EndpointState},
    pipeline::{
        answer::Reply,
        exchange::{Encoded, Prepared},
    },
};

const MAX_HOPS: u32 = 3;

/// The endpoint and target of a request, with the redirects that it has followed.
///
/// etcd since 2.0 redirects only paths that are not clean, and this client sends only clean paths. Other redirects come
/// from a proxy. They are followed only to the client's own endpoints and within the same API, so that neither a write
/// nor a password goes where the user did not send it.
pub(crate) struct Hops<'a> {
    encoded: &'a Encoded,
    target: Cow<'a, PathAndQuery>,
    endpoint: EndpointState,
    count: u32,
}

impl<'a> Hops<'a> {
    pub(crate) fn new(prepared: &'a Prepared, endpoint: &EndpointState) -> Self {
        let encoded = &prepared.encoded;
        Self {
            encoded,
            target: Cow::Borrowed(&encoded.target),
            endpoint: endpoint.clone(),
            count: 0,
        }
    }

    pub(crate) fn target(&self) -> &PathAndQuery {
        &self.target
    }

    pub(crate) fn endpoint(&self) -> &EndpointState {
        &self.endpoint
    }

    /// Follows a redirect, and returns whether `reply` is one. The error names the location and why it is not followed.
    pub(crate) fn follow(&mut self, reply: &Reply, set: &EndpointSet) -> Result<bool, String> {
        let keeps_method = match reply.status.as_u16() {
            301 | 302 => false,
            307 | 308 => true,
            _ => return Ok(false),
        };
        let location = location(&reply.headers);
        let refuse = |why: &str| Err(format!("redirected to {location:?}, {why}"));
        // 301 and 302 do not define whether a write stays a write.
        if !keeps_method && !matches!(self.encoded.method, Method::GET | Method::HEAD) {
            return refuse(match self.encoded.method {
                // A read of the v3 API is a POST, too.
                Method::POST => "which is not followed for a POST",
                _ => "which is not followed for a write",
            });
        }
        if self.count == MAX_HOPS {
            return refuse("one redirect too many");
        }
        let Some((endpoint, target)) = self.resolve(&location, set) else {
            return refuse("which is not one of the client's endpoints");
        };
        if api(target.path()) != api(self.encoded.target.path()) || !is_clean(target.path()) {
            return refuse("which is outside the API of the call");
        }
        self.count += 1;
        self.endpoint = endpoint;
        self.target = Cow::Owned(target);
        Ok(true)
    }

    /// Returns the endpoint and the target that a `Location` names.
    fn resolve(&self, location: &str, set: &EndpointSet) -> Option<(EndpointState, PathAndQuery)> {
        if location.starts_with('/') && !location.starts_with("//") {
            let here = self.endpoint.endpoint();
            let absolute = here.uri(&location.parse().ok()?).ok()?;
            // A relative location is resolved against the host, not against the endpoint's base path.
            let at_host = Uri::builder()
                .scheme(absolute.scheme()?.clone())
                .authority(absolute.authority()?.clone())
                .path_and_query(location)
                .build()
                .ok()?;
            return Some((self.endpoint.clone(), here.target_of(&at_host)?));
        }
        let uri: Uri = location.parse().ok()?;
        set.iter()
            .find_map(|state| Some((state.clone(), state.endpoint().target_of(&uri)?)))
    }
}

fn location(headers: &HeaderMap) -> Cow<'_, str> {
    headers.get(LOCATION).map_or(Cow::Borrowed(""), |value| {
        String::from_utf8_lossy(value.as_bytes())
    })
}

/// Returns the first segment: `v2`, `v3`, `version`.
fn api(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// Returns whether the path has no segment that an HTTP stack may normalize.
fn is_clean(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
    decoded
        .split(|&byte| byte == b'/')
        .skip(1)
        .all(|segment| segment != b"." && segment != b"..")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use http::StatusCode;

    use super::*;
    use crate::{
        endpoints::{
            protocol::Protocol,
            set::{EndpointOrder, Endpoints},
            wire::Wire,
        },
        pipeline::{
            call::{Call, Repeat},
            protocol::Plain,
        },
    };

    fn set(endpoints: &[&str]) -> Arc<EndpointSet> {
        let endpoints = endpoints.iter().map(|text| text.parse().unwrap()).collect();
        let endpoints = Endpoints::new(
            endpoints,
            EndpointOrder::AsGiven,
            Protocol::Gateway,
            Instant::now(),
        );
        endpoints.unwrap().current()
    }

    fn prepared(method: Method) -> Prepared {
        Prepared {
            call: Call::new("test", &Plain, Repeat::Always),
            wire: Wire::Http,
            encoded: Encoded::new("test", method, "/v2/keys/k".to_owned()).unwrap(),
            token: None,
        }
    }

    /// A redirect.
    fn reply(status: u16, location: &str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]),
            trailers: None,
            body: bytes::Bytes::new(),
        }
    }

    fn follow(method: Method, status: u16, location: &str) -> Result<(String, String), String> {
        let set = set(&["http://a:1", "http://b:2/etcd"]);
        let prepared = prepared(method);
        let mut hops = Hops::new(&prepared, set.iter().next().unwrap());
        hops.follow(&reply(status, location), &set)?;
        Ok((
            hops.endpoint().endpoint().to_string(),
            hops.target().to_string(),
        ))
    }

    #[test]
    fn a_read_follows_within_the_endpoints_and_the_api() {
        for status in [301, 302, 307, 308] {
            let same = follow(Method::GET, status, "/v2/keys/x?a=b").unwrap();
            assert_eq!(same, ("http://a:1".into(), "/v2/keys/x?a=b".into()));
            let other = follow(Method::GET, status, "http://b:2/etcd/v2/keys/x").unwrap();
            assert_eq!(other, ("http://b:2/etcd".into(), "/v2/keys/x".into()));
        }
    }

    #[test]
    fn a_write_follows_only_where_its_method_is_kept() {
        for status in [307, 308] {
            assert!(follow(Method::PUT, status, "/v2/keys/x").is_ok());
        }
        for status in [301, 302] {
            assert_eq!(
                follow(Method::DELETE, status, "/v2/keys/x").unwrap_err(),
                "redirected to \"/v2/keys/x\", which is not followed for a write"
            );
            let read = follow(Method::POST, status, "/v2/keys/x").unwrap_err();
            assert!(!read.contains("write"), "a read of v3 is a POST: {read}");
        }
    }

    #[test]
    fn nothing_follows_to_another_host_scheme_port_or_base() {
        for elsewhere in [
            "https://a:1/v2/keys/x",
            "http://a:2/v2/keys/x",
            "http://c/v2/keys/x",
            "http://b:2/v2/keys/x",
            "http://a:1@c/v2/keys/x",
            "//c/v2/keys/x",
            "",
            "v2/keys/x",
        ] {
            assert_eq!(
                follow(Method::GET, 307, elsewhere).unwrap_err(),
                format!("redirected to {elsewhere:?}, which is not one of the client's endpoints")
            );
        }
    }

    #[test]
    fn nothing_leaves_its_api() {
        for outside in [
            "/v3/kv/range",
            "/metrics",
            "/v2/../v3/kv",
            "/v2/%2e%2E/x",
            "/",
        ] {
            assert_eq!(
                follow(Method::GET, 307, outside).unwrap_err(),
                format!("redirected to {outside:?}, which is outside the API of the call")
            );
        }
    }

    #[test]
    fn the_fourth_redirect_is_one_too_many() {
        let set = set(&["http://a:1"]);
        let prepared = prepared(Method::GET);
        let reply = reply(307, "/v2/keys/k");
        let mut hops = Hops::new(&prepared, set.iter().next().unwrap());
        for _ in 0..MAX_HOPS {
            assert!(hops.follow(&reply, &set).unwrap());
        }
        assert!(hops.follow(&reply, &set).is_err());
    }
}
