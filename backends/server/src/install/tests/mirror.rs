//! A mirror of etcd's releases with one small archive.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use super::{NEW, fixture::prints};
use crate::{environment::go_arch, install::version::Version};

/// An HTTP server with an archive and its digest. It runs until the test process exits.
pub(crate) struct Mirror {
    pub(crate) url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    routes: HashMap<String, Vec<u8>>,
    hits: Vec<String>,
    truncates: bool,
}

impl Mirror {
    pub(crate) fn of(archive: &[u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Shared>>::default();
        let mirror = Self {
            url,
            shared: Arc::clone(&shared),
        };
        mirror.replace(&archive_name(), archive);
        mirror.replace(
            "SHA256SUMS",
            format!("{}  {}\n", digest(archive), archive_name()).as_bytes(),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &shared);
            }
        });
        mirror
    }

    pub(crate) fn replace(&self, name: &str, content: &[u8]) {
        self.shared
            .lock()
            .unwrap()
            .routes
            .insert(format!("/v{NEW}/{name}"), content.to_owned());
    }

    pub(crate) fn clear(&self) {
        self.shared.lock().unwrap().routes.clear();
    }

    pub(crate) fn truncate(&self) {
        self.shared.lock().unwrap().truncates = true;
    }

    pub(crate) fn hits(&self) -> Vec<String> {
        self.shared.lock().unwrap().hits.clone()
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
    let request = lines.next().unwrap();
    assert!(lines.any(|line| line.is_empty()));
    let path = request.split(' ').nth(1).unwrap();
    let mut shared = shared.lock().unwrap();
    shared
        .hits
        .push(path.rsplit('/').next().unwrap().to_owned());
    let (status, body) = shared
        .routes
        .get(path)
        .map_or((404, &[][..]), |body| (200, body));
    let is_truncated = shared.truncates && path.ends_with(".gz");
    let sent = if is_truncated {
        &body[..body.len() / 2]
    } else {
        body
    };
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(sent).unwrap();
}

pub(crate) fn script(version: Version) -> Vec<u8> {
    // Long and hard to compress, so that half of the archive does not contain the whole program.
    let noise: String = (0..500_u32)
        .map(|n| format!("# {}\n", n.wrapping_mul(2_654_435_761)))
        .collect();
    format!("#!/bin/sh\n{}\n{noise}", prints(version)).into_bytes()
}

pub(crate) fn archive_name() -> String {
    format!("etcd-v{NEW}-linux-{}.tar.gz", go_arch())
}

/// An archive with these files in its directory. A name that contains a slash is used as it is.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, content) in files {
        let name = if name.contains('/') {
            (*name).to_owned()
        } else {
            format!("etcd-v{NEW}-linux/{name}")
        };
        let mut header = tar::Header::new_gnu();
        // The library refuses to write an unsafe path.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o755);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
