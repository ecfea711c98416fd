//! Spans and events, if the feature `tracing` is enabled.

#[cfg(feature = "tracing")]
pub(crate) use enabled::*;

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::*;

#[cfg(feature = "tracing")]
mod enabled {
    use std::{fmt, pin::Pin, time::Duration};

    use futures::{Stream, StreamExt, stream::BoxStream};
    use tracing::{Instrument, Level, Span, debug_span};

    /// Whether a subscriber listens to the events of attempts.
    pub(crate) fn is_enabled() -> bool {
        tracing::enabled!(target: "etcd_http", Level::DEBUG)
    }

    /// An endpoint that was up has failed, and is avoided for a while.
    pub(crate) fn endpoint_failed(endpoint: impl fmt::Display, pause: Duration) {
        tracing::warn!(
            target: "etcd_http",
            %endpoint,
            pause = pause.as_secs_f64(),
            "an endpoint failed and is avoided for now"
        );
    }

    /// It was found out how v3 calls travel to an endpoint.
    pub(crate) fn protocol_found(
        endpoint: impl fmt::Display,
        protocol: impl fmt::Debug,
        reason: &str,
    ) {
        tracing::info!(
            target: "etcd_http",
            %endpoint,
            ?protocol,
            reason,
            "the protocol of v3 calls was found out"
        );
    }

    /// A lease is lost, other than by its holder.
    pub(crate) fn lease_lost(lease: impl fmt::Display, reason: impl fmt::Display) {
        tracing::warn!(target: "etcd_http", %lease, %reason, "a lease is lost");
    }

    /// A copy or a watch begins again, as changes are lost.
    pub(crate) fn resynced(operation: &'static str, reason: impl fmt::Display) {
        tracing::warn!(target: "etcd_http", operation, %reason, "changes are lost: reading everything again");
    }

    fn span(operation: &'static str) -> Span {
        debug_span!(target: "etcd_http", "etcd", operation)
    }

    /// Runs the future in the operation's span.
    pub(crate) fn future<F: Future>(
        operation: &'static str,
        work: F,
    ) -> impl Future<Output = F::Output> {
        work.instrument(span(operation))
    }

    /// Polls the stream in the operation's span.
    pub(crate) fn stream<S: Send + 'static>(
        operation: &'static str,
        mut items: BoxStream<'static, S>,
    ) -> BoxStream<'static, S> {
        let span = span(operation);
        futures::stream::poll_fn(move |cx| span.in_scope(|| Pin::new(&mut items).poll_next(cx)))
            .boxed()
    }
}

#[cfg(not(feature = "tracing"))]
mod disabled {
    use std::{fmt, time::Duration};

    use futures::stream::BoxStream;

    pub(crate) fn is_enabled() -> bool {
        false
    }

    pub(crate) fn endpoint_failed(_: impl fmt::Display, _: Duration) {}

    pub(crate) fn protocol_found(_: impl fmt::Display, _: impl fmt::Debug, _: &str) {}

    pub(crate) fn lease_lost(_: impl fmt::Display, _: impl fmt::Display) {}

    pub(crate) fn resynced(_: &'static str, _: impl fmt::Display) {}

    pub(crate) fn future<F: Future>(_: &'static str, work: F) -> F {
        work
    }

    pub(crate) fn stream<S>(
        _: &'static str,
        items: BoxStream<'static, S>,
    ) -> BoxStream<'static, S> {
        items
    }
}
