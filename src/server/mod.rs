//! A local etcd for tests and demos: install one, start one, or start a cluster. On Unix, with the feature `server`.
//!
//! ```
//! use etcd_http::server;
//!
//! let server = server::start()?;
//! println!("etcd {} answers at {}", server.version(), server.client_url());
//! # assert!(server.is_healthy());
//! # Ok::<(), server::Error>(())
//! ```
//!
//! - [`install`] finds an etcd: the one `ETCD_BIN` names, the one on `PATH`, or one in its cache. If there is none it
//!   brings Debian's package or the project's archive to the cache, without root rights. [`Install`] has the options.
//! - [`start`] starts it on ports of its own, with its data in memory, and returns when it is healthy and has a leader.
//!   [`Server::builder`] has the options, [`Server`] the ways to stop, kill, pause and restart it.
//! - [`Cluster::start`] starts several that are one etcd.
//!
//! Everything here blocks, so it serves tests with and without a runtime alike: a start takes between a tenth of a second
//! and one second, most of which etcd waits before it elects itself. In async code that must not be held up, use a thread
//! for blocking work (`spawn_blocking`).
//!
//! # Nothing is left behind
//!
//! A server ends and its data goes when its handle is dropped, which a panic does too. Should our process die with no
//! chance to drop anything (`SIGKILL`, `exit`), a small shell beside each server notices and does the same.
//! [`ServerBuilder::time_limit`] ends a server that is held for too long.
//!
//! # Breaking it on purpose
//!
//! ```
//! use std::time::Duration;
//!
//! use etcd_http::server::Cluster;
//!
//! let cluster = Cluster::start(3)?;
//! let old = cluster.leader()?;
//! cluster.member(old).pause()?;
//! let new = cluster.leader()?;
//! assert_ne!(old, new);
//! cluster.member(old).resume()?;
//! cluster.wait_healthy(Duration::from_secs(20))?;
//! # Ok::<(), etcd_http::server::Error>(())
//! ```

mod archive;
mod builder;
mod cache;
mod cluster;
mod debian;
mod directory;
mod error;
mod handle;
mod http;
mod install;
mod installed;
mod life;
mod ports;
mod process;
mod tools;
mod version;
mod watchdog;

pub use self::{
    builder::ServerBuilder,
    cluster::Cluster,
    error::{Error, Failure, Result},
    handle::Server,
    install::{Install, Source},
    installed::Installed,
    version::Version,
};

/// Finds an etcd, or brings one to this machine: [`Install`] with its defaults.
///
/// ```
/// let installed = etcd_http::server::install()?;
/// println!("etcd {} from {}: {}", installed.version, installed.source, installed.etcd.display());
/// # Ok::<(), etcd_http::server::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`Install::run`].
pub fn install() -> Result<Installed> {
    Install::new().run()
}

/// Starts a server with the defaults of [`Server::builder`], and waits until it is healthy.
///
/// # Errors
///
/// Those of [`ServerBuilder::start`].
pub fn start() -> Result<Server> {
    Server::start()
}
