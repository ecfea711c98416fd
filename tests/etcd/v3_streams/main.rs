//! The streams of the v3 API of real servers: one test for each case and backend.
//!
//! A case is `async fn name<T: Transport>(etcd: Etcd<T>)`. The number in `v3_77_…` is that of the rule that the case shows.
//! `ETCD_BIN` chooses another etcd.

mod cluster_identity;
mod compaction;
mod fragments;
mod halted_members;
mod leaderless;
mod leases;
mod mirrors;
mod namespaces;
mod observers;
mod snapshots;
mod watch_guarantees;
mod watch_requests;
mod watch_sets;
mod watch_validators;
mod watches;
