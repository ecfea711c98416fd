use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, header::LOCATION, uri::PathAndQuery};

use crate::{
    endpoints::set::{EndpointSet, EndpointState},
    operation::{Call, Reply},
};

const MAX_HOPS: u32 = 3;

/// Where a call is, and has been, sent.
///
/// etcd since 2.0 redirects only what is not a clean path, and this client sends clean paths alone. What redirects for
/// other reasons is a proxy. It is followed only to the client's own endpoints and within the same API, so that
/// neither a write nor a password goes where the user did not send it.
pub(crate) struct Hops<'a> {
    call: &'a Call,
    target: Cow<'a, PathAndQuery>,
    place: EndpointState,
    count: u32,
}

impl<'a> Hops<'a> {
    pub(crate) fn new(call: &'a Call, place: &EndpointState) -> Self {
        Self {
            call,
            target: Cow::Borrowed(&call.target),
            place: place.clone(),
            count: 0,
        }
    }

    pub(crate) fn target(&self) -> &PathAndQuery {
        &self.target
    }

    pub(crate) fn place(&self) -> &EndpointState {
        &self.place
    }

    /// Whether `reply` sends the call elsewhere; this is where, then. An error says where to, and why not.
    pub(crate) fn follow(&mut self, reply: &Reply, set: &EndpointSet) -> Result<bool, String> {
        let keeps_method = match reply.status.as_u16() {
            301 | 302 => false,
            307 | 308 => true,
            _ => return Ok(false),
        };
        let location = location(&reply.headers);
        let refuse = |why: &str| Err(format!("redirected to {location:?}, {why}"));
        // With 301 and 302 it is anybody's guess whether a write stays a write.
        if !keeps_method && !matches!(self.call.method, Method::GET | Method::HEAD) {
            return refuse("which is not followed for a write");
        }
        if self.count == MAX_HOPS {
            return refuse("one redirect too many");
        }
        let Some((place, target)) = self.resolve(&location, set) else {
            return refuse("which is none of the client's endpoints");
        };
        if api(target.path()) != api(self.call.target.path()) || !is_clean(target.path()) {
            return refuse("which is outside the API of the call");
        }
        self.count += 1;
        self.place = place;
        self.target = Cow::Owned(target);
        Ok(true)
    }

    /// The endpoint and the target there that a `Location` names.
    fn resolve(&self, location: &str, set: &EndpointSet) -> Option<(EndpointState, PathAndQuery)> {
        if location.starts_with('/') && !location.starts_with("//") {
            let here = self.place.endpoint();
            let absolute = here.uri(&location.parse().ok()?).ok()?;
            // A relative location counts from the host, not from the endpoint's base path.
            let at_host = Uri::builder()
                .scheme(absolute.scheme()?.clone())
                .authority(absolute.authority()?.clone())
                .path_and_query(location)
                .build()
                .ok()?;
            return Some((self.place.clone(), here.target_of(&at_host)?));
        }
        let uri: Uri = location.parse().ok()?;
        set.iter()
            .find_map(|place| Some((place.clone(), place.endpoint().target_of(&uri)?)))
    }
}

fn location(headers: &HeaderMap) -> Cow<'_, str> {
    headers.get(LOCATION).map_or(Cow::Borrowed(""), |value| {
        String::from_utf8_lossy(value.as_bytes())
    })
}

/// The first segment: `v2`, `v3`, `version`.
fn api(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// No segment that an HTTP stack on the way would fold.
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
        endpoints::set::{EndpointOrder, Endpoints},
        error::ErrorContext,
        operation::Repeat,
    };

    fn set(endpoints: &[&str]) -> Arc<EndpointSet> {
        let endpoints = endpoints.iter().map(|text| text.parse().unwrap()).collect();
        let endpoints = Endpoints::new(endpoints, EndpointOrder::AsGiven, Instant::now());
        endpoints.unwrap().current()
    }

    fn call(method: Method) -> Call {
        Call::new("test", method, "/v2/keys/k".to_owned(), Repeat::Always).unwrap()
    }

    /// A redirect by the first endpoint of a set.
    fn reply(set: &EndpointSet, status: u16, location: &str) -> Reply {
        let place = set.iter().next().unwrap().clone();
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]),
            body: bytes::Bytes::new(),
            context: ErrorContext {
                operation: "test",
                endpoint: place.endpoint().clone(),
                attempts: 1,
            },
            place,
            in_doubt: false,
        }
    }

    fn follow(method: Method, status: u16, location: &str) -> Result<(String, String), String> {
        let set = set(&["http://a:1", "http://b:2/etcd"]);
        let call = call(method);
        let reply = reply(&set, status, location);
        let mut hops = Hops::new(&call, &reply.place);
        hops.follow(&reply, &set)?;
        Ok((
            hops.place().endpoint().to_string(),
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
                format!("redirected to {elsewhere:?}, which is none of the client's endpoints")
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
        let call = call(Method::GET);
        let reply = reply(&set, 307, "/v2/keys/k");
        let mut hops = Hops::new(&call, &reply.place);
        for _ in 0..MAX_HOPS {
            assert!(hops.follow(&reply, &set).unwrap());
        }
        assert!(hops.follow(&reply, &set).is_err());
    }
}
