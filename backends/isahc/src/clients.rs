//! Which isahc client carries an exchange.
//!
//! isahc notices that an exchange was dropped only when libcurl has received something: a line of the head, or a piece of the
//! body. While the server is silent, a dropped exchange goes on. A client that is dropped, however, ends at once, with all its
//! exchanges. So an exchange that may be dropped while the server is silent gets a client of its own, and long-lived ones are
//! such exchanges.

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

/// The most exchanges with a client of their own. Each needs a thread and, with its connection, eight open files, and libcurl
/// cannot use a file above number 1,023: this is a quarter of them.
const MOST: usize = 32;

/// How many of these clients are kept for later exchanges, with their connections.
const MOST_IDLE: usize = 4;

/// How long the end of a response may take after its last message.
const GRACE: Duration = Duration::from_millis(20);

/// The clients of one transport.
pub(crate) struct Clients {
    /// For requests with a body, which libcurl cannot send twice since it cannot read the body twice; and for reads, which may
    /// be sent twice.
    keeping: HttpClient,
    /// For writes without a body: libcurl sends these again on its own if a reused connection is closed.
    closing: HttpClient,
    /// Clients like `keeping`, each for one exchange.
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

    /// Returns the client for a request: one of its own if the exchange `may_be_dropped` while the server is silent.
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

/// A client for one exchange. If it is the exchange's own, dropping it ends the exchange.
pub(crate) struct Lent {
    client: HttpClient,
    /// The pool that it returns to, if it is the exchange's own.
    pool: Option<(Arc<Pool>, Ticket)>,
}

impl Lent {
    /// Returns the client after the end of the exchange.
    pub(crate) fn give_back(mut self) {
        if let Some((pool, own)) = self.take() {
            pool.take_back(own);
        }
    }

    /// Drops the rest of a response, which may be nothing but its end: then the client can be used again.
    pub(crate) fn leave(mut self, rest: AsyncBody) {
        if let Some((pool, own)) = self.take() {
            let mut rest = rest;
            aside(move || {
                thread::sleep(GRACE);
                let is_over = has_ended(&mut rest);
                // It keeps a reference to the client.
                drop(rest);
                if is_over {
                    pool.take_back(own);
                }
            });
        }
    }

    fn take(&mut self) -> Option<(Arc<Pool>, Own)> {
        let (pool, ticket) = self.pool.take()?;
        let client = mem::replace(&mut self.client, pool.placeholder.clone());
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
    /// Takes the place of a client that was returned.
    placeholder: HttpClient,
    idle: Mutex<Vec<Own>>,
    /// Its reference count is one more than the number of clients, idle ones included.
    tickets: Ticket,
}

/// Counts a client; dropped with it.
type Ticket = Arc<()>;

struct Own {
    client: HttpClient,
    ticket: Ticket,
}

impl Pool {
    fn new(
        configure: impl Fn() -> HttpClientBuilder + Send + Sync + 'static,
        placeholder: HttpClient,
    ) -> Self {
        Self {
            configure: Box::new(configure),
            placeholder,
            idle: Mutex::default(),
            tickets: Arc::default(),
        }
    }

    /// Returns `None` if there are too many clients, or if the system has no thread or file for another.
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

/// Runs on a thread what may block: dropping a client waits for its thread, which may be resolving a name. If the system has
/// no thread left, what the work owns is dropped here.
fn aside(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("etcd-isahc-end".to_owned());
    let _ = thread.spawn(work);
}

/// Returns whether a body has ended.
fn has_ended(body: &mut AsyncBody) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(
        Pin::new(body).poll_read(&mut cx, &mut [0]),
        Poll::Ready(Ok(0))
    )
}
