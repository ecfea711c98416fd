//! The clauses, by family; and what they share. A family's functions are named and documented by the contract.

pub mod answers;
pub mod bodies;
pub mod cancelling;
pub mod connections;
pub mod failures;
pub mod http2;
pub mod requests;
pub mod time;

use std::{
    pin::pin,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use etcd_transport::{
    Body, IdleLimit, Request, Response, Transport, TransportError, TransportErrorKind,
    bytes::Bytes,
    http::{Method, Uri},
    http_body::Frame,
};
use futures::{
    channel::{mpsc as channel, oneshot},
    future::{Either, select},
};
use http_body_util::StreamBody;

/// More than any clause sends.
const ENOUGH: usize = 64 << 20;

/// Long enough for a message over 127.0.0.1 to arrive, were it sent; short enough to wait for in a test.
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

async fn answer(transport: &dyn Transport, request: Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri());
    match transport.send(request).await {
        Ok(response) => response,
        Err(error) => panic!("no answer to {what}: {error:?}"),
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect(ENOUGH).await;
    let body = body.expect("the whole body");
    String::from_utf8_lossy(&body).into_owned()
}

/// The error of a request that must fail, after a check of its kind.
async fn failure(
    transport: &dyn Transport,
    request: Request,
    kind: TransportErrorKind,
) -> TransportError {
    let what = format!("{} {}", request.method(), request.uri());
    match transport.send(request).await {
        Ok(response) => panic!("{what} was answered: {response:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{what}: {error:?}");
            error
        }
    }
}

/// Sends, reads to the end of the body, and returns the error on the way; a stack may notice a broken answer early.
async fn broken(transport: &dyn Transport, request: Request) {
    let error = match transport.send(request).await {
        Err(error) => error,
        Ok(response) => match response.into_body().collect(ENOUGH).await {
            Err(etcd_transport::CollectError::Transport(error)) => error,
            other => panic!("a broken body ended as a whole one: {other:?}"),
        },
    };
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
}

/// A future that ends after `duration`, whatever the runtime.
async fn pause(duration: Duration) {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        thread::sleep(duration);
        drop(ended);
    });
    // The sender never sends: its drop is the signal.
    let _ = end.await;
}

/// What `future` gives, if it gives it within `limit`.
async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(pause(limit))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Whether `condition` becomes true within `limit`.
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

/// A streamed body of unknown length, and what feeds it; dropping the feed ends the body.
fn fed_body() -> (Feed, Body) {
    let (feed, frames) = channel::unbounded();
    (Feed(feed), Body::stream(StreamBody::new(frames)))
}

struct Feed(channel::UnboundedSender<Result<Frame<Bytes>, TransportError>>);

impl Feed {
    fn data(&self, data: impl Into<Bytes>) {
        // An error means that the transport has dropped the body, which the clause notices by itself.
        let _ = self.0.unbounded_send(Ok(Frame::data(data.into())));
    }

    fn fail(&self, error: TransportError) {
        // As above.
        let _ = self.0.unbounded_send(Err(error));
    }
}

/// Holds a script at a point until the clause lets it go on: [`Gate::wait`] in the script, [`Opener::open`] in the clause.
fn gate() -> (Opener, Gate) {
    let (opener, gate) = mpsc::channel();
    (Opener(opener), Gate(Mutex::new(gate)))
}

struct Opener(mpsc::Sender<()>);

struct Gate(Mutex<mpsc::Receiver<()>>);

impl Opener {
    fn open(&self) {
        // An error means that the script is over, which the clause notices by itself.
        let _ = self.0.send(());
    }
}

impl Gate {
    /// Gives up after ten seconds: a clause that fails must not leave a script behind.
    fn wait(&self) {
        let gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Opened, given up or left alone: the script goes on.
        let _ = gate.recv_timeout(Duration::from_secs(10));
    }
}
