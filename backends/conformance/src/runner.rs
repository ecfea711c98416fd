//! Runs one test: with a time limit, and, where necessary, in a process of its own.

use std::{env, panic, process::Command, sync::mpsc, thread, time::Duration};

/// Longer than any test takes on a backend that keeps the contract.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Set in the process in which the test of proxies runs.
const CHILD: &str = "ETCD_TRANSPORT_CONFORMANCE_CHILD";

/// Runs `clause`, and fails if it has not ended after a minute: a transport that hangs fails the test.
pub fn run(clause: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _dropped_at_the_end = ended;
        clause();
    });
    if end.recv_timeout(TIME_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the clause has not ended after {TIME_LIMIT:?}");
    }
    if let Err(failure) = thread.join() {
        panic::resume_unwind(failure);
    }
}

/// Runs `clause` with proxies in the environment that do not exist, in a process of its own: an HTTP stack may read its
/// environment at any time.
///
/// `test` is the path of the calling test, with its crate.
pub fn run_with_proxies_in_the_environment(test: &str, clause: impl FnOnce() + Send + 'static) {
    if env::var_os(CHILD).is_some() {
        return run(clause);
    }
    let (_crate, test) = test.split_once("::").unwrap_or(("", test));
    let mut child = Command::new(env::current_exe().expect("the path of this test program"));
    child.args([test, "--exact", "--nocapture"]).env(CHILD, "1");
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        // No server listens on port 1.
        child.env(name, "http://127.0.0.1:1");
        child.env(name.to_uppercase(), "http://127.0.0.1:1");
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = child.output().expect("this test program runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{failure}"
    );
}
