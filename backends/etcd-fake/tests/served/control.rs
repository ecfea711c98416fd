//! The control of the program, its members, and what it says of itself.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use fake_harness::{Request, Response, raw::Connection};

use crate::Served;

const PUT: &str = r#"{"key":"YQ==","value":"MQ=="}"#;
const GET: &str = r#"{"key":"YQ=="}"#;

fn ask(url: &str, request: &Request) -> Response {
    Connection::new(url.trim_start_matches("http://")).ask(request)
}

fn post(url: &str, path: &str, body: &str) -> Response {
    ask(url, &Request::new("POST", path).json(body))
}

fn get(url: &str, path: &str) -> String {
    ask(url, &Request::new("GET", path)).text()
}

#[track_caller]
fn control(url: &str, path: &str, body: &str) {
    let reply = post(url, path, body);
    assert_eq!(reply.status, 200, "{path} {body}: {}", reply.text());
}

#[test]
fn a_test_in_another_process_moves_the_clock_injects_faults_and_resets() {
    let mut served = Served::start(&["--listen-control-url", "http://127.0.0.1:0"]);
    let remote = served.reply("controlled at ");
    let etcd = &*served.url;
    post(etcd, "/v3/lease/grant", r#"{"ID":7,"TTL":3600}"#);
    post(etcd, "/v3/kv/put", r#"{"key":"YQ==","lease":7}"#);
    control(&remote, "/advance", r#"{"seconds": 3601}"#);
    assert!(!post(etcd, "/v3/kv/range", GET).text().contains("kvs"));

    control(
        &remote,
        "/fault",
        r#"{"fault":"status","status":418,"path":"/v3/kv/put","times":1}"#,
    );
    assert_eq!(post(etcd, "/v3/kv/put", PUT).status, 418);
    assert_eq!(post(etcd, "/v3/kv/put", PUT).status, 200);
    assert!(
        get(&remote, "/log").contains("POST /v3/kv/put key=a value=1 → 418"),
        "{}",
        get(&remote, "/log")
    );

    let dump = get(&remote, "/dump");
    control(&remote, "/reset", "");
    assert!(!post(etcd, "/v3/kv/range", GET).text().contains("kvs"));
    assert_eq!(get(&remote, "/log").lines().count(), 1);
    control(&remote, "/load", &dump);
    assert!(
        post(etcd, "/v3/kv/range", GET)
            .text()
            .contains("\"value\":\"MQ==\"")
    );
    assert!(get(&remote, "/").contains("POST /advance"));
    for (path, body) in [
        ("/advance", "{}"),
        ("/advance", "{\"seconds\": -1}"),
        ("/fault", "{\"fault\": \"nonsense\"}"),
        ("/load", "nonsense"),
        ("/nonsense", ""),
        ("/reset", "{"),
    ] {
        assert_eq!(post(&remote, path, body).status, 400, "{path} {body}");
    }
}

#[test]
fn three_members_are_one_cluster_on_three_ports() {
    let flags = [
        "--members",
        "3",
        "--name",
        "m",
        "--listen-control-url",
        "http://127.0.0.1:0",
    ];
    let mut served = Served::start(&flags);
    let (second, third) = (served.reply("serving "), served.reply("serving "));
    let remote = served.reply("controlled at ");
    assert_eq!(post(&served.url, "/v3/kv/put", PUT).status, 200);
    for url in [&second, &third] {
        assert!(post(url, "/v3/kv/range", GET).text().contains("MQ=="));
    }
    let members = post(&second, "/v3/cluster/member/list", "{}").json()["members"].take();
    let mut names: Vec<&str> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["m", "m-1", "m-2"]);
    control(&remote, "/isolate", r#"{"member": 0}"#);
    assert_eq!(
        post(&second, "/v3/kv/put", r#"{"key":"YQ==","value":"Mg=="}"#).status,
        200
    );
    let local = r#"{"key":"YQ==","serializable":true}"#;
    assert!(
        post(&served.url, "/v3/kv/range", local)
            .text()
            .contains("MQ==")
    );
    control(&remote, "/heal", "");
    assert!(
        post(&served.url, "/v3/kv/range", GET)
            .text()
            .contains("Mg==")
    );
}

#[test]
fn limits_and_metrics_are_those_of_etcd() {
    let served = Served::start(&[
        "--max-txn-ops=1",
        "--quota-backend-bytes",
        "30000",
        "--profile",
        "3.4",
    ]);
    let two = r#"{"success":[{"request_range":{"key":"YQ=="}},{"request_range":{"key":"YQ=="}}]}"#;
    assert!(
        post(&served.url, "/v3/kv/txn", two)
            .text()
            .contains("too many operations")
    );
    let large = format!(r#"{{"key":"YQ==","value":"{}"}}"#, "YWFh".repeat(4000));
    assert!(
        post(&served.url, "/v3/kv/put", &large)
            .text()
            .contains("database space exceeded")
    );
    let metrics = get(&served.url, "/metrics");
    for line in [
        "etcd_server_has_leader 1",
        "etcd_server_quota_backend_bytes 30000",
        r#"etcd_server_version{server_version="3.4.23"} 1"#,
        r#"grpc_server_handled_total{grpc_code="ResourceExhausted",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1"#,
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line}\n{metrics}"
        );
    }
    // Of these releases none has them.
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(&served.url, path), "404 page not found\n");
    }
}

#[test]
fn it_is_ready_in_less_than_a_twentieth_of_a_second() {
    // A busy machine may be slow once, and not every time.
    let quick = (0..20).any(|_| {
        let begin = Instant::now();
        let _served = Served::start(&[]);
        begin.elapsed() < Duration::from_millis(50)
    });
    assert!(quick);
}

#[test]
fn a_certificate_of_its_own_is_refused_and_the_help_lists_what_there_is() {
    let run = |flags: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_etcd-fake"))
            .args(flags)
            .output()
            .unwrap()
    };
    let refused = run(&["--auto-tls"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("makes no certificates"));
    let help = run(&["--help"]);
    assert!(
        help.status.success()
            && String::from_utf8_lossy(&help.stdout).contains("--listen-control-url")
    );
}

#[test]
fn completions_complete_in_bash() {
    let script = r#"
        source <("$0" --completions bash)
        [[ $(complete -p etcd-fake) =~ -F\ ([^ ]+) ]]
        COMP_WORDS=(etcd-fake --listen-con) COMP_CWORD=1
        "${BASH_REMATCH[1]}" etcd-fake --listen-con etcd-fake
        echo "${COMPREPLY[@]}"
    "#;
    let bash = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_etcd-fake")])
        .output();
    let output = bash.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let completed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(completed.trim(), "--listen-control-url", "{errors}");
}
