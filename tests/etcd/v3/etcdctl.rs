//! Compatibility with `etcdctl`, which uses gRPC: each reads what the other writes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use etcd_http::{
    EtcdErrorKind, server,
    transport::Transport,
    v3::{Compare, KeyRange, Lock, Permission, PermissionType, Put, Snapshot, Txn},
};
use harness::{case::Etcd, cases};

use crate::refused;

cases! {
    Shared {
        etcdctl_reads_our_keys_and_we_read_its,
        etcdctl_sees_our_transactions_and_we_see_its,
        etcdctl_sees_our_leases_and_we_see_its,
        etcdctl_and_we_exclude_each_other,
        etcdctl_and_we_see_the_same_leader,
    }
    Alone {
        etcdctl_knows_our_snapshot,
        etcdctl_sees_our_roles_and_we_see_its,
        etcdctl_logs_in_as_the_user_that_we_made,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn command<T: Transport>(etcd: &Etcd<T>, arguments: &[&str]) -> Command {
    let etcdctl: PathBuf = server::install()
        .unwrap()
        .etcdctl
        .expect("no etcdctl beside the etcd");
    let mut command = Command::new(etcdctl);
    command
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &etcd.url()])
        // On a busy machine the defaults, two and five seconds, may be too short.
        .args(["--dial-timeout=60s", "--command-timeout=60s"])
        .args(arguments);
    command
}

/// Runs `etcdctl`, which must succeed, and returns what it prints.
fn etcdctl<T: Transport>(etcd: &Etcd<T>, arguments: &[&str]) -> String {
    let output = command(etcd, arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "etcdctl {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// An `etcdctl` that holds a lock or leads until it is interrupted.
struct Holder {
    _process: Running,
    /// The first line that it printed.
    line: String,
}

impl Holder {
    fn start<T: Transport>(etcd: &Etcd<T>, arguments: &[&str]) -> Self {
        let mut command = command(etcd, arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Running(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            _process: process,
            line: line.trim().to_owned(),
        }
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Waits for its end; returns whether it succeeded.
    async fn has_succeeded<T: Transport>(&mut self, etcd: &Etcd<T>) -> bool {
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            etcd.sleep(100).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn etcdctl_reads_our_keys_and_we_read_its<T: Transport>(etcd: Etcd<T>) {
    let kv = etcd.v3().kv();
    let (ours, its) = (etcd.key("ours"), etcd.key("its"));
    kv.put(&*ours, "ü \"x\"\n").await.unwrap();
    assert_eq!(
        etcdctl(&etcd, &["get", "--print-value-only", &ours]),
        "ü \"x\"\n\n"
    );
    etcdctl(&etcd, &["put", &its, "a\tb € <>&"]);
    let found = kv.get(&*its).await.unwrap().unwrap();
    assert_eq!(found.value, "a\tb € <>&");
    let hex = etcdctl(&etcd, &["get", &ours, "-w", "fields"]);
    let revision = kv.get(&*ours).await.unwrap().unwrap().mod_revision;
    assert!(
        hex.contains(&format!("\"ModRevision\" : {revision}")),
        "{hex}"
    );
    let all = etcdctl(&etcd, &["get", "--prefix", "--keys-only", &etcd.key("")]);
    let lines: Vec<_> = all.split_whitespace().collect();
    assert_eq!(lines, [&its, &ours]);
    assert_eq!(
        etcdctl(&etcd, &["del", "--prefix", &etcd.key("")]).trim(),
        "2"
    );
    assert_eq!(kv.count(KeyRange::prefix(etcd.key(""))).await.unwrap(), 0);
}

async fn etcdctl_sees_our_transactions_and_we_see_its<T: Transport>(etcd: Etcd<T>) {
    let (a, b) = (etcd.key("a"), etcd.key("b"));
    let txn = Txn::new()
        .when(Compare::missing(&*a))
        .then(Put::new(&*a, "1"))
        .then(Put::new(&*b, "2"));
    let done = etcd.send(txn).await.unwrap();
    let fields = etcdctl(&etcd, &["get", "--prefix", &etcd.key(""), "-w", "fields"]);
    let revision = format!("\"ModRevision\" : {}", done.header.revision);
    assert_eq!(fields.matches(&revision).count(), 2, "{fields}");
    let mut child = command(&etcd, &["txn"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script = format!("value(\"{a}\") = \"1\"\n\nput {a} 3\n\nput {a} 4\n\n");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("SUCCESS"));
    assert_eq!(etcd.v3().kv().get(&*a).await.unwrap().unwrap().value, "3");
}

async fn etcdctl_sees_our_leases_and_we_see_its<T: Transport>(etcd: Etcd<T>) {
    let (v3, key) = (etcd.v3(), etcd.key("a"));
    let lease = v3.leases().grant(MINUTE).await.unwrap().id;
    etcd.send(Put::new(&*key, "").lease(lease)).await.unwrap();
    let said = etcdctl(
        &etcd,
        &["lease", "timetolive", "--keys", &lease.to_string()],
    );
    assert!(
        said.contains("granted with TTL(60s)") && said.contains(&key),
        "{said}"
    );
    // "lease 694d… granted with TTL(60s)"
    let granted = etcdctl(&etcd, &["lease", "grant", "60"]);
    let id = granted.split_whitespace().nth(1).unwrap();
    let its = i64::from_str_radix(id, 16).unwrap();
    etcdctl(&etcd, &["put", "--lease", id, &key, "x"]);
    let status = v3.leases().get_time_to_live(its).await.unwrap().unwrap();
    assert_eq!(
        (status.granted_ttl, status.keys),
        (MINUTE, vec![key.into()])
    );
    etcdctl(&etcd, &["lease", "revoke", id]);
    assert_eq!(v3.leases().get_time_to_live(its).await.unwrap(), None);
}

/// `etcdctl` counts the keys in the file that we wrote, and finds the revision of the last one.
async fn etcdctl_knows_our_snapshot<T: Transport>(etcd: Etcd<T>) {
    let mut revision = 0;
    for number in 0..7 {
        let put = Put::new(etcd.key(number.to_string()), "x".repeat(10_000));
        revision = etcd.send(put).await.unwrap().header.revision;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.db");
    let mut file = Vec::new();
    let size = Snapshot::new().write_to(&etcd, &mut file).await.unwrap();
    fs::write(&path, file).unwrap();
    let path = path.to_str().unwrap();
    let said = etcdctl(&etcd, &["snapshot", "status", path, "-w", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["revision"], revision, "{said}");
    assert!(said["totalKey"].as_i64() >= Some(7), "{said}");
    // In memory the file is without the digest at its end.
    assert_eq!(said["totalSize"], size - 32, "{said}");
}

async fn etcdctl_and_we_exclude_each_other<T: Transport>(etcd: Etcd<T>) {
    let (v3, name) = (etcd.v3(), etcd.key("lock"));
    let lease = v3.leases().grant(MINUTE).await.unwrap().id;
    let holder = Holder::start(&etcd, &["lock", &name]);
    assert!(holder.line.starts_with(&name), "{}", holder.line);
    let half = Duration::from_millis(500);
    let ours = etcd.send(Lock::new(&*name, lease).time_limit(half)).await;
    assert_eq!(refused(ours), EtcdErrorKind::RequestTimedOut);
    v3.kv().delete(&*holder.line).await.unwrap();
    let held = v3.lock(&*name, lease).await.unwrap();
    drop(holder);
    // Now this client holds it: `etcdctl` waits until it is killed.
    let mut waiting = Running(command(&etcd, &["lock", &name, "true"]).spawn().unwrap());
    etcd.until_queued(&name, 2).await;
    assert!(
        waiting.0.try_wait().unwrap().is_none(),
        "etcdctl got the lock that we hold"
    );
    v3.unlock(held.key).await.unwrap();
    assert!(waiting.has_succeeded(&etcd).await);
}

async fn etcdctl_and_we_see_the_same_leader<T: Transport>(etcd: Etcd<T>) {
    let (v3, name) = (etcd.v3(), etcd.key("election"));
    let holder = Holder::start(&etcd, &["elect", &name, "its"]);
    assert!(holder.line.starts_with(&name), "{}", holder.line);
    let leader = v3.elections().get_leader(&*name).await.unwrap().unwrap();
    assert_eq!(
        (&leader.key[..], &leader.value[..]),
        (holder.line.as_bytes(), &b"its"[..])
    );
    v3.kv().delete(leader.key).await.unwrap();
    drop(holder);
    let lease = v3.leases().grant(MINUTE).await.unwrap().id;
    let won = v3
        .elections()
        .campaign(&*name, lease, "ours")
        .await
        .unwrap();
    let seen = Holder::start(&etcd, &["elect", "--listen", &name]);
    assert_eq!(seen.line.as_bytes(), &won.leader.key[..]);
}

async fn etcdctl_sees_our_roles_and_we_see_its<T: Transport>(etcd: Etcd<T>) {
    let auth = etcd.v3().auth();
    auth.add_role("ours").await.unwrap();
    let prefix = Permission::read_write(KeyRange::prefix("app/"));
    auth.grant_permission("ours", prefix.clone()).await.unwrap();
    let said = etcdctl(&etcd, &["role", "get", "ours"]);
    assert_eq!(
        said.matches("[app/, app0) (prefix app/)").count(),
        2,
        "{said}"
    );
    etcdctl(&etcd, &["role", "add", "its"]);
    etcdctl(
        &etcd,
        &[
            "role",
            "grant-permission",
            "its",
            "readwrite",
            "app/",
            "--prefix",
        ],
    );
    etcdctl(
        &etcd,
        &["role", "grant-permission", "its", "read", "b", "--from-key"],
    );
    let found = auth.get_role("its").await.unwrap();
    assert_eq!(
        found,
        [prefix, Permission::read(KeyRange::starting_at("b"))]
    );
    assert_eq!(found[0].permission_type(), PermissionType::ReadWrite);
    auth.add_user("u", "p").await.unwrap();
    auth.grant_role("u", "its").await.unwrap();
    assert!(etcdctl(&etcd, &["user", "get", "u"]).contains("Roles: its"));
    assert_eq!(etcdctl(&etcd, &["user", "list"]).trim(), "u");
}

async fn etcdctl_logs_in_as_the_user_that_we_made<T: Transport>(etcd: Etcd<T>) {
    let root = crate::auth::enable(&etcd).await;
    root.v3().kv().put("a", "1").await.unwrap();
    let value = etcdctl(
        &etcd,
        &["--user", "root:r", "get", "--print-value-only", "a"],
    );
    assert_eq!(value.trim(), "1");
    let output = command(&etcd, &["get", "a"]).output().unwrap();
    assert!(!output.status.success(), "without a user");
}
