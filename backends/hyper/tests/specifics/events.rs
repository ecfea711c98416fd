//! Connections are events.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_transport::{Transport, http::Uri};
use etcd_transport_conformance::{Server, on_tokio::put};
use etcd_transport_hyper::HyperTransport;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::{OK, answered};

/// Keeps the events of the transport: message, server, version, and what follows.
#[derive(Clone, Debug, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "etcd_transport_hyper"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // How long it took differs.
        if field.name() != "elapsed" {
            let _ = write!(self.0, "{field}={value:?} ");
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_made_closed_or_not_made_is_an_event() {
    // With a single dispatcher, tracing caches the interest of the thread that first reaches an event, for all threads.
    let _another = tracing::Dispatch::new(Events::default());
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let server = Server::responding(OK);
    let transport = HyperTransport::builder()
        .idle_timeout(Duration::ZERO)
        .build()
        .unwrap();
    answered(&transport, put(server.uri("/"))).await;
    drop(transport);
    let authority = server.uri("/").authority().unwrap().clone();
    let nobody = Uri::from_static("http://127.0.0.1:1/");
    let transport = HyperTransport::default();
    transport.send(put(nobody)).await.unwrap_err();
    // The task of the first connection has to notice its end.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut events = events.0.lock().unwrap().clone();
    events.sort();
    let [closed, made, refused] = &events[..] else {
        panic!("{events:?}");
    };
    let about = format!("server=\"{authority}\" network.protocol.version=\"1.1\" ");
    assert_eq!(*closed, format!("message=a connection was closed {about}"));
    assert_eq!(*made, format!("message=a connection was made {about}"));
    assert!(
        refused.starts_with("message=no connection could be made server=\"127.0.0.1:1\" "),
        "{refused}"
    );
    assert!(refused.contains("reason=\"Connection refused"), "{refused}");
}
