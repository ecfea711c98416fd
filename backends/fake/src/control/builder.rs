use std::time::{Duration, SystemTime};

use crate::{
    cluster::{
        clock::{Clock, Expiry},
        core::{Core, Shared},
        endpoint::Endpoint,
        membership::Membership,
        replication::Cluster,
        request_log::RequestLog,
        timeline::Timeline,
    },
    fake::FakeEtcd,
    profile::Profile,
    state::{RequestSizes, Stores},
};

/// 2020-01-01T00:00:00Z: the default start of a clock that does not follow real time.
const DEFAULT_START: u64 = 1_577_836_800;

/// Configures a fake.
///
/// ```
/// # use std::time::Duration;
/// # use etcd_http_fake::{Clock, FakeEtcd, Profile};
/// let etcd = FakeEtcd::builder()
///     .profile(Profile::V3_4)
///     .members(3)
///     .clock(Clock::auto())
///     .seed(42)
///     .build();
/// assert_eq!(etcd.endpoints().len(), 3);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FakeEtcdBuilder {
    profile: Profile,
    v2: bool,
    quota: Option<i64>,
    progress_interval: Option<Duration>,
    sizes: RequestSizes,
    token_ttl: Option<Duration>,
    seed: u64,
    members: Vec<(String, String)>,
    /// Which of them is a learner.
    learner: Option<usize>,
    clock: Clock,
    expiry: Expiry,
    start: Option<SystemTime>,
    log_capacity: usize,
}

impl Default for FakeEtcdBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            v2: true,
            quota: None,
            progress_interval: None,
            sizes: RequestSizes::default(),
            token_ttl: None,
            seed: 0,
            members: Vec::new(),
            learner: None,
            clock: Clock::default(),
            expiry: Expiry::default(),
            start: None,
            log_capacity: 10_000,
        }
    }
}

impl FakeEtcdBuilder {
    /// The version to behave as. Defaults to 3.5.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Whether the v2 API is on (`--enable-v2`). Defaults to true.
    pub fn v2(mut self, on: bool) -> Self {
        self.v2 = on;
        self
    }

    /// How many bytes the v3 store may take (`--quota-backend-bytes`). Defaults to no limit. The fake's sizes are not etcd's.
    pub fn quota(mut self, bytes: i64) -> Self {
        self.quota = Some(bytes);
        self
    }

    /// How often a v3 watch with `progress_notify` and without events gets a report of its progress
    /// (`--experimental-watch-progress-notify-interval`). Defaults to 10 min, to which etcd adds up to a tenth at random.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.progress_interval = Some(interval);
        self
    }

    /// How many comparisons, and operations in a branch, a v3 transaction may have (`--max-txn-ops`). Defaults to 128.
    pub fn max_txn_ops(mut self, operations: usize) -> Self {
        self.sizes.max_txn_ops = operations;
        self
    }

    /// The largest v3 write in bytes (`--max-request-bytes`). Defaults to 1.5 MiB.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.sizes.max_entry = bytes;
        self
    }

    /// How long a v3 token is valid after its last use (`--auth-token-ttl`). Defaults to 5 min.
    pub fn token_ttl(mut self, ttl: Duration) -> Self {
        self.token_ttl = Some(ttl);
        self
    }

    /// Seeds the choices where etcd promises nothing: the order of unsorted listings, ids, faults by chance. Defaults to 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Replaces the members by `count` new ones: `infra0` at `http://127.0.0.1:2379`, `infra1` at `http://127.0.0.1:12379`, and
    /// so on.
    pub fn members(mut self, count: usize) -> Self {
        self.learner = None;
        self.members = (0..count)
            .map(|position| {
                let decade = if position == 0 {
                    String::new()
                } else {
                    position.to_string()
                };
                (
                    format!("infra{position}"),
                    format!("http://127.0.0.1:{decade}2379"),
                )
            })
            .collect();
        self
    }

    /// Adds a member with this name and client URL.
    pub fn member(mut self, name: &str, url: &str) -> Self {
        self.members.push((name.to_owned(), url.to_owned()));
        self
    }

    /// Adds a learner with this name and client URL: a member that has no vote, and serves serializable reads alone. A cluster
    /// has one at most: an earlier one becomes a voter.
    pub fn learner(mut self, name: &str, url: &str) -> Self {
        self.learner = Some(self.members.len());
        self.member(name, url)
    }

    /// What moves the clock. Defaults to [`Clock::Manual`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// When keys expire. Defaults to [`Expiry::Sweep`].
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// The time of day at which the fake starts. Defaults to 2020-01-01, or with [`Clock::Real`] to the present.
    pub fn start_time(mut self, start: SystemTime) -> Self {
        self.start = Some(start);
        self
    }

    /// How many requests the log keeps. Defaults to 10,000.
    pub fn log_capacity(mut self, requests: usize) -> Self {
        self.log_capacity = requests;
        self
    }

    /// Builds the fake.
    pub fn build(self) -> FakeEtcd {
        let mut members = self.members;
        if members.is_empty() {
            members.push(("default".to_owned(), "http://localhost:2379".to_owned()));
        }
        let start = self.start.unwrap_or_else(|| match self.clock {
            Clock::Real => SystemTime::now(),
            _ => SystemTime::UNIX_EPOCH + Duration::from_secs(DEFAULT_START),
        });
        let start = start.duration_since(SystemTime::UNIX_EPOCH);
        // A time before the epoch or after 2262 does not fit, and becomes the epoch.
        let start = start
            .ok()
            .and_then(|start| i64::try_from(start.as_nanos()).ok());
        let start = start.unwrap_or_default();
        let endpoints = members.iter().map(|(_, url)| Endpoint::new(url.clone()));
        let endpoints = endpoints.collect();
        let membership = Membership::new(members, self.learner, self.seed);
        let mut stores = Stores {
            quota: self.quota,
            sizes: self.sizes,
            ..Stores::new(self.v2)
        };
        if let Some(interval) = self.progress_interval {
            stores.v3.watches.progress_interval = signed_nanos(interval);
        }
        if let Some(ttl) = self.token_ttl {
            stores.v3.auth.token_ttl = signed_nanos(ttl);
        }
        let cluster = Cluster::new(self.profile, membership, stores, start, self.seed);
        let time = Timeline::new(self.clock, self.expiry, start);
        let log = RequestLog::new(self.log_capacity);
        let core = Core::new(cluster, time, endpoints, log);
        FakeEtcd {
            shared: Shared::new(core),
        }
    }
}

fn signed_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl FakeEtcd {
    /// A new cluster of one: etcd 3.5, the v2 API on, a clock that stands still.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Configures a fake.
    pub fn builder() -> FakeEtcdBuilder {
        FakeEtcdBuilder::default()
    }
}

impl Default for FakeEtcd {
    fn default() -> Self {
        Self::new()
    }
}
