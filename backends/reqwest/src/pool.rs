//! The reqwest clients for one way to connect: one for usual requests, others for long-lived ones.
//!
//! A reqwest client has one HTTP/2 connection per origin, and the server limits its streams: requests beyond the limit
//! wait until a stream ends. reqwest reports neither the limit nor which requests wait. So long-lived requests have
//! clients of their own, and each of these carries a fixed number of them.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use etcd_transport::{ShardLease, Shards, TransportError};
use reqwest::Client;

use crate::followed_files::FollowedFiles;

/// Far below 100, the least limit that RFC 9113 recommends to servers, as some are configured for less, and a request beyond
/// the limit waits until another ends. Usual limits are 100 (haproxy, nghttpx), 128 (nginx, AWS's load balancers), 250 (Go's
/// HTTP server) and none (etcd's gRPC server).
const STREAMS_PER_CONNECTION: usize = 16;

/// A client, or why there is none: the reason why each request is rejected.
pub(crate) type BuiltClient = Result<Client, Arc<dyn std::error::Error + Send + Sync>>;

pub(crate) enum Pool {
    /// One client of the user's, or none, for all requests.
    Given(BuiltClient),
    Building(Building),
}

/// Clients that are built when they are needed, and again when a file has changed.
pub(crate) struct Building {
    build: Box<dyn Fn() -> BuiltClient + Send + Sync>,
    /// What the clients are built from, if it can change.
    files: Option<FollowedFiles>,
    /// For all requests that are not long-lived. `None` before the first.
    shared: ArcSwapOption<BuiltClient>,
    /// Locked while the shared client is built.
    building: Mutex<()>,
    long_lived: Shards<Client>,
}

/// The client for one request.
pub(crate) enum ChosenClient {
    Shared(Client),
    LongLived(Lease),
}

/// The place of a long-lived exchange on a client. Dropping it makes room for another.
pub(crate) type Lease = ShardLease<Client>;

impl Pool {
    pub(crate) fn building(
        files: Option<FollowedFiles>,
        build: impl Fn() -> BuiltClient + Send + Sync + 'static,
    ) -> Self {
        Self::Building(Building {
            build: Box::new(build),
            files,
            shared: ArcSwapOption::empty(),
            building: Mutex::default(),
            long_lived: Shards::new(STREAMS_PER_CONNECTION),
        })
    }

    pub(crate) fn set_streams_per_connection(&mut self, streams: usize) {
        if let Self::Building(building) = self {
            building.long_lived = Shards::new(streams);
        }
    }

    /// Returns the client for requests that are not long-lived.
    pub(crate) fn shared(&self) -> Result<Client, TransportError> {
        let built = match self {
            Self::Given(client) => client.clone(),
            Self::Building(building) => building.shared(),
        };
        built.map_err(TransportError::rejected)
    }

    /// Returns a client for a long-lived request.
    pub(crate) fn long_lived(&self) -> Result<ChosenClient, TransportError> {
        match self {
            Self::Given(_) => self.shared().map(ChosenClient::Shared),
            Self::Building(building) => building.lease().map(ChosenClient::LongLived),
        }
    }

    /// No connection could be made: the reason may be a certificate that has been replaced.
    pub(crate) fn connection_failed(&self) {
        if let Self::Building(Building {
            files: Some(files), ..
        }) = self
        {
            files.look_soon();
        }
    }
}

impl Building {
    fn shared(&self) -> BuiltClient {
        self.follow_files();
        if let Some(built) = &*self.shared.load() {
            return BuiltClient::clone(built);
        }
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have built it meanwhile.
        if let Some(built) = &*self.shared.load() {
            return BuiltClient::clone(built);
        }
        let built = (self.build)();
        self.shared.store(Some(Arc::new(built.clone())));
        built
    }

    fn lease(&self) -> Result<Lease, TransportError> {
        self.follow_files();
        let build = || (self.build)().map_err(TransportError::rejected);
        self.long_lived.lease(build)
    }

    /// Builds the shared client again if a file has changed; those for long-lived requests are built when they are needed. What cannot
    /// be built, as files that do not fit together, is not used, and tried again.
    ///
    /// A client that is replaced goes with its idle connections. Exchanges that are open keep theirs to their ends.
    fn follow_files(&self) {
        let Some(files) = &self.files else {
            return;
        };
        files.follow(|| {
            let built = (self.build)();
            let is_better = built.is_ok();
            if is_better {
                self.shared.store(Some(Arc::new(built)));
                self.long_lived.clear();
            }
            is_better
        });
    }
}

impl ChosenClient {
    /// What the body of the response keeps until it ends.
    pub(crate) fn into_lease(self) -> Option<Lease> {
        match self {
            Self::Shared(_) => None,
            Self::LongLived(lease) => Some(lease),
        }
    }
}

impl Deref for ChosenClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            Self::Shared(client) => client,
            Self::LongLived(lease) => lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_the_users_carries_all_requests() {
        let client = crate::builder::recommended().build();
        let pool = Pool::Given(client.map_err(|error| Arc::new(error) as _));
        assert!(matches!(
            pool.long_lived().unwrap(),
            ChosenClient::Shared(_)
        ));
    }
}
