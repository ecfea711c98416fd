//! A client of several endpoints: discovered members, the leader, another cluster; and curl.

use std::{
    collections::BTreeSet,
    pin::pin,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Endpoint, RetryPolicy,
    transport::Transport,
    v2::{AddUser, CompareAndSwap, Condition, CreateInOrder, Delete, Exists, Get, Set, Watch},
};
use futures::{StreamExt, future::select, stream};
use harness::{case::Etcd, cases, stall_monitor::StallMonitor};

cases! {
    any {
        Three {
            a_sync_finds_the_other_members_and_outlives_the_first,
            writes_go_to_the_leader_that_a_sync_found,
            an_automatic_sync_follows_the_leader,
            operations_side_by_side_do_not_mind_syncs,
        }
    }
    http {
        Shared {
            a_curl_command_does_what_the_operation_does,
        }
        Alone {
            a_curl_command_takes_its_user_from_the_environment,
            another_cluster_is_noticed,
        }
        Nothing {
            a_watch_and_a_read_of_a_halted_member_are_at_another_within_ten_seconds,
        }
    }
}

async fn a_curl_command_does_what_the_operation_does<T: Transport>(etcd: Etcd<T>) {
    let values = [
        "plain",
        "it's $HOME \"quoted\" `date` \\ !! %41 + & ; = #",
        "@/etc/passwd",
        "line\nbreak\r\n\ttab",
        "ключ € 🦀",
        "-d",
        "{1,2}[3-4]",
        "\0nul\0",
        "",
    ];
    for (n, value) in values.into_iter().enumerate() {
        let key = etcd.key(format!("{n} it's [1-2] {{a,b}} ?#%41"));
        let set = sh(&etcd.to_curl(&Set::new(&key, value)).unwrap(), "");
        assert!(set.contains("\"action\":\"set\""), "{set}");
        let event = etcd.v2().get(&key).await.unwrap();
        assert_eq!(event.node.value.as_deref(), Some(value));

        let got = sh(&etcd.to_curl(&Get::new(&key).quorum(true)).unwrap(), "");
        let got: serde_json::Value = serde_json::from_str(&got).unwrap();
        assert_eq!(got["node"]["value"], value);

        let swap = CompareAndSwap::new(&key, "new", Condition::value_is("old"));
        let swap = sh(&etcd.to_curl(&swap).unwrap(), "");
        assert!(swap.contains("\"errorCode\":101"), "{swap}");
        let delete = sh(&etcd.to_curl(&Delete::new(&key)).unwrap(), "");
        assert!(delete.contains("\"action\":\"delete\""), "{delete}");
        let head = sh(&etcd.to_curl(&Exists::new(&key)).unwrap(), "");
        assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    }
    let dir = etcd.key("queue");
    sh(
        &etcd.to_curl(&CreateInOrder::new(&dir, "first")).unwrap(),
        "",
    );
    assert_eq!(etcd.v2().get(&dir).await.unwrap().node.nodes.len(), 1);
}

async fn a_curl_command_takes_its_user_from_the_environment<T: Transport>(etcd: Etcd<T>) {
    let root = "pa'ss $w\"rd";
    etcd.v2().add_user("root", root).await.unwrap();
    etcd.v2().enable_auth().await.unwrap();
    let client = etcd.client(|builder| builder.basic_auth("root", root));
    client.v2().delete_role("guest").await.unwrap();

    let command = client.to_curl(&Set::new("/x", "y")).unwrap();
    let refused = sh(&command, "root:wrong");
    assert!(refused.contains("\"errorCode\":110"), "{refused}");
    let set = sh(&command, &format!("root:{root}"));
    assert!(set.contains("\"action\":\"set\""), "{set}");
    let user = client.to_curl(&AddUser::new("a", root)).unwrap();
    assert!(!user.contains("ss $w"), "{user}");
}

#[cfg(feature = "server")]
async fn another_cluster_is_noticed<T: Transport>(etcd: Etcd<T>) {
    let other = etcd_http::server::start().unwrap();
    let clients = [false, true].map(|allow| {
        etcd.client(|builder| {
            let builder = builder.endpoints([other.client_url()]);
            builder.allow_cluster_change(allow)
        })
    });
    for client in &clients {
        client.v2().set("/x", "y").await.unwrap();
    }
    etcd.host().kill(0);
    let [strict, tolerant] = &clients;
    let error = strict.v2().get("/x").await.unwrap_err();
    assert!(error.is_cluster_changed(), "{error}");
    let error = tolerant.v2().get("/x").await.unwrap_err();
    assert!(error.is_key_not_found(), "{error}");
}

#[cfg(feature = "server")]
async fn a_watch_and_a_read_of_a_halted_member_are_at_another_within_ten_seconds<T: Transport>(
    etcd: Etcd<T>,
) {
    let builder = etcd_http::server::Server::builder().v2(true);
    let cluster = builder.start_cluster(3).unwrap();
    let leader = cluster.leader().unwrap();
    let (halted, other) = (cluster.member((leader + 1) % 3), cluster.member(leader));
    let client = etcd.builder_of(halted.client_url());
    let client = client.endpoints([other.client_url()]).build().unwrap();
    let reader = client.clone();
    let writer = etcd.client_of(other.client_url());
    let now = writer.v2().set("other", "").await.unwrap().index();
    let mut watch = client.open(Watch::new("k").from_index(now + 1));
    let v2 = writer.v2();
    let (event, first) = futures::join!(watch.next(), v2.set("k", "1"));
    first.unwrap();
    event.unwrap().unwrap();
    // It has polled for some time.
    let wait = etcd.sleep(4_500);
    select(watch.next(), pin!(wait)).await;

    halted.pause().unwrap();
    let machine = StallMonitor::start();
    let began = Instant::now();
    let write = async {
        etcd.sleep(500).await;
        writer.v2().set("k", "2").await.unwrap();
    };
    let read = async {
        reader.v2().get("k").await.unwrap();
        machine.elapsed(began)
    };
    let next = async { (watch.next().await, machine.elapsed(began)) };
    let ((event, watched), read, ()) = futures::join!(next, read, write);
    let value = event.unwrap().unwrap().node.value;
    assert_eq!(value.as_deref(), Some("2"));
    assert!(watched < Duration::from_secs(10), "{watched:?}");
    assert!(read < Duration::from_secs(3), "{read:?}");
    halted.resume().unwrap();
}

async fn a_sync_finds_the_other_members_and_outlives_the_first<T: Transport>(etcd: Etcd<T>) {
    let seed = etcd.urls()[0].clone();
    let client = etcd.client_of(&seed);
    let sync = client.sync().await.unwrap();
    assert_eq!((sync.added.len(), sync.removed.len()), (2, 0));
    assert_eq!(texts(&sync.endpoints), etcd.urls().into_iter().collect());
    assert!(sync.refused.is_empty(), "{:?}", sync.refused);

    client.v2().set(etcd.key("x"), "y").await.unwrap();
    etcd.host().kill(0);
    // The other members may have to elect a leader first.
    let patient = client.with_retry(RetryPolicy::default().attempts(20));
    let quorum = Get::new(etcd.key("x")).quorum(true);
    patient.send(quorum).await.unwrap();
    let again = client.sync().await.unwrap();
    assert!(
        texts(&again.endpoints).contains(&seed),
        "a given endpoint stays"
    );
    assert_eq!(again.endpoints.len(), 3);
}

async fn writes_go_to_the_leader_that_a_sync_found<T: Transport>(etcd: Etcd<T>) {
    let asked: Arc<Mutex<Vec<(bool, String)>>> = Arc::default();
    let client = etcd.client(|builder| {
        let asked = Arc::clone(&asked);
        builder.prefer_leader(true).observe(move |attempt| {
            let is_write = attempt.operation == "v2.keys.set";
            asked
                .lock()
                .unwrap()
                .push((is_write, attempt.endpoint.to_string()));
        })
    });
    let leader = etcd.host().leader();
    let sync = client.sync().await.unwrap();
    let url = etcd.urls()[leader].clone();
    assert_eq!(sync.leader.unwrap().to_string(), url);
    asked.lock().unwrap().clear();
    for n in 0..10 {
        client.v2().set(etcd.key("x"), n.to_string()).await.unwrap();
        let quorum = Get::new(etcd.key("x")).quorum(true);
        assert_eq!(
            client.send(quorum).await.unwrap().node.value,
            Some(n.to_string())
        );
    }
    let asked = asked.lock().unwrap();
    assert!(
        asked
            .iter()
            .filter(|(is_write, _)| *is_write)
            .all(|(_, at)| *at == url)
    );
    let reads: BTreeSet<_> = asked.iter().filter(|(is_write, _)| !is_write).collect();
    assert_eq!(reads.len(), 1, "reads stay where they are: {reads:?}");
}

async fn an_automatic_sync_follows_the_leader<T: Transport>(etcd: Etcd<T>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let client = etcd.client(|builder| {
        let asked = Arc::clone(&asked);
        builder.prefer_leader(true).observe(move |attempt| {
            if attempt.operation == "v2.keys.set" {
                asked.lock().unwrap().push(attempt.endpoint.to_string());
            }
        })
    });
    let leader = |index: usize| etcd.urls()[index].clone();
    let follow = async {
        let old = etcd.host().leader();
        until_writes_go_to(&etcd, &client, &asked, &leader(old)).await;
        etcd.host().kill(old);
        let new = etcd.host().leader();
        assert_ne!(old, new);
        until_writes_go_to(&etcd, &client, &asked, &leader(new)).await;
    };
    let keep = client.keep_synced(Duration::from_secs(1));
    select(pin!(keep), pin!(follow)).await;
}

/// Writes until this endpoint is the first that is tried.
async fn until_writes_go_to<T: Transport>(
    etcd: &Etcd<T>,
    client: &Client<T>,
    asked: &Mutex<Vec<String>>,
    url: &str,
) {
    loop {
        asked.lock().unwrap().clear();
        let written = client.v2().set(etcd.key("x"), "y").await;
        let first = asked.lock().unwrap().first().cloned();
        if written.is_ok() && first.as_deref() == Some(url) {
            return;
        }
        etcd.sleep(50).await;
    }
}

async fn operations_side_by_side_do_not_mind_syncs<T: Transport>(etcd: Etcd<T>) {
    let client = etcd.client_of(etcd.urls()[0].clone());
    let others = &etcd.urls()[1..];
    client.v2().set(etcd.key("x"), "y").await.unwrap();
    let reads = stream::iter(0..2000).map(|n| {
        let (client, key) = (&client, etcd.key("x"));
        async move {
            if n % 20 == 0 {
                client.merge_endpoints(&others[..1 + n % 2]);
            }
            client.send(Get::new(key).quorum(true)).await.map(drop)
        }
    });
    // Limited by the number of open files of a process.
    let mut reads = reads.buffer_unordered(100);
    while let Some(read) = reads.next().await {
        read.unwrap();
    }
}

fn texts(endpoints: &[Endpoint]) -> BTreeSet<String> {
    endpoints.iter().map(ToString::to_string).collect()
}

/// Runs a command as this user, and returns what it prints.
fn sh(command: &str, user: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .env("ETCDCTL_USER", user)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
