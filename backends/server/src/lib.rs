#![doc = include_str!("../README.md")]
#![cfg(unix)]

mod builder;
mod cluster;
mod environment;
mod error;
mod http;
mod install;
mod process;
mod server;
mod source;
mod start;
mod temp_dir;

pub use builder::ServerBuilder;
pub use cluster::Cluster;
pub use error::{Error, Result};
pub use install::{Install, installed::Installed, version::Version};
pub use server::Server;
pub use source::{Failure, Source};

/// Finds an etcd, or downloads one: [`Install`] with its defaults.
///
/// ```
/// let installed = etcd_server::install()?;
/// println!("etcd {} from {}: {}", installed.version, installed.source, installed.etcd.display());
/// # Ok::<(), etcd_server::Error>(())
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
