use std::{convert::Infallible, sync::Arc, time::Duration};

use etcd_transport::Transport;

use crate::{
    base::endpoint::Endpoint,
    client::Client,
    endpoints::{set::EndpointSet, state::EndpointState, sync_policy::RefusedAddress},
    error::{Error, Result},
    pipeline::api::{Advertised, MemberSource},
};

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// More addresses than any cluster has. The rest of a longer list is ignored.
const MAX_ADDRESSES: usize = 100;

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

/// # Keeping up with the cluster's members
impl<T: Transport> Client<T> {
    /// Lists the cluster's members by v3, or by v2 (`GET /v2/members`) where v3 is not supported or refuses it, and adds
    /// the addresses that the [policy](crate::ClientBuilder::sync_policy) allows to the endpoints given to the client,
    /// which always stay. Addresses of an earlier sync that are no longer listed are removed. Requests under way are
    /// not affected.
    ///
    /// With [`prefer_leader`](crate::ClientBuilder::prefer_leader) it requests the leader, too.
    ///
    /// v3's list tells which members are learners, and they are left out. etcd 3.4, which is the first with learners, serves it
    /// always.
    ///
    /// # Errors
    /// Those of [`v3::ListMembers`](crate::v3::ListMembers) and [`v2::ListMembers`](crate::v2::ListMembers). The
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
            match pipeline.sync.check(url, &seeds) {
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

    /// Lists the members by the first API, or by the second where that is not supported or refuses it.
    async fn members(&self) -> Result<(MemberSource, Vec<Advertised>)> {
        let [first, second] = self.pipeline().apis.map(|api| api.member_source());
        match self.perform(&*first.members).await {
            Err(refused @ (Error::Unsupported(_) | Error::Etcd(_))) => {
                match self.perform(&*second.members).await {
                    // What the API says that is there tells more.
                    Err(Error::Unsupported(_)) if matches!(refused, Error::Etcd(_)) => Err(refused),
                    members => Ok((second, members?)),
                }
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
            let endpoint = pipeline.sync.check(url, &seeds).ok()?;
            set.find(&endpoint).map(|state| state.endpoint().clone())
        })
    }
}
