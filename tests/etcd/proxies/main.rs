//! Real proxies between the client and real servers: nginx, haproxy, nghttpx. `.ci/test` installs them.
//!
//! A case is `async fn name<T: Transport>(etcd: Etcd<T>)`. `ETCD_BIN` chooses another etcd.

mod buffering;
mod check;
mod documented;
mod every_family;
mod few_streams;
mod outages;
mod protocol;
mod refusals;
mod works;

harness::trusting!();
