//! Which of isahc's clients carries an exchange.
//!
//! isahc finds out that its caller is gone only when libcurl has something for it: a line of the head, a piece of the body.
//! What is dropped while the server is silent goes on. But a client that is dropped ends at once, with all its exchanges:
//! so an exchange that may be dropped in silence has a client for itself.

use std::{
    mem,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use etcd_transport::http::{Method, Request};
use futures_io::AsyncRead;
use isahc::{AsyncBody, HttpClient, HttpClientBuilder, error::Error};

/// So many exchanges have a client for themselves at once, at most: each takes a thread, and eight files with its connection,
/// and libcurl connects with none above 1,023. A quarter of these may go into it.
const MOST: usize = 32;

/// So many of these clients are kept for the next exchange, with their connections.
const MOST_IDLE: usize = 4;

/// So soon after a message that was the last the end of the answer is here, too.
const GRACE: Duration = Duration::from_millis(20);

/// The clients of one transport.
pub(crate) struct Clients {
    /// For requests with a body, which libcurl cannot send twice: it cannot read the body twice. And for reads, which do no
    /// harm when they are sent twice.
    keeping: HttpClient,
    /// For writes without a body: libcurl sends those once more by itself when a connection that it kept dies.
    closing: HttpClient,
    /// Of clients like `keeping`.
    pool: Arc<Pool>,
}

impl Clients {
    pub(crate) fn new(
        configure: impl Fn() -> HttpClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let keeping = configure().build()?;
        Ok(Self {
            closing: configure().connection_cache_size(0).build()?,
            pool: Arc::new(Pool::new(configure, keeping.clone())),
            keeping,
        })
    }

    /// The client for a request: one that no other exchange has, if this one `may_be_dropped` in silence.
    pub(crate) fn choose(&self, request: &Request<AsyncBody>, may_be_dropped: bool) -> Lent {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let shared = |client: &HttpClient| Lent {
            client: client.clone(),
            pool: None,
        };
        if request.body().is_empty() && !is_read {
            return shared(&self.closing);
        }
        may_be_dropped
            .then(|| self.pool.lend())
            .flatten()
            .unwrap_or_else(|| shared(&self.keeping))
    }
}

/// A client, for one exchange. If it is that exchange's own, dropping it ends the exchange.
pub(crate) struct Lent {
    client: HttpClient,
    /// Where it comes from, if nobody else has it.
    pool: Option<(Arc<Pool>, Ticket)>,
}

impl Lent {
    /// The exchange is over: there is nothing to end.
    pub(crate) fn give_back(mut self) {
        if let Some((pool, own)) = self.take() {
            pool.take_back(own);
        }
    }

    /// Nobody waits for the rest of the answer any more, which may be no more than its end.
    pub(crate) fn leave(mut self, rest: AsyncBody) {
        if let Some((pool, own)) = self.take() {
            let mut rest = rest;
            aside(move || {
                thread::sleep(GRACE);
                let is_over = has_ended(&mut rest);
                // It holds on to the client.
                drop(rest);
                if is_over {
                    pool.take_back(own);
                }
            });
        }
    }

    fn take(&mut self) -> Option<(Arc<Pool>, Own)> {
        let (pool, ticket) = self.pool.take()?;
        let client = mem::replace(&mut self.client, pool.nobodys.clone());
        Some((pool, Own { client, ticket }))
    }
}

impl Deref for Lent {
    type Target = HttpClient;

    fn deref(&self) -> &HttpClient {
        &self.client
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((_, own)) = self.take() {
            aside(move || drop(own));
        }
    }
}

struct Pool {
    configure: Box<dyn Fn() -> HttpClientBuilder + Send + Sync>,
    /// What is left to an exchange whose own client has gone.
    nobodys: HttpClient,
    idle: Mutex<Vec<Own>>,
    /// One more than there are clients, the idle ones included.
    tickets: Ticket,
}

/// Counted, and given up with the client.
type Ticket = Arc<()>;

struct Own {
    client: HttpClient,
    ticket: Ticket,
}

impl Pool {
    fn new(
        configure: impl Fn() -> HttpClientBuilder + Send + Sync + 'static,
        nobodys: HttpClient,
    ) -> Self {
        Self {
            configure: Box::new(configure),
            nobodys,
            idle: Mutex::default(),
            tickets: Arc::default(),
        }
    }

    /// None when there are too many, or when the system has no thread or no file for another.
    fn lend(self: &Arc<Self>) -> Option<Lent> {
        let Own { client, ticket } = match self.idle_ones().pop() {
            Some(own) => own,
            None => self.another()?,
        };
        Some(Lent {
            client,
            pool: Some((Arc::clone(self), ticket)),
        })
    }

    fn another(&self) -> Option<Own> {
        let ticket = Arc::clone(&self.tickets);
        if Arc::strong_count(&self.tickets) > MOST + 1 {
            return None;
        }
        let client = (self.configure)().build().ok()?;
        Some(Own { client, ticket })
    }

    fn take_back(&self, own: Own) {
        let mut idle = self.idle_ones();
        if idle.len() < MOST_IDLE {
            idle.push(own);
        } else {
            drop(idle);
            aside(move || drop(own));
        }
    }

    fn idle_ones(&self) -> MutexGuard<'_, Vec<Own>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what may take a while: a client that is dropped waits for its thread, which may be looking up a name. Where the
/// system has no thread for it, whatever the work holds is dropped here.
fn aside(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("etcd-isahc-end".to_owned());
    let _ = thread.spawn(work);
}

/// Whether nothing more comes of a body.
fn has_ended(body: &mut AsyncBody) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(
        Pin::new(body).poll_read(&mut cx, &mut [0]),
        Poll::Ready(Ok(0))
    )
}
