//! The streams of the v3 API, asked of a real etcd through every backend: one named test for each case and backend.
//!
//! As in the suite `behaviour`, a case is `async fn name<T: Transport>(etcd: Etcd<T>)`, and `v3_77_…` names the rule of
//! etcd's behaviour that it shows. `ETCD_BIN` chooses another etcd.

#[macro_use]
#[path = "../v2/stamp.rs"]
mod stamp;

mod churn;
mod guard;
#[path = "../v2/harness/mod.rs"]
#[allow(dead_code, unused_imports)] // What only the suite of v2 needs.
mod harness;
mod history;
mod leaderless;
mod leases;
mod lines;
#[path = "../../chaos/machine.rs"]
#[allow(dead_code)] // What only the fire needs.
mod machine;
mod mirrors;
mod namespaces;
mod nine;
mod observers;
#[path = "../v3/raw.rs"]
#[allow(dead_code)] // What only the suite of calls needs.
mod raw;
mod requests;
#[path = "../v2/scripted.rs"]
#[allow(dead_code)] // The harness needs it.
mod scripted;
mod sets;
mod snapshots;
mod watches;
