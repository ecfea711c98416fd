use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use etcd_transport::Transport;
use futures::{
    FutureExt,
    channel::{mpsc, oneshot},
};

use super::{End, Inner, Session, SessionDriver, Settings, State, driver::Ending, grant};
use crate::{
    error::{Error, InvalidInput},
    recipes::error::RecipeError,
    v3::Namespace,
};

/// The settings of a [`Session`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionBuilder<T> {
    namespace: Namespace<T>,
    settings: Settings,
}

impl<T: Transport> SessionBuilder<T> {
    pub(super) fn new(namespace: Namespace<T>) -> Self {
        Self {
            namespace,
            settings: Settings {
                ttl: Duration::from_secs(60),
                renewal_interval: None,
                close_limit: Duration::from_secs(5),
                reestablish_limit: Duration::from_secs(300),
            },
        }
    }

    /// Sets the time to live of the lease. Defaults to 60 s, as in Go's client.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// Sets how long after each renewal the next one is sent. Defaults to a third of the time to live.
    pub fn renewal_interval(mut self, interval: Duration) -> Self {
        self.settings.renewal_interval = Some(interval);
        self
    }

    /// Sets how long [`close`](Session::close), and the driver after the last handle is dropped, try to revoke the lease.
    /// Defaults to 5 s.
    pub fn close_limit(mut self, limit: Duration) -> Self {
        self.settings.close_limit = limit;
        self
    }

    /// Sets how long [`reestablish`](Session::reestablish) tries to get another lease. Defaults to 5 minutes.
    /// [`Duration::MAX`] is forever.
    pub fn reestablish_limit(mut self, limit: Duration) -> Self {
        self.settings.reestablish_limit = limit;
        self
    }

    /// Grants the lease, and returns the session and its driver: see [`Session::open`].
    ///
    /// # Errors
    /// [`RecipeError::Client`] if the lease cannot be granted.
    pub async fn open(self) -> Result<(Session<T>, SessionDriver), RecipeError> {
        let Self {
            namespace,
            settings,
        } = self;
        // Counted first: who closes the client meanwhile waits for it.
        let open = namespace.client().pipeline().lifecycle.begin_session();
        if namespace.client().is_closed() {
            return Err(Error::Invalid(InvalidInput::closed("v3.lease.grant")).into());
        }
        // It ends before the client does.
        let namespace = namespace.privileged();
        let (mut keeper, renewals) = namespace.client().v3().leases().keeper();
        if let Some(interval) = settings.renewal_interval {
            keeper = keeper.renewal_interval(interval);
        }
        let lease = grant(&keeper, settings.ttl).boxed().await?;
        let (releases, releasing) = mpsc::unbounded();
        let (end, ending) = oneshot::channel();
        let ending = Ending {
            lease: ending,
            limit: settings.close_limit,
        };
        let driver_namespace = namespace.clone();
        let inner = Inner {
            namespace,
            keeper,
            settings,
            state: Mutex::new(State {
                lease,
                end: End::Open,
            }),
            reestablishing: Default::default(),
            releases,
            end: Some(end),
            locks: Default::default(),
            lanes: Default::default(),
            next_number: AtomicU64::new(0),
        };
        let inner = Arc::new(inner);
        let session = Arc::downgrade(&inner);
        let driver =
            SessionDriver::new(driver_namespace, open, renewals, releasing, ending, session);
        Ok((Session { inner }, driver))
    }
}
