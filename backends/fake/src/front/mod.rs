//! How a request reaches the fake: the [`Transport`](etcd_transport::Transport), the routing, the ports.
//!
//! [`transport`] chooses a front by the head of a request, before any of its body is read. The front reads the body as it has
//! to, and hands a [`Call`](exchange::Call) to [`exchange`], which logs it, injects faults, and waits for a quorum. Over
//! HTTP/1.1, [`http1`] reads the whole body first, as etcd does before it responds; [`mux`] then tells the v2 API, the
//! [`gateway`] of the v3 API, and the paths that belong to no API apart.
//!
//! A front for streams responds at once with a body that owns the body of the request: polling the one reads the requests of
//! the other. Such a body opens an exchange (`crate::cluster::exchanges`) and is woken with it, as that of a v2 watch is.

mod body;
#[cfg(feature = "serve")]
mod connection;
mod counter;
mod exchange;
pub(crate) mod gateway;
mod grpc;
#[cfg(feature = "serve")]
mod head;
mod http1;
mod metrics;
mod mux;
mod queue;
#[cfg(feature = "serve")]
pub(crate) mod serve;
mod status;
mod subscription;
mod timer;
#[cfg(feature = "tls")]
pub(crate) mod tls;
mod transport;
mod unary;
#[cfg(feature = "serve")]
mod websocket;
