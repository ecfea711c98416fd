//! The configurations that `docs/behind-a-proxy.md` shows, before a server of a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Proxy, authority, haproxy, nginx};
use crate::certificates::Pair;

/// Starts the proxy of a file of `docs/proxies`, such as `nginx-grpc.conf`, before the etcd with this URL. Addresses and
/// certificates are those of the test, and the rest is as the file has it.
pub fn documented(name: &str, etcd: impl AsRef<str>, pair: &Pair) -> Proxy {
    let etcd = authority(etcd.as_ref());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(repository.join("docs/proxies").join(name)).unwrap();
    let (kind, is_nginx) = if name.starts_with("nginx") {
        (nginx::KIND, true)
    } else {
        (haproxy::KIND, false)
    };
    let is_https = text.contains("ssl");
    Proxy::start(kind, is_https, |directory, port| {
        let Pair { certificate, key } = pair;
        let both = directory.join("both.pem");
        let pems = [certificate, key].map(|path| fs::read(path).unwrap());
        fs::write(&both, pems.concat()).unwrap();
        let here = format!("127.0.0.1:{port}");
        let files: [(&str, &PathBuf); 3] = [
            ("/etc/ssl/etcd.pem", certificate),
            ("/etc/ssl/etcd-key.pem", key),
            ("/etc/ssl/etcd-with-key.pem", &both),
        ];
        let mut text = text.clone();
        for (there, file) in files {
            text = text.replace(there, &file.display().to_string());
        }
        for there in ["127.0.0.1:8080", "127.0.0.1:8443"] {
            text = text.replace(there, &here);
        }
        for there in ["10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"] {
            text = text.replace(there, etcd);
        }
        if is_nginx {
            nginx::arguments(directory, &text)
        } else {
            haproxy::arguments(directory, &text)
        }
    })
}
