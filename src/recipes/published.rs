//! A value that one task publishes, and that others read and wait for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::{
    FutureExt,
    channel::oneshot::{self, Canceled},
    future::Shared,
};

/// Reads the value that a [`Publisher`] has published last: without a lock, however many readers there are.
#[derive(Debug)]
pub(super) struct Published<S>(Arc<ArcSwap<Stage<S>>>);

/// A value, until the next one is published.
#[derive(Debug)]
pub(super) struct Stage<S> {
    pub(super) value: S,
    next: Shared<oneshot::Receiver<()>>,
}

/// Publishes values.
#[derive(Debug)]
pub(super) struct Publisher<S> {
    published: Published<S>,
    /// Sent when the next value is published.
    next: oneshot::Sender<()>,
}

impl<S> Published<S> {
    /// Publishes a first value.
    pub(super) fn new(value: S) -> (Self, Publisher<S>) {
        let (stage, next) = stage(value);
        let published = Self(Arc::new(ArcSwap::new(stage)));
        let publisher = Publisher {
            published: published.clone(),
            next,
        };
        (published, publisher)
    }

    pub(super) fn read(&self) -> Arc<Stage<S>> {
        self.0.load_full()
    }
}

impl<S> Stage<S> {
    /// Resolves when the next value is there. Fails when the publisher has been dropped.
    pub(super) fn next(
        &self,
    ) -> impl Future<Output = Result<(), Canceled>> + Send + Unpin + 'static + use<S> {
        self.next.clone()
    }
}

impl<S> Publisher<S> {
    pub(super) fn read(&self) -> Arc<Stage<S>> {
        self.published.read()
    }

    /// Publishes a value, and wakes those that wait for it, after this has been done.
    pub(super) fn publish(&mut self, value: S, before_waking: impl FnOnce()) {
        let (stage, next) = stage(value);
        self.published.0.store(stage);
        before_waking();
        let before = std::mem::replace(&mut self.next, next);
        // It may be that none waits.
        let _ = before.send(());
    }
}

impl<S> Clone for Published<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn stage<S>(value: S) -> (Arc<Stage<S>>, oneshot::Sender<()>) {
    let (sender, next) = oneshot::channel();
    let next = next.shared();
    (Arc::new(Stage { value, next }), sender)
}
