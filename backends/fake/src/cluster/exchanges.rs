use std::{collections::BTreeMap, task::Waker};

/// Names an exchange for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExchangeId(pub(crate) u64);

/// The exchanges that have not ended: requests without a response, and responses whose bodies are open.
#[derive(Debug, Default)]
pub(crate) struct OpenExchanges {
    open: BTreeMap<ExchangeId, OpenExchange>,
    last_id: u64,
}

#[derive(Debug)]
struct OpenExchange {
    endpoint: usize,
    waker: Option<Waker>,
}

impl OpenExchanges {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// An id that no other exchange has or had.
    pub(crate) fn next_id(&mut self) -> ExchangeId {
        self.last_id += 1;
        ExchangeId(self.last_id)
    }

    pub(crate) fn open(&mut self, id: ExchangeId, endpoint: usize) {
        let waker = None;
        self.open.insert(id, OpenExchange { endpoint, waker });
    }

    /// Removes an exchange; returns the waker that it no longer needs.
    #[must_use]
    pub(crate) fn close(&mut self, id: ExchangeId) -> Option<Waker> {
        self.open.remove(&id)?.waker
    }

    /// Has this waker woken at the next event of the exchange; returns the one that it replaces.
    #[must_use]
    pub(crate) fn wait(&mut self, id: ExchangeId, waker: &Waker) -> Option<Waker> {
        let exchange = self.open.get_mut(&id)?;
        exchange.waker.replace(waker.clone())
    }

    /// The waker of an exchange that has something to read.
    pub(crate) fn take_waker(&mut self, id: ExchangeId) -> Option<Waker> {
        self.open.get_mut(&id)?.waker.take()
    }

    /// The wakers of all exchanges that wait.
    pub(crate) fn take_all_wakers(&mut self) -> impl Iterator<Item = Waker> {
        let exchanges = self.open.values_mut();
        exchanges.filter_map(|exchange| exchange.waker.take())
    }

    /// The endpoint that serves an exchange.
    pub(crate) fn endpoint_of(&self, id: ExchangeId) -> Option<usize> {
        self.open.get(&id).map(|exchange| exchange.endpoint)
    }

    /// Whether an exchange is open and this endpoint serves it.
    pub(crate) fn is_served_by(&self, id: ExchangeId, endpoint: usize) -> bool {
        let exchange = self.open.get(&id);
        exchange.is_some_and(|exchange| exchange.endpoint == endpoint)
    }
}
