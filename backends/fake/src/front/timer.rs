use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{
    cluster::sleep::Sleep,
    state::{EtcdShared, Stores},
};

/// Waits for a time that may change from poll to poll.
#[derive(Default)]
pub(super) struct Timer(Option<(u64, Pin<Box<Sleep<Stores>>>)>);

impl Timer {
    /// Polls for this time by the fake's clock; pending forever if there is none.
    pub(super) fn poll(
        &mut self,
        shared: &Arc<EtcdShared>,
        due: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.0 = self.0.take().filter(|(other, _)| Some(*other) == due);
        let Some(due) = due else {
            return Poll::Pending;
        };
        let sleep = || (due, Box::pin(Sleep::until(Arc::clone(shared), due)));
        let (_, sleep) = self.0.get_or_insert_with(sleep);
        ready!(sleep.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(())
    }
}
