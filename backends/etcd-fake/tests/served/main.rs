//! The program `etcd-fake`: other clients get the same responses as from a real server.
//!
//! `etcdctl` is expected beside each of the servers named by `ETCD_BIN_3_4`, `ETCD_BIN_3_5` and `ETCD_BIN`.

mod clients;
mod connections;
mod control;
mod etcdctl_v3;
mod grpc;
mod https;
mod websocket;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use fake_harness::real::GUARDED;

/// A running `etcd-fake`, ended when dropped.
struct Served {
    process: Child,
    url: String,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Served {
    fn start(flags: &[&str]) -> Self {
        Self::start_at("http://127.0.0.1:0", flags)
    }

    fn start_at(url: &str, flags: &[&str]) -> Self {
        let mut process = Command::new("sh")
            .args(["-c", GUARDED, "", env!("CARGO_BIN_EXE_etcd-fake")])
            .args(["--listen-client-urls", url])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let url = lines.find_map(|line| Some(line.split_once("serving ")?.1.to_owned()));
        let url = url.expect("the program ended");
        Self {
            process,
            url,
            lines: Box::new(lines),
        }
    }

    /// What stands behind these words in a later line of the output.
    fn reply(&mut self, words: &str) -> String {
        let reply = (self.lines).find_map(|line| Some(line.split_once(words)?.1.to_owned()));
        reply.expect("the program ended")
    }

    fn address(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn profile(version: &str) -> &'static str {
    if version.starts_with("3.4") {
        "3.4"
    } else {
        "3.5"
    }
}
