use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Passes on the trace that a request belongs to.
#[derive(Clone, Default)]
pub(crate) struct TraceContext(Option<Arc<Current>>);

/// Returns the value of the header for the trace of the present task.
type Current = dyn Fn() -> Option<String> + Send + Sync;

impl TraceContext {
    pub(crate) fn new(current: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(current)))
    }

    /// Adds the header to a request, if there is a trace. What cannot be a header is left out.
    pub(crate) fn add(&self, headers: &mut HeaderMap) {
        let value = self.0.as_ref().and_then(|current| current());
        if let Some(value) = value.and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "TraceContext"
        } else {
            "None"
        })
    }
}
