use std::{fmt, net::IpAddr, sync::Arc};

use crate::{base::endpoint::Endpoint, error::Result};

type Rewrite = dyn Fn(&str) -> Option<String> + Send + Sync;
type Allow = dyn Fn(&Endpoint) -> bool + Send + Sync;

/// Decides which of the addresses that members advertise are used.
///
/// Members advertise what they were configured to: often an address that is not reachable from here. A compromised
/// server may name any host, and credentials would follow. So an address is used only if
///
/// - it is an `http://` or `https://` URL, after the [rewrite](Self::rewrite) if there is one;
/// - its scheme is that of the endpoints given to the client; if any of these is `https://`, no `http://` address is
///   used;
/// - the client's [credentials](crate::ClientBuilder::basic_auth), if any, may be sent there;
/// - its host is not unspecified (`0.0.0.0`), multicast, or link-local (`169.254.169.254` serves cloud metadata), and
///   is not this machine unless a given endpoint is;
/// - [`allow`](Self::allow) returns `true`, if set. Set it if the client has credentials.
///
/// ```
/// use etcd_http::SyncPolicy;
///
/// let policy = SyncPolicy::new()
///     // Members advertise addresses of their own network; from here they are reached through tunnels.
///     .rewrite(|url| Some(url.replace("10.1.0.", "192.168.7.")))
///     .allow(|endpoint| endpoint.host().starts_with("192.168.7."));
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct SyncPolicy {
    rewrite: Option<Arc<Rewrite>>,
    allow: Option<Arc<Allow>>,
    only_secure: bool,
}

impl SyncPolicy {
    /// Creates a policy of the rules above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps each URL that a member advertises to the one to use, or to `None` if it is not used.
    pub fn rewrite(
        mut self,
        rewrite: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.rewrite = Some(Arc::new(rewrite));
        self
    }

    /// Uses only endpoints for which this returns `true`. It is applied after the other rules and overrides none of
    /// them.
    pub fn allow(mut self, allow: impl Fn(&Endpoint) -> bool + Send + Sync + 'static) -> Self {
        self.allow = Some(Arc::new(allow));
        self
    }

    /// Whether the client has credentials that need a secure endpoint.
    pub(crate) fn only_secure(mut self, only_secure: bool) -> Self {
        self.only_secure = only_secure;
        self
    }

    /// Returns the endpoint for a URL, or why it is not used.
    pub(crate) fn check(&self, url: &str, seeds: &[Endpoint]) -> Result<Endpoint, String> {
        let rewritten = match &self.rewrite {
            Some(rewrite) => rewrite(url).ok_or("dropped by the rewrite")?,
            None => url.to_owned(),
        };
        let endpoint: Endpoint = rewritten.parse().map_err(|error| format!("{error}"))?;
        if seeds.contains(&endpoint) {
            return Ok(endpoint);
        }
        let https = seeds.iter().any(Endpoint::is_https);
        if endpoint.is_https() != https {
            let scheme = if https { "https" } else { "http" };
            return Err(format!("not {scheme}:// like the client's own endpoints"));
        }
        if self.only_secure && !endpoint.is_secure() {
            return Err("credentials would be sent over plain http".to_owned());
        }
        if endpoint.is_loopback() && !seeds.iter().any(Endpoint::is_loopback) {
            return Err("this machine, which none of the client's own endpoints is".to_owned());
        }
        if is_obsolete_address(endpoint.host()) && endpoint.ip().is_none()
            || endpoint.ip().is_some_and(is_reserved)
        {
            return Err("not an address that a member can have".to_owned());
        }
        match &self.allow {
            Some(allow) if !allow(&endpoint) => Err("not allowed by the policy".to_owned()),
            _ => Ok(endpoint),
        }
    }
}

impl fmt::Debug for SyncPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncPolicy")
            .field("rewrite", &self.rewrite.is_some())
            .field("allow", &self.allow.is_some())
            .field("only_secure", &self.only_secure)
            .finish()
    }
}

/// An address that a sync did not use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedAddress {
    /// The address as it was advertised.
    pub url: String,
    /// Why the address is not used.
    pub reason: String,
}

impl RefusedAddress {
    /// An address, and why it is not used. For your own tests.
    pub fn new(url: impl AsRef<str>, reason: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            reason: reason.as_ref().to_owned(),
        }
    }
}

/// Returns whether the host is an address in an obsolete notation: `127.1`, `0xa9fea9fe` and `2852039166` are addresses
/// to some resolvers, and names elsewhere.
fn is_obsolete_address(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    host.contains(['[', '%'])
        || last.is_none_or(|label| label.starts_with(|first: char| first.is_ascii_digit()))
}

/// Returns whether no member can have this address.
fn is_reserved(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    link_local || ip.is_unspecified() || ip.is_multicast()
}
