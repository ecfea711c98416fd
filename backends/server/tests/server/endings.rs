//! However a server ends, nothing is left behind.

use std::{
    io::{BufRead, BufReader},
    panic::{self, AssertUnwindSafe},
    process, thread,
    time::{Duration, Instant},
};

use etcd_server::{Error, Server};

use crate::support::{Remains, get, is_rerun, rerun};

#[test]
fn a_stopped_server_shuts_down_gracefully() {
    let server = Server::builder().arg("--log-level=info").start().unwrap();
    server.stop().unwrap();
    assert!(server.log().contains("received signal"), "{}", server.log());
    server.stop().unwrap();
}

#[test]
fn a_dropped_server_is_gone_even_after_a_panic() {
    let mut remains = None;
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let server = Server::start().unwrap();
        remains = Some(Remains::of(&server));
        server.pause().unwrap();
        panic!("as a failed assertion does");
    }));
    assert!(panicked.is_err());
    assert!(remains.unwrap().is_gone());
}

#[test]
fn a_killed_test_leaves_nothing_behind() {
    if is_rerun() {
        let (running, paused, stopped) = (
            Server::start().unwrap(),
            Server::start().unwrap(),
            Server::start().unwrap(),
        );
        paused.pause().unwrap();
        stopped.kill().unwrap();
        for server in [&running, &paused, &stopped] {
            println!(
                "\nREMAINS {} {}",
                server.client_url(),
                server.data_dir().display()
            );
        }
        println!("\nREADY");
        thread::sleep(Duration::from_secs(60));
        process::exit(1);
    }
    let mut test = rerun("endings::a_killed_test_leaves_nothing_behind", &[]);
    let lines = BufReader::new(test.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let remains: Vec<_> = lines
        .take_while(|line| line != "READY")
        .filter_map(|line| Remains::read(&line))
        .collect();
    assert_eq!(remains.len(), 3);
    assert!(get(&remains[0].url, "/version").is_ok());
    // SIGKILL: no destructor runs.
    test.kill().unwrap();
    test.wait().unwrap();
    for remains in remains {
        assert!(remains.is_gone(), "{remains:?} is still there");
    }
}

#[test]
fn a_server_ends_at_its_time_limit() {
    let limit = Duration::from_secs(4);
    let server = Server::builder().time_limit(limit).start().unwrap();
    assert!(server.is_running());
    let remains = Remains::of(&server);
    let deadline = Instant::now() + 2 * limit;
    while server.is_running() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(get(&remains.url, "/version").is_err());
    assert!(matches!(server.restart(), Err(Error::TimeLimit { .. })));
}
