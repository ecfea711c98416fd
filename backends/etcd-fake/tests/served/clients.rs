//! etcdctl and curl against the program and the real server, side by side.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use fake_harness::{
    Request,
    raw::Connection,
    real::{Real, binaries},
};

use crate::{Served, profile};

/// The output of a command, and whether it succeeded. Names that differ between the two servers are replaced.
fn outcome(mut command: Command, input: &str, names: &[(String, String)]) -> String {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = process.wait_with_output().unwrap();
    let mut text = format!(
        "{}\n{}{}",
        output.status.success(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for (name, stands_for) in names {
        text = text.replace(name, stands_for);
    }
    text
}

/// The names that differ between servers.
fn names(url: &str) -> Vec<(String, String)> {
    let mut connection = Connection::new(url.trim_start_matches("http://"));
    let reply = connection.ask(&Request::new("GET", "/v2/members"));
    let member = &reply.json()["members"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    vec![
        (url.to_owned(), "URL".to_owned()),
        (
            url.trim_start_matches("http://").to_owned(),
            "ADDRESS".to_owned(),
        ),
        (text(&member["id"]), "MEMBER".to_owned()),
        (text(&member["peerURLs"][0]), "PEER".to_owned()),
        (
            reply.header("x-etcd-cluster-id").unwrap().to_owned(),
            "CLUSTER".to_owned(),
        ),
    ]
}

pub(crate) fn etcdctl(binary: &Path) -> PathBuf {
    let program = binary.with_file_name("etcdctl");
    assert!(
        program.is_file(),
        "{}: there is no etcdctl beside etcd",
        program.display()
    );
    program
}

/// Each server, and a fake of the same version.
pub(crate) fn pairs() -> impl Iterator<Item = (PathBuf, Real, Served)> {
    binaries().into_iter().map(|binary| {
        let real = Real::start(&binary);
        let served = Served::start(&["--profile", profile(&real.version)]);
        (binary, real, served)
    })
}

#[test]
fn etcdctl_prints_the_same() {
    for (binary, real, served) in pairs() {
        let program = etcdctl(&binary);
        let sides = [&real.client_url, &served.url].map(|url| (url.clone(), names(url)));
        let mut asked = 0;
        let mut both = |arguments: &str, input: &str| {
            let [expected, seen] = sides.each_ref().map(|(url, names)| {
                let mut command = Command::new(&program);
                command.env("ETCDCTL_API", "2").args(["--endpoints", url]);
                // Hashing a password may take long on a busy machine.
                command.args(["--timeout", "30s", "--total-timeout", "60s"]);
                command.args(arguments.split(' '));
                outcome(command, input, names)
            });
            assert_eq!(seen, expected, "{}: etcdctl {arguments}", real.version);
            asked += 1;
            expected
        };
        assert_eq!(both("set /a one", ""), "true\none\n");
        for arguments in [
            "get /a",
            "set /a two",
            "-o extended get /a",
            "-o json get /a",
            "get /none",
            "mk /a x",
            "mk /b new",
            "mk --in-order /queue x",
            "ls /queue",
            "mkdir /dir",
            "mkdir /dir",
            "mkdir /dir/sub",
            "set /dir/c v",
            "ls --sort /",
            "ls --sort -p /",
            "ls --recursive --sort /",
            "update /a three",
            "update /none x",
            "get --quorum /a",
            "set --swap-with-value three /a four",
            "set --swap-with-value wrong /a five",
            "set --swap-with-index 1 /a five",
            "set --ttl 1000 /ttl x",
            "setdir --ttl 1000 /dir2",
            "updatedir /dir",
            "rm --with-value wrong /a",
            "rm --with-value four /a",
            "rm /a",
            "rm /dir",
            "rmdir /dir",
            "rm --dir /dir",
            "rm --recursive /dir",
            "rmdir /dir2",
            "rmdir /none",
            "get /dir",
            "member list",
            "member remove 123",
            "cluster-health",
            "watch --after-index 4 /a",
            "watch --after-index 3 --recursive /",
            "user list",
            "role list",
            "role add reader",
            "role add reader",
            "role grant reader -path /read/* -read",
            "role get reader",
            "role revoke reader -path /read/* -read",
            "role remove none",
            "auth enable",
        ] {
            both(arguments, "");
        }
        both("user add root:secret", "secret\n");
        both("user add root", "secret\n");
        for arguments in [
            "user get root",
            "user list",
            "user add bob:hidden",
            "user grant --roles reader bob",
            "user get bob",
            "user grant --roles reader bob",
            "auth enable",
            "get /b",
            "role list",
            "-u root:secret role list",
            "-u root:wrong role list",
            "-u bob:hidden get /b",
            "-u root:secret role remove guest",
            "get /b",
            "-u root:secret get /b",
            "-u bob:hidden get /read/x",
            "-u root:secret user revoke --roles reader bob",
            "-u root:secret user remove bob",
            "-u root:secret user remove root",
            "-u root:secret auth disable",
            "auth disable",
            "user remove root",
            "role remove reader",
        ] {
            both(arguments, "");
        }
        assert!(asked > 60);
    }
}

#[test]
fn an_etcdctl_that_watches_receives_the_same() {
    for (binary, real, served) in pairs() {
        let program = etcdctl(&binary);
        let [expected, seen] = [&real.client_url, &served.url].map(|url| {
            let command = |arguments: &[&str]| {
                let mut command = Command::new(&program);
                command
                    .env("ETCDCTL_API", "2")
                    .args(["--endpoints", url])
                    .args(arguments);
                command
            };
            let watch = command(&["watch", "--recursive", "/w"]);
            let watcher = thread::spawn(move || outcome(watch, "", &[]));
            // Until the watch is registered.
            let mut connection = Connection::new(url.trim_start_matches("http://"));
            let stats = Request::new("GET", "/v2/stats/store");
            while !connection.ask(&stats).text().ends_with("\"watchers\":1}") {
                thread::sleep(Duration::from_millis(5));
            }
            outcome(command(&["set", "/w/x", "seen"]), "", &[]);
            watcher.join().unwrap()
        });
        assert_eq!(seen, expected);
        assert!(seen.contains("seen"));
    }
}

#[test]
fn curl_sees_the_same_bytes() {
    // Removes what differs between any two servers: the date, raft's index, the length of ids, the order of headers.
    let comparable = |text: String, has_ids: bool| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_end().to_owned());
        let mut lines: Vec<String> = lines
            .filter(|line| !line.starts_with("Date:") && !line.starts_with("X-Raft-Index:"))
            .filter(|line| !(has_ids && line.starts_with("Content-Length:")))
            .collect();
        lines.sort();
        lines
    };
    for (_, real, served) in pairs() {
        let sides = [&real.client_url, &served.url].map(|url| (url.clone(), names(url)));
        for arguments in [
            "-X PUT -d value=one URL/v2/keys/a",
            "-X PUT -d value=two URL/v2/keys/a",
            "URL/v2/keys/a",
            "-I URL/v2/keys/a",
            "URL/v2/keys/none",
            "URL/v2/keys/a?wait=true&waitIndex=4",
            "URL/v2/keys/a?wait=true&waitIndex=0x",
            "-X PUT --data-binary @- URL/v2/keys/big",
            "URL/v2/keys/big",
            "-I URL/v2/keys/big",
            "URL/v2/keys//a/../b",
            "-I URL/v2/keys//a",
            "-X PUT -d value=x URL/v2/keys//a",
            "-X PATCH URL/v2/keys/a",
            "-X OPTIONS URL/anything",
            "URL/nothing",
            "URL/v2/members",
            "URL/v2/machines",
            "-I URL/v2/machines",
            "URL/version",
            "URL/health",
            "-X DELETE URL/v2/members/12",
            "-X PUT URL/v2/auth/enable",
            "-H Content-Type:application/json -d {\"peerURLs\":[]} URL/v2/members",
            "-X DELETE URL/v2/keys/a",
            "--http1.0 URL/v2/keys/big",
        ] {
            let input = format!("value={}", "x".repeat(3000));
            let [expected, seen] = sides.each_ref().map(|(url, names)| {
                let mut command = Command::new("curl");
                command.args(["-s", "-i", "--path-as-is", "--max-time", "10"]);
                command.args(
                    arguments
                        .split(' ')
                        .map(|argument| argument.replace("URL", url)),
                );
                comparable(
                    outcome(command, &input, names),
                    arguments.contains("members"),
                )
            });
            assert_eq!(seen, expected, "{}: curl {arguments}", real.version);
        }
    }
}
