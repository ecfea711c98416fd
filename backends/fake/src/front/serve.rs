//! The fake on a real port.

use std::{
    future::{Future, pending, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::connection::Connection;
use crate::fake::FakeEtcd;

/// Serves a fake's endpoint on a listener, until the future is dropped: HTTP/1.1, and gRPC over HTTP/2 by prior knowledge.
///
/// Every connection is a task of the tokio runtime. A connection that the fake reports as broken is closed. A watch ends when
/// its client goes. When the future is dropped, all connections are closed. Use [`Clock::Real`](crate::Clock::Real), unless the test moves the clock by hand.
///
/// ```
/// # use etcd_http_fake::{Clock, FakeEtcd, serve};
/// # async fn example() -> std::io::Result<()> {
/// let etcd = FakeEtcd::builder().clock(Clock::Real).build();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// println!("http://{}", listener.local_addr()?);
/// let server = tokio::spawn(serve(etcd, 0, listener));
/// // … a client in any language …
/// server.abort();
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
/// # runtime.block_on(example()).unwrap();
/// ```
///
/// # Errors
/// When the listener fails permanently. A failed connection affects no other.
pub async fn serve(etcd: FakeEtcd, endpoint: usize, listener: TcpListener) -> io::Result<()> {
    serve_until(etcd, endpoint, listener, pending()).await
}

/// As [`serve`], until `stop` resolves. Then no connection is accepted, clients are told to make no further requests on
/// theirs (`GOAWAY` over HTTP/2), and the future resolves when all requests have ended. Streams go on: drop the future to
/// cut them.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until(
    etcd: FakeEtcd,
    endpoint: usize,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    accept(etcd, endpoint, listener, stop, |connected| async {
        connected.served.serve(connected.stream).await;
    })
    .await
}

/// A connection that was accepted.
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) served: Connection,
}

/// Serves every connection as a task of its own, until `stop` resolves and they have ended.
pub(super) async fn accept<Serving>(
    etcd: FakeEtcd,
    endpoint: usize,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    serve: impl Fn(Connected) -> Serving,
) -> io::Result<()>
where
    Serving: Future<Output = ()> + Send + 'static,
{
    let url = etcd.endpoint(endpoint).url();
    let url: Arc<str> = url.trim_end_matches('/').into();
    let (running, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let mut accept = async || {
        poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        })
        .await
    };
    while let Some(accepted) = accept().await {
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // The client has gone before it was accepted, or there are too many at the moment.
            Err(error) if is_transient(&error) => {
                tokio::task::yield_now().await;
                continue;
            }
            Err(error) => return Err(error),
        };
        // Small responses are sent at once. Without it the connection is only slower.
        let _ = stream.set_nodelay(true);
        let (etcd, url) = (etcd.clone(), Arc::clone(&url));
        let served = Connection::new(etcd, url, stopped.clone());
        connections.spawn(serve(Connected { stream, served }));
    }
    drop((running, listener));
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn is_transient(error: &io::Error) -> bool {
    // 23 and 24: the system, or the process, has no file descriptors left.
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) || matches!(error.raw_os_error(), Some(23 | 24))
}
