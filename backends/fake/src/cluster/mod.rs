//! A cluster of etcd servers as one state machine, without a network: members, terms, Raft counters, lag, quorum, the
//! clock, faults, and the log of requests.
//!
//! It replicates a [`State`](state::State) that it knows only by that trait: commands go in, and every member that is up to date
//! applies them. The stores of the two APIs are parts of that state (`crate::state`). The arrows run one way:
//!
//! ```text
//! cluster ← v2::store, v3 ← state ← v2::api, v3::api ← fake ← front ← control ← explore
//! ```
//!
//! `cluster` also keeps the open exchanges: requests without a response yet, and responses whose bodies are still open.
//! A store that has something for one of them says so ([`take_ready`](state::State::take_ready)), and the task that
//! polls it is woken when the lock is free. Everything that touches the fake goes through [`with`](core::Shared::with):
//! a request, a move of the clock, a fault. So an event reaches its readers at the moment it happens, in virtual time.

pub(crate) mod alarm;
pub(crate) mod calls;
pub(crate) mod clock;
pub(crate) mod core;
pub(crate) mod endpoint;
pub(crate) mod exchanges;
pub(crate) mod fault;
mod json_fields;
pub(crate) mod membership;
pub(crate) mod partition;
pub(crate) mod replication;
pub(crate) mod request_log;
pub(crate) mod sleep;
pub(crate) mod state;
pub(crate) mod timeline;
pub(crate) mod track;
mod watchdog;
pub(crate) mod when;
