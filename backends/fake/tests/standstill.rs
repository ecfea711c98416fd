//! A clock that nobody moves.

use std::{
    env,
    process::{Command, Stdio},
    time::Duration,
};

use etcd_http_fake::{Clock, FakeEtcd};
use etcd_transport::Transport;
use futures::FutureExt;

/// Says to the process that it is the child of this test.
const CHILD: &str = "ETCD_FAKE_STANDSTILL";

#[test]
fn a_test_that_waits_for_a_clock_which_nobody_moves_gets_a_warning() {
    if env::var_os(CHILD).is_some() {
        return wait_for_the_clock();
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_test_that_waits_for_a_clock_which_nobody_moves_gets_a_warning")
        .env(CHILD, "1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(child.status.success());
    let reply = String::from_utf8(child.stderr).unwrap();
    let reply: Vec<_> = reply
        .lines()
        .filter(|line| line.starts_with("etcd-http-fake"))
        .collect();
    let expected = "the clock has stood still for 10s, and 2 tasks sleep until it moves, the next for 50ms more";
    assert!(reply.len() == 1 && reply[0].contains(expected), "{reply:?}");
    for remedy in ["FakeEtcd::advance", "Clock::auto()", "Clock::Real"] {
        assert!(reply[0].contains(remedy), "{reply:?}");
    }
}

/// Sleeps on three fakes, one of which has a clock that stands still, and one that is moved.
fn wait_for_the_clock() {
    let (standing, moved) = (FakeEtcd::new(), FakeEtcd::new());
    let real = FakeEtcd::builder().clock(Clock::Real).build();
    let mut sleeps = [
        standing.sleep(Duration::from_millis(50)),
        standing.sleep(Duration::from_secs(1)),
        moved.sleep(Duration::from_secs(3600)),
        real.sleep(Duration::from_secs(3600)),
    ];
    for sleep in &mut sleeps {
        assert!(sleep.now_or_never().is_none());
    }
    for _ in 0..26 {
        std::thread::sleep(Duration::from_millis(500));
        moved.advance(Duration::from_secs(1));
    }
}
