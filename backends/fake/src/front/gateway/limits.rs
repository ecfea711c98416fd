use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use etcd_transport::{PolledFrame, TransportError};
use http::HeaderMap;
use http_body::Frame;

use super::{error::GatewayError, header};
use crate::{
    cluster::sleep::Sleep,
    profile::Profile,
    state::{EtcdShared, Stores},
    v3::{api::Call, error::V3Error},
};

/// After how long without a leader a stream ends that wants one: three election timeouts, in nanoseconds.
const LEADER_PATIENCE: u64 = 3_000_000_000;

/// Conditions that the headers of a request set for its call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// When the caller wants no response any more (`Grpc-Timeout`), in the time of the fake's clock.
    pub(super) deadline: Option<u64>,
    /// Whether the member must know a leader (`Grpc-Metadata-hasleader`).
    pub(super) needs_leader: bool,
    /// Whether there was no time from the beginning.
    pub(super) is_expired: bool,
}

impl Limits {
    /// What the headers of a request say that `arrived` then.
    pub(super) fn read(headers: &HeaderMap, arrived: u64) -> Result<Self, GatewayError> {
        let timeout = timeout(headers)?;
        let has_leader = header(headers, "grpc-metadata-hasleader");
        Ok(Self {
            deadline: timeout.map(|timeout| {
                let timeout = u64::try_from(timeout).unwrap_or_default();
                arrived.saturating_add(timeout)
            }),
            needs_leader: has_leader.is_some_and(|value| value.as_bytes() == b"true"),
            is_expired: timeout.is_some_and(|timeout| timeout <= 0),
        })
    }

    /// Whether the member serves this call. `is_for_learners`: a learner does, too.
    pub(super) fn check(self, call: &Call<'_>, is_for_learners: bool) -> Result<(), GatewayError> {
        if self.is_expired {
            return Err(GatewayError::deadline_exceeded());
        }
        Ok(call.admit(is_for_learners, self.needs_leader)?)
    }

    /// Ends a stream when it must.
    pub(super) fn apply<B>(
        self,
        inner: B,
        shared: &Arc<EtcdShared>,
        endpoint: usize,
        profile: Profile,
    ) -> Limited<B> {
        let sleep = |due| Box::pin(Sleep::until(Arc::clone(shared), due));
        Limited {
            inner: Some(inner),
            shared: Arc::clone(shared),
            endpoint,
            profile,
            deadline: self.deadline.map(sleep),
            needs_leader: self.needs_leader,
            without_leader: None,
        }
    }
}

/// The header `Grpc-Timeout`: a number and the letter of a unit, in nanoseconds. Zero is none.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<i64>, GatewayError> {
    let Some(value) = header(headers, "grpc-timeout") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let units = [
        ('H', 3_600_000_000_000),
        ('M', 60_000_000_000),
        ('S', 1_000_000_000),
        ('m', 1_000_000),
        ('u', 1_000),
        ('n', 1),
    ];
    let found = units.iter().find_map(|&(letter, nanos): &(char, i64)| {
        let number: i64 = text.strip_suffix(letter)?.parse().ok()?;
        Some(number.wrapping_mul(nanos))
    });
    match found {
        Some(0) => Ok(None),
        Some(nanos) => Ok(Some(nanos)),
        None if text.is_empty() => Ok(None),
        None => Err(GatewayError::invalid(format!(
            "invalid grpc-timeout: {text}"
        ))),
    }
}

/// A stream that ends with an error when its time is up, or when its member has known no leader for some time.
pub(super) struct Limited<B> {
    /// None after the end.
    inner: Option<B>,
    shared: Arc<EtcdShared>,
    endpoint: usize,
    profile: Profile,
    deadline: Option<Pin<Box<Sleep<Stores>>>>,
    needs_leader: bool,
    /// Counts the time without a leader.
    without_leader: Option<Pin<Box<Sleep<Stores>>>>,
}

impl<B> Limited<B> {
    /// Waits for the reason to end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(GatewayError::deadline_exceeded());
        }
        if !self.needs_leader {
            return Poll::Pending;
        }
        let (has_leader, now) = self.shared.with(|core| {
            let leader = core.cluster.leader_at(self.endpoint);
            (leader.is_some(), core.time.elapsed)
        });
        if has_leader {
            self.without_leader = None;
            return Poll::Pending;
        }
        let shared = &self.shared;
        let sleep = self.without_leader.get_or_insert_with(|| {
            let due = now.saturating_add(LEADER_PATIENCE);
            Box::pin(Sleep::until(Arc::clone(shared), due))
        });
        sleep.as_mut().poll(cx).map(|()| V3Error::NO_LEADER.into())
    }
}

impl<B> http_body::Body for Limited<B>
where
    B: http_body::Body<Data = Bytes, Error = TransportError> + Unpin,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let error = ready!(this.poll_end(cx));
        this.inner = None;
        Poll::Ready(Some(Ok(Frame::data(error.line(this.profile).into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }
}
