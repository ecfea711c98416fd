//! Sessions, whose guarantees are those of leases. One that is closed or dropped ends at once.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_http::transport::Transport;
use futures::future::{Either, select};

use crate::v3::{
    Task,
    leases::{End, LOOK, LeaseRecord},
};

impl<T: Transport> Task<T> {
    /// Holds one session after the other.
    pub(super) async fn hold_session(mut self, ttl: Duration) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(ttl).await else {
                continue;
            };
            let key = self.attach(session.lease().get()).await;
            let until = Instant::now() + self.between(1_000, 15_000);
            let mut promised = Instant::now();
            let mut loss = None;
            let mut lost = pin!(session.lost());
            while loss.is_none() && Instant::now() < until && !self.is_over() {
                let now = Instant::now();
                let remaining = session.remaining();
                if !remaining.is_zero() {
                    promised = promised.max(now + remaining);
                }
                let pause = pin!(self.sleep(LOOK));
                if let Either::Left((lease, _)) = select(&mut lost, pause).await {
                    loss = Some((End::Lost(lease.to_string()), Instant::now()));
                }
            }
            if loss.is_some() && (session.is_alive() || !session.remaining().is_zero()) {
                self.journal.oddity(format!("{key}: alive after its loss"));
            }
            let (end, ended) = loss.unwrap_or_else(|| (End::Revoked, Instant::now()));
            if self.random.bool() {
                let closed = session.close().await;
                self.journal.count_recipe("close", &closed);
                if closed.is_ok() && end == End::Revoked {
                    self.expect_gone(&key).await;
                }
            }
            drop(session);
            driver.await.unwrap();
            self.journal.lease(LeaseRecord {
                key,
                ttl,
                promised,
                due: promised,
                end,
                ended,
            });
        }
    }
}
