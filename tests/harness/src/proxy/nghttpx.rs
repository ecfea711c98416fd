//! nghttpx.

use super::{ACCESS, Kind, OUTPUT, Proxy, authority};
use crate::certificates::Pair;

/// nghttpx before one etcd: `https://` with HTTP/2 for clients, HTTP/1.1 to etcd.
#[derive(Clone, Debug)]
pub struct Nghttpx {
    etcd: String,
    pair: Pair,
    max_streams: u32,
}

impl Nghttpx {
    /// Settings for nghttpx before the etcd with this URL, with this certificate.
    pub fn before(etcd: impl AsRef<str>, pair: &Pair) -> Self {
        Self {
            etcd: authority(etcd.as_ref()).to_owned(),
            pair: pair.clone(),
            max_streams: 100,
        }
    }

    /// The limit of concurrent streams on each connection of a client. Defaults to 100.
    #[must_use]
    pub fn max_streams(mut self, max_streams: u32) -> Self {
        self.max_streams = max_streams;
        self
    }

    /// Starts it.
    pub fn start(&self) -> Proxy {
        let kind = Kind {
            program: "nghttpx",
            package: "nghttp2-proxy",
        };
        Proxy::start(kind, true, |directory, port| {
            let Pair { certificate, key } = &self.pair;
            let etcd = self.etcd.replace(':', ",");
            let max_streams = self.max_streams;
            let directory = directory.display();
            vec![
                // Not the system's.
                "--conf=/dev/null".to_owned(),
                "--single-process".to_owned(),
                "--single-thread".to_owned(),
                format!("--frontend=127.0.0.1,{port}"),
                format!("--backend={etcd};;proto=http/1.1"),
                format!("--frontend-http2-max-concurrent-streams={max_streams}"),
                format!("--errorlog-file={directory}/{OUTPUT}"),
                format!("--accesslog-file={directory}/{ACCESS}"),
                key.display().to_string(),
                certificate.display().to_string(),
            ]
        })
    }
}
