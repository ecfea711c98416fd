//! Spans of a client as OpenTelemetry sees them: an operation, and each attempt of it below, by gRPC and by HTTP, with the names of the
//! semantic conventions; and the trace that goes on in the server.
//!
//! ```text
//! cargo run --example tracing_otel --features fake,tracing
//! ```

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use etcd_http::{Client, Protocol, fake::FakeEtcd};
use opentelemetry::trace::{SpanId, TraceContextExt, TracerProvider};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let exported = Exported::default();
    // In a service: `opentelemetry_otlp::SpanExporter`, in batches.
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exported.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("example"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber)?;
    work().await?;
    provider.force_flush()?;
    exported.print(SpanId::INVALID, 0);
    exported.check();
    Ok(())
}

async fn work() -> Result<(), Box<dyn Error>> {
    let etcd = FakeEtcd::new();
    for protocol in [Protocol::Grpc, Protocol::Gateway] {
        let client = Client::builder(etcd.clone())
            .endpoints(etcd.endpoints())
            .protocol(protocol)
            .traceparent(traceparent)
            .build()?;
        client.v3().kv().put("color", "blue").await?;
        client.v2().set("/color", "blue").await?;
        client.v2().get("/shape").await.unwrap_err();
    }
    Ok(())
}

/// Returns the header that continues the trace of the present span.
fn traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| {
        let (trace, span) = (context.trace_id(), context.span_id());
        format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8())
    })
}

/// Keeps what is exported.
#[derive(Clone, Debug, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(spans);
        Ok(())
    }
}

impl Exported {
    fn print(&self, parent: SpanId, depth: usize) {
        let spans = self.0.lock().unwrap().clone();
        let mut below: Vec<_> = spans
            .into_iter()
            .filter(|it| it.parent_span_id == parent)
            .collect();
        below.sort_by_key(|span| span.start_time);
        for span in below {
            println!("{:indent$}{}", "", span.name, indent = 4 * depth);
            let attributes = span.attributes.iter();
            for attribute in attributes.filter(|it| is_conventional(it.key.as_str())) {
                let indent = 4 * depth + 2;
                println!("{:indent$}{}={}", "", attribute.key, attribute.value);
            }
            self.print(span.span_context.span_id(), depth + 1);
        }
    }

    /// This example is a test, too.
    fn check(&self) {
        let spans = self.0.lock().unwrap();
        let count = |name: &str| spans.iter().filter(|it| it.name == name).count();
        for (name, expected) in [
            ("v3.kv.put", 2),
            ("etcdserverpb.KV/Put", 1),
            ("POST /v3/kv/put", 1),
            ("PUT /v2/keys/{key}", 2),
            ("GET /v2/keys/{key}", 2),
        ] {
            assert_eq!(count(name), expected, "{name}");
        }
        let rpc = spans.iter().find(|it| it.name == "etcdserverpb.KV/Put");
        let attributes = rpc.map(|span| format!("{:?}", span.attributes));
        let attributes = attributes.unwrap_or_default();
        for expected in ["rpc.system.name", "grpc", "rpc.response.status_code", "OK"] {
            assert!(attributes.contains(expected), "{attributes}");
        }
    }
}

/// tracing adds where a span is in the sources, and by which thread it was made.
fn is_conventional(name: &str) -> bool {
    ["db.", "rpc.", "http.", "url.", "server.", "error."]
        .iter()
        .any(|root| name.starts_with(root))
}
