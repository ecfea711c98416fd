use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{
    fake::FakeEtcd,
    v3::{message::kv, mvcc::Change},
};

/// A key of the v3 API, as it was at some revision.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The revision that created the key.
    pub create_revision: i64,
    /// The revision of the last change.
    pub mod_revision: i64,
    /// How often the key was put since its creation.
    pub version: i64,
    /// The id of the lease that the key is attached to; 0 for none.
    pub lease: i64,
}

/// A change of a key of the v3 API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChange {
    /// The key was written.
    Put(KeyValue),
    /// The key was deleted, by a request or with its lease.
    Delete {
        /// The key.
        key: Bytes,
        /// The revision that deleted it.
        revision: i64,
    },
}

/// A lease of the v3 API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The id.
    pub id: i64,
    /// The granted time to live.
    pub ttl: Duration,
    /// The time that is left, by the fake's clock. A lease that has ended stays until the leader's next check.
    pub remaining: Duration,
    /// The attached keys, sorted.
    pub keys: Vec<Bytes>,
}

/// A watch of the v3 API that is open.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenWatch {
    /// The endpoint that serves it.
    pub endpoint: usize,
    /// Its id, which is unique in its stream.
    pub watch_id: i64,
    /// The key, or the first of a range.
    pub key: Bytes,
    /// The end of the range: empty for one key, a zero byte for all keys from `key` on.
    pub range_end: Bytes,
    /// The first revision that it has not been told yet.
    pub next_revision: i64,
}

/// Filling the v3 store before a test. Nothing of this is logged.
impl FakeEtcd {
    /// Writes a key of the v3 store without a lease, as a client's put does; returns the store's revision. Neither users nor a
    /// missing quorum are in its way. It does nothing while the alarm of [`exhaust_space`](Self::exhaust_space) is on.
    ///
    /// ```
    /// # use etcd_http_fake::FakeEtcd;
    /// let etcd = FakeEtcd::new();
    /// assert_eq!(etcd.put("config/host", "db.example.com"), 2);
    /// let stored = etcd.get("config/host").unwrap();
    /// assert_eq!(stored.value, "db.example.com");
    /// ```
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> i64 {
        let request = kv::PutRequest {
            key: key.into(),
            value: value.into(),
            ..kv::PutRequest::default()
        };
        self.shared.with(|core| {
            // An alarm refuses it, and the revision tells.
            let _ = core.cluster.propose(0, request);
            core.cluster.state.v3.mvcc.revision()
        })
    }
}

/// Looking at the v3 store. Nothing of this is logged.
impl FakeEtcd {
    /// A key of the v3 store; `None` if it is missing. [`value`](Self::value) reads the v2 store.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<KeyValue> {
        self.shared.with(|core| {
            let mvcc = &core.cluster.state.v3.mvcc;
            mvcc.get(key.as_ref()).map(|kv| KeyValue::of(kv))
        })
    }

    /// The keys of the v3 store that begin with `prefix`, sorted.
    pub fn get_prefix(&self, prefix: impl AsRef<[u8]>) -> Vec<KeyValue> {
        self.shared.with(|core| {
            let mvcc = &core.cluster.state.v3.mvcc;
            let found = mvcc.live_from(prefix.as_ref());
            found
                .take_while(|kv| kv.key.starts_with(prefix.as_ref()))
                .map(|kv| KeyValue::of(kv))
                .collect()
        })
    }

    /// The revision of the v3 store. A new store has revision 1.
    pub fn revision(&self) -> i64 {
        self.shared
            .with(|core| core.cluster.state.v3.mvcc.revision())
    }

    /// All changes of the v3 store that are not compacted, in their order.
    ///
    /// ```
    /// # use etcd_http_fake::{FakeEtcd, KeyChange};
    /// # use etcd_transport::{Body, Transport, http};
    /// # use futures::executor::block_on;
    /// # let etcd = FakeEtcd::new();
    /// # let put = http::Request::post("http://localhost:2379/v3/kv/put")
    /// #     .body(Body::from(r#"{"key":"YQ==","value":"MQ=="}"#.to_owned())).unwrap();
    /// # block_on(etcd.send(put)).unwrap();
    /// // … a client puts "1" under "a" …
    /// let [KeyChange::Put(put)] = &etcd.history()[..] else { panic!() };
    /// assert_eq!((&put.key[..], &put.value[..], put.mod_revision), (&b"a"[..], &b"1"[..], 2));
    /// ```
    pub fn history(&self) -> Vec<KeyChange> {
        self.shared.with(|core| {
            let changes = core.cluster.state.v3.mvcc.changes_from(0);
            changes.map(|(_, change)| KeyChange::of(change)).collect()
        })
    }

    /// The changes of one key of the v3 store that are not compacted, in their order.
    pub fn history_of(&self, key: impl AsRef<[u8]>) -> Vec<KeyChange> {
        let mut history = self.history();
        history.retain(|change| change.key() == key.as_ref());
        history
    }

    /// The leases of the v3 API, that which ends first at the front.
    pub fn leases(&self) -> Vec<Lease> {
        self.shared.with(|core| {
            let leases = &core.cluster.state.v3.leases;
            let now = core.cluster.now;
            let all = leases.ids().filter_map(|id| Some((id, leases.get(id)?)));
            all.map(|(id, lease)| Lease {
                id,
                ttl: Duration::from_secs(lease.ttl.unsigned_abs()),
                remaining: lease.time_left(now),
                keys: lease.keys().cloned().collect(),
            })
            .collect()
        })
    }

    /// The watches of the v3 API that are open, in the order of the endpoints. The server's own, with which it waits for a lock,
    /// are among them.
    pub fn watches(&self) -> Vec<OpenWatch> {
        self.shared.with(|core| {
            let exchanges = &core.exchanges;
            let mut watches = Vec::new();
            for stores in core.cluster.states() {
                let open = stores.v3.watches.watched();
                watches.extend(open.map(|(id, watch_id, watch)| OpenWatch {
                    endpoint: exchanges.endpoint_of(id).unwrap_or_default(),
                    watch_id,
                    key: watch.key.clone(),
                    range_end: watch.range_end(),
                    next_revision: stores.v3.watches.next_revision(watch),
                }));
            }
            watches.sort_by_key(|watch| watch.endpoint);
            watches
        })
    }
}

impl KeyValue {
    fn of(kv: &kv::KeyValue) -> Self {
        Self {
            key: kv.key.clone(),
            value: kv.value.clone(),
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
        }
    }
}

impl KeyChange {
    /// The key that was changed.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put(kv) => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision that changed it.
    pub fn revision(&self) -> i64 {
        match self {
            Self::Put(kv) => kv.mod_revision,
            Self::Delete { revision, .. } => *revision,
        }
    }

    fn of(change: &Change) -> Self {
        let kv = &change.kv;
        if change.is_delete {
            Self::Delete {
                key: kv.key.clone(),
                revision: kv.mod_revision,
            }
        } else {
            Self::Put(KeyValue::of(kv))
        }
    }
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = (self.key.escape_ascii(), self.value.escape_ascii());
        write!(f, "\"{key}\" = \"{value}\" (revision {}", self.mod_revision)?;
        write!(
            f,
            ", created {}, version {}",
            self.create_revision, self.version
        )?;
        if self.lease != 0 {
            write!(f, ", lease {}", self.lease)?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for OpenWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, end) = (self.key.escape_ascii(), self.range_end.escape_ascii());
        write!(
            f,
            "watch {} at #{} of \"{key}\"",
            self.watch_id, self.endpoint
        )?;
        if !self.range_end.is_empty() {
            write!(f, " to \"{end}\"")?;
        }
        write!(f, " from revision {} on", self.next_revision)
    }
}
