//! A single server: starting, restarting, pausing, options.

use std::{env, net::TcpListener, path::Path, thread, time::Duration};

use etcd_server::{Cluster, Error, Installed, Server, install, start};

use crate::support::{Directory, address, get, is_rerun, put, read, rerun};

#[test]
fn a_server_responds_as_soon_as_it_is_started() {
    let server = start().unwrap();
    assert!(
        get(&server.client_url(), "/version")
            .unwrap()
            .contains(&format!("\"{}\"", server.version()))
    );
    assert!(
        get(&server.client_url(), "/health")
            .unwrap()
            .contains(r#"{"health":"true""#)
    );
    assert!(
        server.is_healthy() && server.is_running() && server.is_leader() && server.pid().is_some()
    );
    assert!(server.data_dir().join("member").is_dir());
}

#[test]
fn a_launched_server_has_not_been_read_from() {
    let server = Server::builder().launch().unwrap();
    if server.version().has_v2() {
        let statistics = get(&server.client_url(), "/v2/stats/store").unwrap();
        assert!(statistics.contains(r#""getsSuccess":0,"#), "{statistics}");
    }
    server.wait_healthy(Duration::from_secs(20)).unwrap();
}

#[test]
fn the_v2_api_is_served_unless_disabled() {
    let (with, without) = (
        Server::start().unwrap(),
        Server::builder().v2(false).start().unwrap(),
    );
    let served = |server: &Server| {
        get(&server.client_url(), "/v2/keys")
            .unwrap()
            .contains("200 OK")
    };
    assert_eq!(served(&with), with.version().has_v2());
    assert!(!served(&without));
}

#[test]
fn a_restart_keeps_the_ports_and_the_data() {
    let server = Server::start().unwrap();
    for end in [Server::stop, Server::kill] {
        put(&server, "a2V5", "dmFsdWU=");
        let (url, pid) = (server.client_url(), server.pid());
        end(&server).unwrap();
        assert!(!server.is_running() && !server.is_healthy() && server.pid().is_none());
        assert!(get(&url, "/version").is_err());
        assert!(matches!(server.pause(), Err(Error::NotRunning { .. })));
        server.restart().unwrap();
        assert_eq!(server.client_url(), url);
        assert_ne!(server.pid(), pid);
        assert!(read(&server, "a2V5").contains("dmFsdWU="));
    }
}

#[test]
fn a_paused_server_responds_when_it_is_resumed() {
    let server = Server::start().unwrap();
    server.pause().unwrap();
    assert!(server.is_running() && !server.is_healthy());
    assert!(get(&server.client_url(), "/version").is_err());
    server.resume().unwrap();
    assert!(get(&server.client_url(), "/version").is_ok());
    server.pause().unwrap();
    server.stop().unwrap();
}

#[test]
fn settings_from_the_environment_are_not_inherited() {
    if is_rerun() {
        assert!(Server::start().unwrap().is_healthy());
        return;
    }
    // etcd refuses to start with this.
    let settings = [
        ("ETCD_QUOTA_BACKEND_BYTES", "nonsense"),
        ("ETCD_DATA_DIR", "/nowhere"),
    ];
    let test = rerun(
        "lifecycle::settings_from_the_environment_are_not_inherited",
        &settings,
    );
    let output = test.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let server = Server::builder()
        .env("ETCD_QUOTA_BACKEND_BYTES", "nonsense")
        .start();
    assert!(
        matches!(server, Err(Error::Exited { .. })),
        "settings passed explicitly are used: {server:?}"
    );
}

#[test]
fn a_server_that_fails_to_start_says_why() {
    let error = Server::builder().arg("--no-such-flag").start().unwrap_err();
    assert!(
        matches!(&error, Error::Exited { log, .. } if log.contains("no-such-flag")),
        "{error}"
    );
    let Error::Exited { version, .. } = &error else {
        return;
    };
    let text = error.to_string();
    assert!(text.starts_with(&format!("etcd {version} ")), "{text}");
    let error = Server::builder()
        .startup_timeout(Duration::ZERO)
        .start()
        .unwrap_err();
    assert!(matches!(&error, Error::Unhealthy { .. }), "{error}");
    let error = Server::builder()
        .binary("/no/such/etcd")
        .start()
        .unwrap_err();
    assert!(matches!(&error, Error::Unusable { .. }), "{error}");
    assert!(matches!(Cluster::start(0), Err(Error::Invalid { .. })));
}

#[test]
fn a_server_whose_port_is_taken_tries_others() {
    let etcd = install().unwrap().etcd;
    let directory = Directory::new("race");
    // Fails once, with etcd's message.
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] || mkdir {0}/lost 2>/dev/null && [ -d {0}/lost ] && [ ! -e {0}/once ] && \
         {{ : >{0}/once; echo 'listen tcp 127.0.0.1:1: bind: address already in use' >&2; exit 1; }}\nexec {1} \"$@\"\n",
        directory.0.display(),
        etcd.display()
    );
    let program = directory.executable("etcd", &script);
    let server = Server::builder().binary(program).start().unwrap();
    assert!(server.is_healthy() && directory.0.join("once").exists());
}

#[test]
fn a_server_waits_until_its_port_is_free_again() {
    let server = Server::start().unwrap();
    server.kill().unwrap();
    let squatter = TcpListener::bind(address(&server.client_url())).unwrap();
    thread::scope(|scope| {
        let restart = scope.spawn(|| server.restart());
        thread::sleep(Duration::from_millis(500));
        assert!(!restart.is_finished());
        drop(squatter);
        restart.join().unwrap().unwrap();
    });
    assert!(server.is_healthy());
}

#[test]
fn the_data_is_kept_where_the_caller_wants_it() {
    let directory = Directory::new("kept");
    let data = directory.0.join("data");
    let server = Server::builder()
        .data_dir(&data)
        .name("kept")
        .start()
        .unwrap();
    put(&server, "a2V5", "dmFsdWU=");
    drop(server);
    assert!(data.join("member").is_dir() && directory.0.join("data.log").is_file());
    let server = Server::builder()
        .data_dir(&data)
        .name("kept")
        .start()
        .unwrap();
    assert_eq!((server.data_dir(), server.name()), (data.as_path(), "kept"));
    assert!(read(&server, "a2V5").contains("dmFsdWU="));
}

#[test]
fn a_server_can_serve_https() {
    // Generated for this test; the key protects nothing.
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server");
    let server = Server::builder()
        .https(files.join("cert.pem"), files.join("key.pem"))
        .start()
        .unwrap();
    assert!(server.client_url().starts_with("https://") && server.is_healthy());
    // Plain HTTP gets an error or a closed connection.
    let response = get(&server.client_url(), "/version").unwrap_or_default();
    assert!(!response.contains("200 OK"), "{response}");
}

#[test]
fn the_installed_etcd_is_the_one_that_runs() {
    let installed = install().unwrap();
    let again = Installed::at(&installed.etcd).unwrap();
    assert_eq!(
        (again.version, &again.etcdctl),
        (installed.version, &installed.etcdctl)
    );
    assert_eq!(Server::start().unwrap().version(), installed.version);
}
