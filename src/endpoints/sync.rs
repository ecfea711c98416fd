use std::{convert::Infallible, fmt, net::IpAddr, sync::Arc, time::Duration};

use etcd_transport::Transport;

use crate::{
    auth::basic::Credentials,
    client::Client,
    endpoints::{endpoint::Endpoint, set::EndpointSet, state::EndpointState},
    error::{Error, Result},
    member_sources,
    pipeline::exchange::TypedExchange,
};

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// More addresses than any cluster has. The rest of a longer list is ignored.
const MAX_ADDRESSES: usize = 100;

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
    fn judge(&self, url: &str, seeds: &[Endpoint]) -> Result<Endpoint, String> {
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
        if self.only_secure && !Credentials::may_go_to(&endpoint) {
            return Err("credentials would be sent over plain http".to_owned());
        }
        if endpoint.is_loopback() && !seeds.iter().any(Endpoint::is_loopback) {
            return Err("this machine, which none of the client's own endpoints is".to_owned());
        }
        if is_odd(endpoint.host()) && endpoint.ip().is_none()
            || endpoint.ip().is_some_and(is_nobodys)
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

/// The result of a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Synced {
    /// The client's endpoints after the sync.
    pub endpoints: Vec<Endpoint>,
    /// The endpoints that were added.
    pub added: Vec<Endpoint>,
    /// The endpoints that were removed: never one of those given to the client.
    pub removed: Vec<Endpoint>,
    /// The addresses that are not used.
    pub refused: Vec<RefusedAddress>,
    /// The endpoint of the leader, with [`prefer_leader`](crate::ClientBuilder::prefer_leader) and if it is one of the
    /// client's.
    pub leader: Option<Endpoint>,
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

/// Lists the members of the cluster through one API.
pub(crate) struct MemberSource {
    pub(crate) members: Box<dyn TypedExchange<Decoded = Vec<Advertised>>>,
    /// Requests the leader, whose addresses may be missing.
    pub(crate) leader: Box<dyn TypedExchange<Decoded = Advertised>>,
}

/// A member and its client URLs.
pub(crate) struct Advertised {
    pub(crate) id: String,
    pub(crate) client_urls: Vec<String>,
}

/// # Keeping up with the cluster's members
impl<T: Transport> Client<T> {
    /// Lists the cluster's members (`GET /v2/members`, or `POST /v3/cluster/member/list` if v2 is disabled) and adds
    /// the addresses that the [policy](crate::ClientBuilder::sync_policy) allows to the endpoints given to the client,
    /// which always stay. Addresses of an earlier sync that are no longer listed are removed. Requests under way are
    /// not affected.
    ///
    /// With [`prefer_leader`](crate::ClientBuilder::prefer_leader) it requests the leader, too.
    ///
    /// # Errors
    /// Those of [`v2::ListMembers`](crate::v2::ListMembers) and [`v3::ListMembers`](crate::v3::ListMembers). The
    /// endpoints then stay as they are.
    pub async fn sync(&self) -> Result<Synced> {
        let (source, members) = self.members().await?;
        let leader = if self.pipeline().prefer_leader {
            self.perform(&*source.leader).await.ok()
        } else {
            None
        };
        let mut synced =
            self.merge_endpoints(members.iter().flat_map(|member| &member.client_urls));
        if self.pipeline().prefer_leader {
            synced.leader = leader.and_then(|leader| {
                let listed = members.iter().find(|it| it.id == leader.id);
                let urls = Some(&leader.client_urls).filter(|urls| !urls.is_empty());
                self.known(urls.or(listed.map(|it| &it.client_urls))?)
            });
            self.pipeline().endpoints.set_leader(synced.leader.as_ref());
        }
        Ok(synced)
    }

    /// Replaces the addresses of an earlier sync by those of these addresses that the
    /// [policy](crate::ClientBuilder::sync_policy) allows. The endpoints given to the client stay. For addresses from
    /// another source, such as a new [DNS](crate::Discovery) lookup. If none is allowed, nothing changes.
    pub fn merge_endpoints<U: AsRef<str>>(&self, urls: impl IntoIterator<Item = U>) -> Synced {
        let pipeline = self.pipeline();
        let seeds: Vec<Endpoint> = pipeline.endpoints.seeds().cloned().collect();
        let mut allowed = Vec::new();
        let mut refused = Vec::new();
        for url in urls.into_iter().take(MAX_ADDRESSES) {
            let url = url.as_ref();
            match pipeline.sync.judge(url, &seeds) {
                Ok(endpoint) => allowed.push(endpoint),
                Err(reason) => refused.push(RefusedAddress {
                    url: url.to_owned(),
                    reason,
                }),
            }
        }
        let (before, now) = if allowed.is_empty() {
            let set = pipeline.endpoints.current();
            (Arc::clone(&set), set)
        } else {
            pipeline.endpoints.replace(&allowed)
        };
        let difference = |set: &EndpointSet, other: &EndpointSet| {
            let endpoints = set.iter().map(EndpointState::endpoint);
            let missing = endpoints.filter(|endpoint| other.find(endpoint).is_none());
            missing.cloned().collect()
        };
        Synced {
            endpoints: now.iter().map(EndpointState::endpoint).cloned().collect(),
            added: difference(&now, &before),
            removed: difference(&before, &now),
            refused,
            leader: None,
        }
    }

    /// Syncs immediately, and then again after each `interval`, at least a second, as long as the future is polled:
    /// spawn it, and abort the task to end it. An error does not end it; the next sync may succeed. Each pause is
    /// shortened by up to a tenth, so that many clients do not sync at the same time.
    ///
    /// ```
    /// # use etcd_http::{Client, transport::Transport};
    /// # use std::time::Duration;
    /// # fn example<T: Transport>(client: &Client<T>) {
    /// let keep = tokio::spawn(client.keep_synced(Duration::from_secs(60)));
    /// // …
    /// keep.abort();
    /// # }
    /// ```
    pub fn keep_synced(
        &self,
        interval: Duration,
    ) -> impl Future<Output = Infallible> + Send + 'static + use<T> {
        let client = self.clone();
        async move {
            loop {
                // A failure is reported to the observer, and as an event.
                let _ = client.sync().await;
                let pause = interval
                    .max(SHORTEST_INTERVAL)
                    .mul_f64(1.0 - fastrand::f64() / 10.0);
                client.transport().sleep(pause).await;
            }
        }
    }

    /// Lists the members through each API in turn, until one is supported.
    async fn members(&self) -> Result<(MemberSource, Vec<Advertised>)> {
        let [first, second] = member_sources();
        match self.perform(&*first.members).await {
            Err(Error::Unsupported(_)) => {
                let members = self.perform(&*second.members).await?;
                Ok((second, members))
            }
            members => Ok((first, members?)),
        }
    }

    /// Returns the first of the client's endpoints that one of these URLs stands for.
    fn known(&self, urls: &[String]) -> Option<Endpoint> {
        let pipeline = self.pipeline();
        let seeds: Vec<Endpoint> = pipeline.endpoints.seeds().cloned().collect();
        let set = pipeline.endpoints.current();
        urls.iter().find_map(|url| {
            let endpoint = pipeline.sync.judge(url, &seeds).ok()?;
            set.find(&endpoint).map(|state| state.endpoint().clone())
        })
    }
}

/// Returns whether the host is an address in an obsolete notation: `127.1`, `0xa9fea9fe` and `2852039166` are addresses
/// to some resolvers, and names elsewhere.
fn is_odd(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    host.contains(['[', '%'])
        || last.is_none_or(|label| label.starts_with(|first: char| first.is_ascii_digit()))
}

/// Returns whether no member can have this address.
fn is_nobodys(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    link_local || ip.is_unspecified() || ip.is_multicast()
}
