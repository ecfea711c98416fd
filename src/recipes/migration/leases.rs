use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use etcd_transport::Transport;

use super::Migration;
use crate::{
    error::Result,
    v3::{GetTimeToLive, GrantLease, KeyValue, LeaseId},
};

const SECOND: Duration = Duration::from_secs(1);

/// How often a lease that was granted late is replaced.
const LATE_GRANTS: u32 = 3;

/// Longer is late: what the times to live of both sides may differ by.
const ROUNDING: Duration = Duration::from_secs(2);

/// The leases of the target.
#[derive(Debug)]
pub(super) struct Leases<'a, S, T> {
    migration: &'a Migration<S, T>,
    /// When the run began, by the clock of the source.
    start: Instant,
    /// Those of this run, by the second in which they expire.
    granted: HashMap<u64, LeaseId>,
    /// When others expire, by the clock of the target.
    others: HashMap<LeaseId, Instant>,
}

impl<'a, S: Transport, T: Transport> Leases<'a, S, T> {
    pub(super) fn new(migration: &'a Migration<S, T>, start: Instant) -> Self {
        Self {
            migration,
            start,
            granted: HashMap::new(),
            others: HashMap::new(),
        }
    }

    /// Returns a lease for what expires at this time, by the clock of the source.
    pub(super) async fn for_expiry(&mut self, expires: Instant) -> Result<LeaseId> {
        let second = ceil(expires.saturating_duration_since(self.start));
        if let Some(id) = self.granted.get(&second) {
            return Ok(*id);
        }
        let mut granted = self.grant(second).await?;
        for _ in 0..LATE_GRANTS {
            if granted.took <= ROUNDING {
                break;
            }
            // It would live for longer than it should by this time; nothing has it, and it expires by itself.
            granted = self.grant(second).await?;
        }
        self.granted.insert(second, granted.id);
        Ok(granted.id)
    }

    async fn grant(&self, second: u64) -> Result<Granted> {
        let sent = self.now_of_source();
        let elapsed = sent.saturating_duration_since(self.start);
        let left = Duration::from_secs(second).saturating_sub(elapsed);
        // Of a random id, so that it can be repeated.
        let grant = GrantLease::new(left.max(SECOND));
        let client = self.migration.target.client();
        let send = || client.send(grant.clone());
        let attempts = self.migration.attempts();
        let id = attempts.repeat(client.transport(), send).await?.id;
        let took = self.now_of_source().saturating_duration_since(sent);
        Ok(Granted { id, took })
    }

    /// Returns how long a key lives, if not forever.
    pub(super) async fn of_key(&mut self, kv: &KeyValue) -> Result<Option<Duration>> {
        if kv.lease.is_none() {
            return Ok(None);
        }
        let id = kv.lease;
        let client = self.migration.target.client();
        let transport = client.transport();
        let expires = match self.others.get(&id) {
            Some(expires) => *expires,
            None => {
                let send = || client.send(GetTimeToLive::new(id));
                let status = self.migration.attempts().repeat(transport, send).await?;
                // One that does not exist has expired since.
                let left = status.map(|it| it.ttl).unwrap_or_default();
                let now = transport.now();
                let expires = now.checked_add(left).unwrap_or(now);
                self.others.insert(id, expires);
                expires
            }
        };
        Ok(Some(expires.saturating_duration_since(transport.now())))
    }

    /// One of the leases of this run has expired, or was revoked.
    pub(super) fn forget(&mut self) {
        self.granted.clear();
        self.others.clear();
    }

    fn now_of_source(&self) -> Instant {
        self.migration.source.transport().now()
    }
}

struct Granted {
    id: LeaseId,
    took: Duration,
}

/// Returns whole seconds, rounded up.
fn ceil(duration: Duration) -> u64 {
    let part = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(part)
}
