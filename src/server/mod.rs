//! A local etcd for tests and demos: install one, start one, or start a cluster.
//!
//! ```
//! let server = etcd_http::server::start()?;
//! println!("etcd {} at {}", server.version(), server.client_url());
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

/// Finds an etcd, or gets one.
///
/// # Errors
///
/// Those of [`Install::run`].
pub fn install() -> Result<Installed> {
    Install::default().run()
}

/// Starts a server with the defaults: see [`Server`].
///
/// # Errors
///
/// Those of [`ServerBuilder::start`].
pub fn start() -> Result<Server> {
    Server::start()
}
