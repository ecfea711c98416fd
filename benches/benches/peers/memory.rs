//! Peak memory: each client in a process of its own, which does the same work.

use std::{env, fs, process::Command};

use etcd_http::{Client, hyper::HyperTransport, reqwest::ReqwestTransport};
use etcd_http_benches::tokio;
use tokio::task::JoinSet;

use crate::{
    LARGE, NAMES, VALUE,
    bare::Bare,
    contender::{Call, Contender, Operation},
    key,
};

/// The process that does nothing.
const NOTHING: &str = "a process without a client";

/// How many callers there are at once, and what each of them does.
const CALLERS: usize = 64;
const PUTS: usize = 32;
const LISTS: usize = 8;

/// Starts a process for each client, and prints its peak.
pub(crate) fn measure(url: &str) {
    println!(
        "\npeak memory of a process: {CALLERS} callers at once, each with {PUTS} puts of 1 KiB and {LISTS} lists of 1,000 keys"
    );
    let nothing = peak_of(NOTHING, url);
    println!("  {NOTHING:36} {:>6.1} MiB", mebibytes(nothing));
    for name in NAMES {
        let peak = peak_of(name, url);
        let own = mebibytes(peak.saturating_sub(nothing));
        println!(
            "  {name:36} {:>6.1} MiB, {own:>6.1} of its own",
            mebibytes(peak)
        );
    }
}

/// Runs the process, and returns its peak in KiB.
fn peak_of(name: &str, url: &str) -> u64 {
    let program = env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--memory", name, url])
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("its peak")
}

/// Does the work of a process, and prints its peak.
pub(crate) fn run(name: &str, url: &str) {
    let runtime = tokio();
    runtime.block_on(async {
        match NAMES.iter().position(|it| *it == name) {
            Some(0) => work::<Bare>(url).await,
            Some(1) => work::<Client<HyperTransport>>(url).await,
            Some(2) => work::<Client<ReqwestTransport>>(url).await,
            Some(_) => work::<etcd_client::Client>(url).await,
            None => {}
        }
    });
    println!("{}", peak());
}

async fn work<C: Contender>(url: &str) {
    let client = C::connect(url).await;
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        let (mut client, large) = (client.clone(), key(caller, LARGE));
        tasks.spawn(async move {
            for _ in 0..PUTS {
                let put = Call {
                    operation: Operation::Put,
                    key: &large,
                    value: LARGE,
                };
                client.run(put).await;
            }
            for _ in 0..LISTS {
                let list = Call {
                    operation: Operation::List,
                    key: "",
                    value: VALUE,
                };
                client.run(list).await;
            }
        });
    }
    tasks.join_all().await;
}

/// The most memory that this process has had at once, in KiB. Zero where the system does not tell it.
pub(crate) fn peak() -> u64 {
    status("VmHWM:")
}

/// The memory that this process has, in KiB. Zero where the system does not tell it.
pub(crate) fn resident() -> u64 {
    status("VmRSS:")
}

/// A number that the system knows of this process.
pub(crate) fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let text = lines.find_map(|line| line.strip_prefix(name));
    let number = text.and_then(|text| text.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
