//! Spans and events, if the feature `tracing` is enabled. The names are those of OpenTelemetry's semantic conventions where these
//! have one.

#[cfg(feature = "tracing")]
pub(crate) use enabled::*;

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::*;

#[cfg(feature = "tracing")]
mod enabled {
    use std::{fmt, pin::Pin, time::Duration};

    use futures::{Stream, StreamExt, TryFutureExt, stream::BoxStream};
    use tracing::{Instrument, Level, Span, debug_span, field::Empty};

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

    /// An endpoint that has failed responds again.
    pub(crate) fn endpoint_recovered(endpoint: impl fmt::Display, failures: u32) {
        tracing::info!(target: "etcd_http", %endpoint, failures, "an endpoint responds again");
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

    /// The connection of a stream is lost, and another one is made after a pause.
    pub(crate) fn stream_interrupted(reason: impl fmt::Display, pause: Duration) {
        tracing::info!(
            target: "etcd_http",
            %reason,
            pause = pause.as_secs_f64(),
            "a stream was interrupted and is opened again"
        );
    }

    /// A stream that was interrupted goes on.
    pub(crate) fn stream_resumed(outage: Duration) {
        tracing::info!(
            target: "etcd_http",
            outage = outage.as_secs_f64(),
            "a stream goes on"
        );
    }

    /// A lease is kept alive from now on.
    pub(crate) fn lease_kept(lease: impl fmt::Display, ttl: Duration) {
        tracing::debug!(target: "etcd_http", %lease, ttl = ttl.as_secs_f64(), "a lease is kept alive");
    }

    /// A lease was renewed.
    pub(crate) fn lease_renewed(lease: impl fmt::Display, ttl: Duration) {
        tracing::debug!(target: "etcd_http", %lease, ttl = ttl.as_secs_f64(), "a lease was renewed");
    }

    /// A renewal of a lease failed, and is tried again.
    pub(crate) fn lease_not_renewed(lease: impl fmt::Display, reason: impl fmt::Display) {
        tracing::info!(target: "etcd_http", %lease, %reason, "a lease was not renewed");
    }

    /// A lease was revoked by its holder.
    pub(crate) fn lease_revoked(lease: impl fmt::Display) {
        tracing::debug!(target: "etcd_http", %lease, "a lease was revoked");
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
        debug_span!(
            target: "etcd_http",
            "etcd",
            operation,
            otel.name = operation,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = "etcd",
            db.operation.name = operation,
            "error.type" = Empty,
        )
    }

    /// Runs the future in the operation's span, which says what kind of error it ends with.
    pub(crate) fn future<O, E>(
        operation: &'static str,
        work: impl Future<Output = Result<O, E>>,
        error_type: impl FnOnce(&E) -> String,
    ) -> impl Future<Output = Result<O, E>> {
        let span = span(operation);
        // Not an `async fn`, which would take the size of the work twice.
        let work = work.instrument(span.clone());
        work.inspect_err(move |error| {
            if !span.is_disabled() {
                failed(&span, &error_type(error));
            }
        })
    }

    /// Records that what a span is about has failed.
    pub(crate) fn failed(span: &Span, error_type: &str) {
        span.record("error.type", error_type);
        span.record("otel.status_code", "ERROR");
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

    pub(crate) fn endpoint_recovered(_: impl fmt::Display, _: u32) {}

    pub(crate) fn protocol_found(_: impl fmt::Display, _: impl fmt::Debug, _: &str) {}

    pub(crate) fn stream_interrupted(_: impl fmt::Display, _: Duration) {}

    pub(crate) fn stream_resumed(_: Duration) {}

    pub(crate) fn lease_kept(_: impl fmt::Display, _: Duration) {}

    pub(crate) fn lease_renewed(_: impl fmt::Display, _: Duration) {}

    pub(crate) fn lease_not_renewed(_: impl fmt::Display, _: impl fmt::Display) {}

    pub(crate) fn lease_revoked(_: impl fmt::Display) {}

    pub(crate) fn lease_lost(_: impl fmt::Display, _: impl fmt::Display) {}

    pub(crate) fn resynced(_: &'static str, _: impl fmt::Display) {}

    pub(crate) fn future<O, E, F: Future<Output = Result<O, E>>>(
        _: &'static str,
        work: F,
        _: impl FnOnce(&E) -> String,
    ) -> F {
        work
    }

    pub(crate) fn stream<S>(
        _: &'static str,
        items: BoxStream<'static, S>,
    ) -> BoxStream<'static, S> {
        items
    }
}
