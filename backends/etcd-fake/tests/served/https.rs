//! The program and real servers over TLS.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use etcd_server::Server;
use fake_harness::real::binaries;
use harness::certificates::{Authority, Pair};

use crate::{Served, clients::etcdctl, profile};

/// The flags with which a server has this certificate, and wants those of its clients.
fn flags(pair: &Pair, authority: &Path) -> Vec<String> {
    vec![
        format!("--cert-file={}", pair.certificate.display()),
        format!("--key-file={}", pair.key.display()),
        format!("--trusted-ca-file={}", authority.display()),
        "--client-cert-auth".to_owned(),
    ]
}

fn start(flags: &[String]) -> Served {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Served::start_at("https://127.0.0.1:0", &flags)
}

/// A client: its certificate, and the authority that it trusts.
struct User<'a> {
    authority: &'a Path,
    pair: &'a Pair,
}

impl User<'_> {
    /// curl and etcdctl name them alike.
    fn credentials(&self) -> [&OsStr; 6] {
        let Self { authority, pair } = self;
        [
            "--cacert".as_ref(),
            authority.as_ref(),
            "--cert".as_ref(),
            pair.certificate.as_ref(),
            "--key".as_ref(),
            pair.key.as_ref(),
        ]
    }

    /// The body, the version of HTTP, the status, and the type.
    fn curl(&self, url: &str, arguments: &str) -> String {
        let (path, arguments) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--write-out"])
            .arg("\n%{http_version} %{http_code} %{content_type}\n")
            .args(self.credentials())
            .arg(format!("{url}{path}"))
            .args(arguments.split_whitespace());
        without_header(&printed(curl))
    }

    fn etcdctl(&self, program: &Path, url: &str, arguments: &str) -> String {
        let mut etcdctl = Command::new(program);
        etcdctl
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", url, "--command-timeout", "30s"])
            .args(self.credentials())
            .args(arguments.split(' '));
        // The client logs with the time.
        let text = printed(etcdctl).replace(url, "URL");
        let lines = text.lines().filter(|line| !line.starts_with("{\"level\""));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A text without the ids of the server.
fn without_header(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\"header\":{") else {
        return text.to_owned();
    };
    let (_, after) = rest.split_once('}').unwrap();
    format!("{before}{after}")
}

/// A server and a fake of the same version, over TLS.
struct Both<'a> {
    etcdctl: &'a Path,
    version: &'a str,
    urls: [&'a str; 2],
}

impl Both<'_> {
    /// Checks that a user's request is answered alike; returns the response.
    fn curl(&self, who: &str, user: &User<'_>, arguments: &str) -> String {
        self.compare(who, arguments, |url| user.curl(url, arguments))
    }

    /// The same for a command of etcdctl.
    fn etcdctl(&self, who: &str, user: &User<'_>, arguments: &str) {
        self.compare(who, arguments, |url| {
            user.etcdctl(self.etcdctl, url, arguments)
        });
    }

    fn compare(&self, who: &str, arguments: &str, ask: impl Fn(&str) -> String) -> String {
        let [expected, seen] = self.urls.map(ask);
        assert_eq!(seen, expected, "{}: {who}: {arguments}", self.version);
        expected
    }
}

/// Runs a test on each server.
fn with_each(authority: &mut Authority, test: impl Fn(&Both<'_>)) {
    let pair = authority.issue("127.0.0.1");
    let flags = flags(&pair, &authority.certificate());
    for binary in binaries() {
        let real = Server::builder().binary(&binary).name("default");
        let real = real.https(&pair.certificate, &pair.key).v2(true);
        let real = real.args(&flags[2..]).start().unwrap();
        let version = real.version().to_string();
        let mut flags = flags.clone();
        flags.extend(["--profile".to_owned(), profile(&version).to_owned()]);
        let served = start(&flags);
        test(&Both {
            etcdctl: &etcdctl(&binary),
            version: &version,
            urls: [&real.client_url(), &served.url],
        });
    }
}

#[test]
fn curl_gets_the_same_over_http_1_and_2() {
    let mut authority = Authority::new();
    let (pair, trusted) = (authority.issue("client.test"), authority.certificate());
    with_each(&mut authority, |both| {
        let user = User {
            authority: &trusted,
            pair: &pair,
        };
        for http in ["--http1.1", "--http2"] {
            for arguments in [
                "/health",
                "/nowhere",
                "/v2/keys/a -XPUT -dvalue=1",
                "/v2/keys/a",
                "/v2/keys/none",
                "/v3/kv/put -d{\"key\":\"YQ==\",\"value\":\"MQ==\"}",
                "/v3/kv/range -d{\"key\":\"YQ==\",\"keys_only\":true}",
                "/v3/kv/range -d{",
                "/v3/kv/range",
                "/v3/nothing -d{}",
            ] {
                let reply = both.curl("a client", &user, &format!("{arguments} {http}"));
                let is_http2 = reply.contains("\n2 ");
                assert_eq!(is_http2, http == "--http2", "{arguments}: {reply}");
            }
        }
    });
}

#[test]
fn v3_17_a_certificate_names_a_user_by_grpc_and_by_v2_but_not_to_the_gateway() {
    let mut authority = Authority::new();
    let trusted = authority.certificate();
    let pairs = [
        authority.issue("root"),
        authority.issue("alice"),
        authority.issue("stranger"),
        authority.issue_without_a_common_name("root"),
    ];
    with_each(&mut authority, |both| {
        let users = pairs.each_ref().map(|pair| User {
            authority: &trusted,
            pair,
        });
        let root = &users[0];
        for arguments in [
            "user add root:r",
            "user add alice:a",
            "role add reader",
            "role grant-permission reader read a",
            "user grant-role alice reader",
            "user grant-role root root",
            "auth enable",
        ] {
            both.etcdctl("root", root, arguments);
        }
        let names = ["root", "alice", "a stranger", "nobody"];
        for (who, user) in names.into_iter().zip(&users) {
            for arguments in [
                "put a 1",
                "get a",
                "get b",
                "del a --user root:r",
                "get a --user root:wrong",
                "user get alice",
                "user list",
                "defrag",
            ] {
                both.etcdctl(who, user, arguments);
            }
            for http in ["--http1.1", "--http2"] {
                for arguments in [
                    "/v3/kv/range -d{\"key\":\"YQ==\"}",
                    "/v3beta/kv/range -d{\"key\":\"YQ==\"}",
                    "/v3/auth/authenticate -d{\"name\":\"no\",\"password\":\"r\"}",
                    "/v3/nothing -d{}",
                ] {
                    both.curl(who, user, &format!("{arguments} {http}"));
                }
            }
        }
        for arguments in [
            "/v2/auth/users/root -XPUT -d{\"user\":\"root\",\"password\":\"r\"}",
            "/v2/auth/users/alice -XPUT -d{\"user\":\"alice\",\"password\":\"a\"}",
            "/v2/auth/enable -XPUT",
            "/v2/auth/roles/guest -XPUT -d{\"role\":\"guest\",\"revoke\":{\"kv\":{\"read\":[\"/*\"],\"write\":[\"/*\"]}}}",
        ] {
            both.curl("root", root, arguments);
        }
        // etcd panics at one without a name.
        for (who, user) in names.into_iter().zip(&users[..3]) {
            for arguments in [
                "/v2/keys/x -XPUT -dvalue=1",
                "/v2/keys/x",
                "/v2/keys/x --user root:r",
                "/v2/keys/x --user root:wrong",
                "/v2/auth/roles",
            ] {
                both.curl(who, user, arguments);
            }
        }
    });
}

#[test]
fn who_shows_no_good_certificate_is_not_served_and_others_are() {
    let mut authority = Authority::new();
    let trusted = authority.certificate();
    let served = start(&flags(&authority.issue("127.0.0.1"), &trusted));
    // These say nothing, or no TLS.
    let _silent = TcpStream::connect(served.address()).unwrap();
    let mut plain = TcpStream::connect(served.address()).unwrap();
    plain
        .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut reply = Vec::new();
    // Closed with an alert, or reset.
    let _ = plain.read_to_end(&mut reply);
    assert!(!reply.starts_with(b"HTTP/1.1 200"));
    let mut elsewhere = Authority::new();
    for pair in [elsewhere.issue("stranger"), authority.issue_expired("late")] {
        let user = User {
            authority: &trusted,
            pair: &pair,
        };
        let reply = user.curl(&served.url, "/health");
        assert!(reply.starts_with("\n0 000"), "{reply}");
    }
    let user = User {
        authority: &trusted,
        pair: &authority.issue("client.test"),
    };
    let reply = user.curl(&served.url, "/health");
    assert!(reply.contains("\n2 200 "), "{reply}");
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let mut authority = Authority::new();
    let (pair, other) = (authority.issue("127.0.0.1"), authority.issue("127.0.0.1"));
    let key = pair.key.display().to_string();
    let wrong = Pair {
        certificate: pair.key.clone(),
        key: pair.key.clone(),
    };
    let mixed = Pair {
        certificate: pair.certificate.clone(),
        key: other.key,
    };
    let none = Pair {
        certificate: pair.certificate.clone(),
        key: "/nowhere".into(),
    };
    let trusted = authority.certificate();
    for (pair, authority, named) in [
        (&wrong, &trusted, &*key),
        (&mixed, &trusted, "keys may not be consistent"),
        (&none, &trusted, "/nowhere"),
        (&pair, &pair.key, &*key),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_etcd-fake"))
            .args(["--listen-client-urls", "https://127.0.0.1:0"])
            .args(flags(pair, authority))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let reply = String::from_utf8_lossy(&output.stderr);
        assert!(reply.contains(named), "{reply}");
    }
}
