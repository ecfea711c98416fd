use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use http::{
    Uri,
    uri::{self, Authority, PathAndQuery, Scheme},
};

/// The URL where etcd listens: scheme, host, port, and the path before `/v2` or `/v3` if a proxy adds one. Parsed once;
/// cheap to clone.
///
/// ```
/// use etcd_http::Endpoint;
///
/// let endpoint: Endpoint = "http://127.0.0.1:2379".parse()?;
/// assert_eq!(endpoint.to_string(), "http://127.0.0.1:2379");
/// assert!("127.0.0.1:2379".parse::<Endpoint>().is_err()); // The scheme is missing.
/// # Ok::<(), etcd_http::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    scheme: Scheme,
    authority: Authority,
    base: String,
}

impl Endpoint {
    /// The endpoint with this scheme, host and port, and this path before that of each request: it is empty, or begins with
    /// a slash and does not end with one.
    pub(crate) fn new(scheme: Scheme, authority: Authority, base: String) -> Self {
        Self(Arc::new(Parts {
            scheme,
            authority,
            base,
        }))
    }

    /// Returns the host: a name, or an address. An IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        self.0.authority.host()
    }

    /// Returns the port. Defaults to 80 for `http://` and 443 for `https://`.
    pub fn port(&self) -> u16 {
        port(&self.0.authority, &self.0.scheme)
    }

    /// Whether the port is given.
    pub(crate) fn has_port(&self) -> bool {
        self.0.authority.port().is_some()
    }

    /// Whether there is a path before that of each request.
    pub(crate) fn has_path(&self) -> bool {
        !self.0.base.is_empty()
    }

    /// Returns whether the scheme is `https://`.
    pub fn is_https(&self) -> bool {
        self.0.scheme == Scheme::HTTPS
    }

    /// Returns the host if it is an address, not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        let host = self.host();
        match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(v6) => v6.parse().ok().map(|v6: Ipv6Addr| v6.to_canonical()),
            None => host.parse().ok().map(|v4: Ipv4Addr| v4.into()),
        }
    }

    /// Returns whether the host is this machine, by name or address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host().trim_end_matches('.').to_ascii_lowercase();
        match self.ip() {
            Some(ip) => ip.is_loopback(),
            None => host == "localhost" || host.ends_with(".localhost"),
        }
    }

    /// Returns whether nobody on the way can read what is sent: credentials must not travel where they can be intercepted.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_https() || self.is_loopback()
    }

    /// Returns the URI of `target` (a path and query from etcd's root) at this endpoint.
    pub(crate) fn uri(&self, target: &PathAndQuery) -> http::Result<Uri> {
        let path_and_query = if self.0.base.is_empty() {
            target.clone()
        } else {
            format!("{}{target}", self.0.base).parse()?
        };
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.0.scheme.clone());
        parts.authority = Some(self.0.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Ok(Uri::from_parts(parts)?)
    }

    /// Returns the target within this endpoint that `uri` names, if any.
    pub(crate) fn target_of(&self, uri: &Uri) -> Option<PathAndQuery> {
        let same_host = uri.scheme() == Some(&self.0.scheme)
            && uri.authority().is_some_and(|authority| {
                authority
                    .host()
                    .eq_ignore_ascii_case(self.0.authority.host())
                    && port(authority, &self.0.scheme) == port(&self.0.authority, &self.0.scheme)
            });
        let target = uri.path_and_query()?.as_str();
        let within = target.strip_prefix(&self.0.base)?;
        same_host.then(|| within.parse().ok())?
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            scheme,
            authority,
            base,
        } = &*self.0;
        write!(f, "{scheme}://{authority}{base}")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

fn port(authority: &Authority, scheme: &Scheme) -> u16 {
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority.port_u16().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn a_target_is_put_behind_the_endpoint_and_its_base_path() {
        let target = "/v2/keys/a%2Fb?wait=true".parse().unwrap();
        for (text, uri) in [
            ("http://h:1", "http://h:1/v2/keys/a%2Fb?wait=true"),
            ("http://h:1/", "http://h:1/v2/keys/a%2Fb?wait=true"),
            (
                "https://[::1]:1/etcd/",
                "https://[::1]:1/etcd/v2/keys/a%2Fb?wait=true",
            ),
        ] {
            assert_eq!(endpoint(text).uri(&target).unwrap().to_string(), uri);
        }
    }

    #[test]
    fn a_location_is_within_an_endpoint_only_with_its_scheme_host_port_and_base() {
        let inside = |base: &str, uri: &str| endpoint(base).target_of(&uri.parse().unwrap());
        assert!(inside("http://h:80", "http://H/v2/keys").is_some());
        assert!(inside("https://h", "https://h:443/v2/keys").is_some());
        assert_eq!(inside("http://h/e", "http://h/e/v2").unwrap(), "/v2");
        for (base, uri) in [
            ("http://h", "https://h/v2/keys"),
            ("http://h", "http://h:81/v2/keys"),
            ("http://h", "http://g/v2/keys"),
            ("http://h", "http://u@g/v2/keys"),
            ("http://h/e", "http://h/v2/keys"),
        ] {
            assert_eq!(inside(base, uri), None, "{uri}");
        }
    }

    #[test]
    fn loopback_is_recognized_by_name_and_by_address() {
        for text in [
            "http://localhost",
            "http://LocalHost.:1",
            "http://etcd.localhost",
            "http://127.8.9.10",
            "http://[::1]:2379",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(endpoint(text).is_loopback(), "{text}");
        }
        for text in [
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://[::2]",
            "http://notlocalhost",
        ] {
            assert!(!endpoint(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn credentials_may_be_sent_where_they_cannot_be_intercepted() {
        for (text, may) in [
            ("https://etcd:2379", true),
            ("http://127.0.0.1:2379", true),
            ("http://[::1]:2379", true),
            ("http://localhost", true),
            ("http://etcd:2379", false),
            ("http://10.0.0.1:2379", false),
        ] {
            assert_eq!(endpoint(text).is_secure(), may, "{text}");
        }
    }

    #[test]
    fn what_an_endpoint_is_made_of_can_be_asked() {
        let secure = endpoint("https://[2001:db8::1]/etcd");
        assert!(secure.is_https());
        assert_eq!((secure.host(), secure.port()), ("[2001:db8::1]", 443));
        assert_eq!(secure.ip(), Some("2001:db8::1".parse().unwrap()));
        let plain = endpoint("http://etcd:2379");
        assert_eq!(
            (plain.host(), plain.port(), plain.ip()),
            ("etcd", 2379, None)
        );
    }
}
