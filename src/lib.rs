//! etcd

#[cfg(all(feature = "server", unix))]
pub mod server;
