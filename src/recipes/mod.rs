//! Recipes: locks, elections, queues, transactions and copies in memory that hold under faults. For v3; [`v2`] has a few for v2.
//!
//! Built on the public API alone. Key layouts are those of Go's packages `concurrency` and `recipe`, so that programs in Rust
//! and in Go can share a lock. None of them spawns a task or needs a runtime, and time is the transport's: each can be
//! tested on the [fake](crate#features), hours in milliseconds.
//!
//! | recipe | for |
//! |---|---|
//! | [`Session`] | a lease that is kept alive, and whose loss is noticed in time: locks, elections, barriers, queues, registries and counters are made from one |
//! | [`Mutex`], [`RwMutex`], [`Semaphore`] | one holder at a time, one writer or many readers, a number of holders |
//! | [`Election`] | one leader at a time, which tells the others a value |
//! | [`Barrier`], [`DoubleBarrier`] | waiting for one, beginning and ending together |
//! | [`Queue`], [`PriorityQueue`] | items that one consumer each takes |
//! | [`Registry`] | the instances of a service that are alive |
//! | [`Cache`] | a copy of a range with typed values, read without a request |
//! | [`Config`] | typed settings that change while a program runs |
//! | [`Controller`] | what each key says made true: a work queue on a cache |
//! | [`Counter`] | numbers that are never given twice |
//! | [`Stm`] | transactions over any keys, repeated after conflicts |
//! | [`Migration`](migration::Migration) | keys of the v2 API, copied into v3 |
//!
//! Each type says what it promises, and what it cannot. The
//! [cookbook](https://github.com/etcd-http/etcd-http/blob/main/docs/cookbook.md) says when to use which, and how to test with it.
//!
//! A name is that of a directory: the keys of `locks` begin with `locks/`. So `lock` and `lock2` are apart, and `locks` and
//! `locks/report` are not: the first one waits for the holders of the second. Names of different recipes should differ, too.
//!
//! A wait for a response repeats what is safe to repeat: a lost response, a halted server, an outage or the page of a proxy
//! does not end a recipe, the loss of its session does.

mod barrier;
mod cache;
mod claim;
mod config;
mod controller;
mod counter;
mod double_barrier;
mod election;
mod error;
mod held;
pub mod migration;
mod mutex;
mod priority_queue;
mod proclamations;
mod published;
mod queue;
mod registry;
mod rw_mutex;
mod semaphore;
mod session;
mod stm;
mod traits;
pub mod v2;
mod wait;

pub use barrier::Barrier;
pub use cache::{
    Cache, CacheBuilder, CacheChange, CacheDriver, CacheEntry, CacheUpdate, InvalidEntry, Snapshot,
};
pub use claim::Claim;
pub use config::{Config, ConfigChange, ConfigDriver, InvalidConfig};
pub use controller::{
    Controller, ControllerBuilder, ControllerDriver, ControllerEvent, ControllerStats, Fence,
    ReconcileRequest, Reconciled,
};
pub use counter::Counter;
pub use double_barrier::{DoubleBarrier, Entered};
pub use election::{Election, Leadership};
pub use error::RecipeError;
pub use held::Held;
pub use mutex::Mutex;
pub use priority_queue::PriorityQueue;
pub use proclamations::Proclamation;
pub use queue::Queue;
pub use registry::Registry;
pub use rw_mutex::RwMutex;
pub use semaphore::Semaphore;
pub use session::{Session, SessionBuilder, SessionDriver};
pub use stm::{Committed, Isolation, Stm, Transaction};

/// Compiles and runs the programs of the cookbook.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cookbook.md")]
struct Cookbook;
