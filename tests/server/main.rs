//! A local etcd: started, stopped, and broken on purpose. `ETCD_BIN` chooses the etcd to do this to.

#![cfg(unix)]

mod cluster;
mod endings;
mod lifecycle;
mod support;
