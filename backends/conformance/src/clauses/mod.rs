//! The clauses, by family, and what they share. The names of a family's functions say what the contract demands.

pub mod bodies;
pub mod cancelling;
pub mod connections;
pub mod failures;
pub mod http2;
pub mod long_lived;
pub mod requests;
pub mod responses;
pub mod time;
pub mod unprocessed;

use std::{
    pin::pin,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use etcd_transport::{
    Body, IdleLimit, Request, Response, Transport, TransportError, TransportErrorKind,
    bytes::Bytes,
    http::{Method, Uri, Version},
    http_body::Frame,
};
use futures::{
    channel::{mpsc as channel, oneshot},
    future::{Either, select},
};
use http_body_util::StreamBody;

use crate::Limits;

/// More bytes than any clause sends.
const ENOUGH: usize = 64 << 20;

/// Long enough for a message over 127.0.0.1 to arrive, if one is sent, and short enough to wait for in a test.
const MOMENT: Duration = Duration::from_millis(300);

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn request(method: Method, uri: Uri, body: impl Into<Body>) -> Request {
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request
        .extensions_mut()
        .insert(IdleLimit(Duration::from_secs(10)));
    request
}

fn get(uri: Uri) -> Request {
    request(Method::GET, uri, Body::empty())
}

fn http2(method: Method, uri: Uri, body: impl Into<Body>) -> Request {
    let mut request = request(method, uri, body);
    *request.version_mut() = Version::HTTP_2;
    request
}

async fn send(transport: &dyn Transport, request: Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri());
    match transport.send(request).await {
        Ok(response) => response,
        Err(error) => panic!("no response to {what}: {error:?}"),
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect(ENOUGH).await;
    let body = body.expect("the whole body");
    String::from_utf8_lossy(&body).into_owned()
}

/// Returns the error of a request that must fail, after a check of its kind.
async fn failure(
    transport: &dyn Transport,
    request: Request,
    kind: TransportErrorKind,
) -> TransportError {
    let what = format!("{} {}", request.method(), request.uri());
    match transport.send(request).await {
        Ok(response) => panic!("{what} got a response: {response:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{what}: {error:?}");
            error
        }
    }
}

/// The kind of error for a request that the server declares not to have processed.
fn unprocessed(limits: &Limits) -> TransportErrorKind {
    if limits.cannot_tell_unprocessed {
        TransportErrorKind::Interrupted
    } else {
        TransportErrorKind::Unprocessed
    }
}

/// Sends a request whose response breaks off. A stack may notice that before or while the body is read.
async fn broken(transport: &dyn Transport, request: Request) {
    let error = match transport.send(request).await {
        Err(error) => error,
        Ok(response) => match response.into_body().collect(ENOUGH).await {
            Err(etcd_transport::CollectError::Transport(error)) => error,
            other => panic!("a broken body ended cleanly: {other:?}"),
        },
    };
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
}

/// Waits for `duration`, without a runtime.
async fn pause(duration: Duration) {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        thread::sleep(duration);
        drop(ended);
    });
    // The sender never sends; dropping it is the signal.
    let _ = end.await;
}

/// Returns the output of `future`, if it is ready within `limit`.
async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(pause(limit))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Returns whether `condition` becomes true within `limit`.
async fn eventually(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if condition() {
            return true;
        }
        pause(Duration::from_millis(20)).await;
    }
    condition()
}

/// Returns a streamed body of unknown length, and its sender; dropping the sender ends the body.
fn streamed_body() -> (BodySender, Body) {
    let (sender, frames) = channel::unbounded();
    (BodySender(sender), Body::stream(StreamBody::new(frames)))
}

struct BodySender(channel::UnboundedSender<Result<Frame<Bytes>, TransportError>>);

impl BodySender {
    fn data(&self, data: impl Into<Bytes>) {
        // An error means that the transport has dropped the body, which the clause notices elsewhere.
        let _ = self.0.unbounded_send(Ok(Frame::data(data.into())));
    }

    fn fail(&self, error: TransportError) {
        // As above.
        let _ = self.0.unbounded_send(Err(error));
    }
}

/// Makes a script wait ([`Gate::wait`]) until the clause continues it ([`Opener::open`]).
fn gate() -> (Opener, Gate) {
    let (opener, gate) = mpsc::channel();
    (Opener(opener), Gate(Mutex::new(gate)))
}

struct Opener(mpsc::Sender<()>);

struct Gate(Mutex<mpsc::Receiver<()>>);

impl Opener {
    fn open(&self) {
        // An error means that the script has ended, which the clause notices elsewhere.
        let _ = self.0.send(());
    }
}

impl Gate {
    /// Stops waiting after ten seconds: a clause that fails must not leave a script behind.
    fn wait(&self) {
        let gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it was opened or not: the script continues.
        let _ = gate.recv_timeout(Duration::from_secs(10));
    }
}
