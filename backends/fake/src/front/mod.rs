//! How a request reaches the fake: the [`Transport`](etcd_transport::Transport), the routing, the ports.
//!
//! [`transport`] chooses a front by the head of a request, before any of its body is read. The front reads the body as it has
//! to, and hands a [`Call`](exchange::Call) to [`exchange`], which logs it, injects faults, and waits for a quorum. The only
//! front so far is [`http1`]: the v2 API, and the paths that belong to no API.
//!
//! A front for streams answers at once with a body that owns the body of the request: polling the one reads the requests of
//! the other. Such a body opens an exchange (`crate::cluster::exchanges`) and is woken with it, as that of a v2 watch is.

mod body;
mod exchange;
mod http1;
mod mux;
#[cfg(feature = "serve")]
pub(crate) mod serve;
mod status;
mod transport;
