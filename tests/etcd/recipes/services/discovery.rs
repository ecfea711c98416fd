//! Who serves, and where: instances register with their data, and know all others.

use std::{collections::BTreeMap, time::Duration};

use etcd_http::{
    recipes::{Cache, CacheChange, CacheEntry, RecipeError, Registry, Session},
    transport::Transport,
    v3::{KeyRange, Namespace},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Serialize};

/// What an instance tells the others about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) address: String,
    pub(crate) zone: String,
}

/// A change of a service: who is there, or not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Up(String, Instance),
    Down(String),
}

/// A process in a service: its lease, and its view of all instances.
pub(crate) struct Discovery<T> {
    session: Session<T>,
    registry: Registry<T>,
    prefix: String,
    instances: Cache<Instance>,
}

impl<T: Transport> Discovery<T> {
    /// Joins a service. The second value renews the lease and follows the instances: spawn it.
    pub(crate) async fn join(
        keys: &Namespace<T>,
        service: &str,
        ttl: Duration,
    ) -> Result<(Self, impl Future<Output = ()> + use<T>), RecipeError> {
        let prefix = format!("services/{service}/");
        let (session, renew) = Session::open(keys, ttl).await?;
        let (instances, follow) = Cache::json(keys, KeyRange::prefix(&prefix));
        let registry = Registry::new(&session, format!("services/{service}"));
        let this = Self {
            session,
            registry,
            prefix,
            instances,
        };
        let driver = async {
            futures::join!(renew, follow);
        };
        Ok((this, driver))
    }

    /// Does work with this instance registered: again after a loss of the lease, and not any more as soon as the work is done.
    /// If the process dies, its instance vanishes when the lease ends.
    pub(crate) async fn serve<O>(
        &self,
        id: &str,
        instance: &Instance,
        work: impl Future<Output = O>,
    ) -> Result<O, RecipeError> {
        let data = serde_json::to_vec(instance).map_err(RecipeError::abort)?;
        let output = self.registry.run_registered(id, data, work).await;
        // If no server confirms it, the lease ends by itself.
        let _ = self.session.close().await;
        output
    }

    /// Returns the instances by their ids, all of one moment. Sends nothing; in an outage it is what was known before.
    pub(crate) fn instances(&self) -> BTreeMap<String, Instance> {
        let known = self.instances.snapshot();
        let named = known
            .iter()
            .map(|it| (id(&self.prefix, it), it.value.clone()));
        named.collect()
    }

    /// Returns how old the view may be, once there is one.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.instances.last_heard()
    }

    /// Delivers the instances that are there, and then each change.
    pub(crate) fn changes(&self) -> BoxStream<'static, Change> {
        let prefix = self.prefix.clone();
        let updates = self.instances.changes();
        let changes = updates.flat_map(|update| stream::iter(update.changes));
        let named = changes.filter_map(move |change| {
            let change = match change {
                CacheChange::Added(new) | CacheChange::Changed { new, .. } => {
                    Some(Change::Up(id(&prefix, &new), new.value.clone()))
                }
                CacheChange::Removed(old) => Some(Change::Down(id(&prefix, &old))),
                // Another version of the program may write what this one cannot read.
                CacheChange::Invalid(_) | CacheChange::InvalidRemoved(_) => None,
            };
            async { change }
        });
        named.boxed()
    }
}

/// The id of an instance: its key without the prefix.
fn id(prefix: &str, entry: &CacheEntry<Instance>) -> String {
    let key = String::from_utf8_lossy(&entry.kv.key);
    key.strip_prefix(prefix).unwrap_or(&key).to_owned()
}
