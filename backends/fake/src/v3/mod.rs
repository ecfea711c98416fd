//! The v3 API: its store, leases and watches, the messages, and the calls. It knows no encoding but that of the
//! messages: `crate::front` reads and writes what travels.

pub(crate) mod alarm;
pub(crate) mod api;
pub(crate) mod auth;
mod command;
pub(crate) mod error;
pub(crate) mod lease;
pub(crate) mod message;
pub(crate) mod mvcc;
mod tree;
pub(crate) mod watch;

pub(crate) use self::command::{
    Authenticate, Command, CreateLease, RenewLease, SetDowngrade, Write,
};

use self::{
    alarm::Alarms,
    auth::AuthStore,
    lease::Leases,
    mvcc::{Batch, Mvcc},
    watch::WatchHub,
};

/// The size of an empty file of etcd's.
const EMPTY_FILE: i64 = 20_480;

/// What a member stores for the v3 API.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) mvcc: Mvcc,
    pub(crate) leases: Leases,
    pub(crate) watches: WatchHub,
    pub(crate) auth: AuthStore,
    pub(crate) alarms: Alarms,
    /// Whether a downgrade was begun.
    pub(crate) is_downgrading: bool,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            mvcc: Mvcc::new(),
            leases: Leases::default(),
            watches: WatchHub::default(),
            auth: AuthStore::new(),
            alarms: Alarms::default(),
            is_downgrading: false,
        }
    }

    /// The same data, which are shared until one of the two changes. No watch is open.
    pub(crate) fn fork(&self) -> Self {
        Self {
            mvcc: self.mvcc.clone(),
            leases: self.leases.clone(),
            watches: self.watches.without_streams(),
            auth: self.auth.clone(),
            alarms: self.alarms.clone(),
            is_downgrading: self.is_downgrading,
        }
    }

    /// A new store with the same settings, and the same users.
    pub(crate) fn without_data(&self) -> Self {
        Self {
            watches: self.watches.without_streams(),
            auth: self.auth.clone(),
            ..Self::new()
        }
    }

    /// Closes the watches, and forgets what is in memory alone. Data stay.
    pub(crate) fn restart(&mut self) {
        self.watches = self.watches.without_streams();
        self.mvcc.restart();
        self.auth.restart();
    }

    /// The size of the member's file. It is plausible, not etcd's.
    pub(crate) fn size(&self) -> i64 {
        EMPTY_FILE + self.mvcc.size()
    }

    /// Revokes the leases that have ended by `cutoff`.
    pub(crate) fn expire(&mut self, cutoff: i64) {
        for id in self.leases.expired(cutoff) {
            self.revoke(id);
        }
    }

    /// Removes a lease and its keys; returns whether it was there.
    fn revoke(&mut self, id: i64) -> bool {
        let Some(keys) = self.leases.remove(id) else {
            return false;
        };
        let mut batch = Batch::new(&mut self.mvcc, &mut self.leases);
        for key in &keys {
            batch.delete_key(key);
        }
        batch.commit();
        self.notify();
        true
    }

    /// Delivers the changes to the watches.
    fn notify(&mut self) {
        self.watches.notify(&self.mvcc);
    }
}
