//! Starting, stopping and breaking a local etcd. `ETCD_BIN` names the etcd to test with.

#![cfg(unix)]

mod cluster;
mod endings;
mod lifecycle;
mod support;
