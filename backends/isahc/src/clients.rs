//! Which of isahc's clients carries an exchange.
//!
//! isahc finds out that its caller is gone only when libcurl has something for it: a line of the head, a piece of the body.
//! What is dropped while the server is silent goes on. But a client that is dropped ends at once, with all its exchanges:
//! so an exchange that may be dropped in silence has a client for itself.

use std::{
    mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use etcd_transport::http::{Method, Request};
use isahc::{AsyncBody, HttpClient, HttpClientBuilder, error::Error};

/// So many exchanges have a client for themselves at once, at most: each takes a thread, and eight files with its connection.
const MOST: usize = 64;

/// So many of these clients are kept for the next exchange, with their connections.
const MOST_IDLE: usize = 4;

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
            pool: Arc::new(Pool {
                configure: Box::new(configure),
                nobodys: keeping.clone(),
                state: Mutex::default(),
            }),
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
    pool: Option<Arc<Pool>>,
}

impl Lent {
    /// The exchange is over: there is nothing to end.
    pub(crate) fn give_back(mut self) {
        if let Some(pool) = self.pool.take() {
            let client = mem::replace(&mut self.client, pool.nobodys.clone());
            pool.take_back(client);
        }
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
        if let Some(pool) = self.pool.take() {
            let client = mem::replace(&mut self.client, pool.nobodys.clone());
            pool.end(client);
        }
    }
}

struct Pool {
    configure: Box<dyn Fn() -> HttpClientBuilder + Send + Sync>,
    /// What is left to an exchange whose own client has gone.
    nobodys: HttpClient,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<HttpClient>,
    /// How many there are, the idle ones included.
    count: usize,
}

impl Pool {
    /// None when there are too many, or when the system has no thread or no file for another.
    fn lend(self: &Arc<Self>) -> Option<Lent> {
        let client = {
            let mut state = self.lock();
            let idle = state.idle.pop();
            if idle.is_none() {
                if state.count == MOST {
                    return None;
                }
                state.count += 1;
            }
            idle
        };
        let client = match client {
            Some(client) => client,
            None => match (self.configure)().build() {
                Ok(client) => client,
                Err(_) => {
                    self.lock().count -= 1;
                    return None;
                }
            },
        };
        Some(Lent {
            client,
            pool: Some(Arc::clone(self)),
        })
    }

    fn take_back(self: Arc<Self>, client: HttpClient) {
        let mut state = self.lock();
        if state.idle.len() < MOST_IDLE {
            state.idle.push(client);
        } else {
            drop(state);
            self.end(client);
        }
    }

    /// Ends a client and its exchange. The client waits for its thread, which may be busy looking up a name: nobody else is
    /// to wait for that.
    fn end(self: Arc<Self>, client: HttpClient) {
        let end = move || {
            drop(client);
            self.lock().count -= 1;
        };
        // Without a thread it is dropped here.
        let _ = thread::Builder::new()
            .name("etcd-isahc-end".to_owned())
            .spawn(end);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
