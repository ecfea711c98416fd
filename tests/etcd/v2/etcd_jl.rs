//! Each function of Etcd.jl, a Julia client for the v2 API, by its name there.

use std::{env, time::Duration};

#[cfg(feature = "server")]
use etcd_http::server::{self, Installed, Server};
use etcd_http::{
    Client, Error, EtcdErrorKind, Outcome,
    transport::{Transport, http::Method},
    v2::{Action, Condition, CreateInOrder, Delete, Get, Set, SetDir, UpdateDir, Watch},
};
use futures::{StreamExt, TryStreamExt, future::join};
use harness::{case::Etcd, cases};

cases! {
    any {
        Shared {
            connect, get, set, create, update, setdir, createdir, updatedir, haskey, delete,
            deletedir, cas, cad, watch, watchloop, machines, members, stats, request, HTTPError,
            EtcdError,
        }
        Alone {
            exists,
        }
        Three {
            leader,
        }
    }
    http {
        Nothing {
            install, start,
        }
    }
}

/// There: host, port and version. Here: several URLs, http or https, and an invalid one is an error.
async fn connect<T: Transport>(etcd: Etcd<T>) {
    let url = etcd.url();
    let client = Client::new(etcd.transport(), [&url]).unwrap();
    assert!(client.v2().get("/").await.unwrap().node.dir);
    let several = [url.as_str(), "http://127.0.0.1:1"];
    let client = Client::new(etcd.transport(), several).unwrap();
    assert_eq!(client.endpoints().len(), 2);
    assert!(Client::new(etcd.transport(), ["localhost"]).is_err());
}

/// There: `sort` and `recursive`. Here `quorum`, too.
async fn get<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("b"), "1").await.unwrap();
    etcd.v2().set(etcd.key("a/c"), "2").await.unwrap();
    let file = etcd.v2().get(etcd.key("b")).await.unwrap();
    assert_eq!(file.node.value.as_deref(), Some("1"));
    let all = Get::new(etcd.root())
        .sorted(true)
        .recursive(true)
        .quorum(true);
    let all = etcd.send(all).await.unwrap().node;
    assert_eq!(all.nodes[0].nodes[0].key, etcd.key("a/c"));
    assert_eq!(all.nodes[1].key, etcd.key("b"));
}

/// There: `ttl` and `ordered`. There, a key is not escaped, a value travels in the URL, and a TTL of zero is left out.
async fn set<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a key with ? and %");
    let ttl = Duration::from_secs(50);
    let set = etcd.send(Set::new(&key, "1").ttl(ttl)).await.unwrap();
    assert_eq!(set.node.ttl, Some(ttl));
    assert_eq!(etcd.v2().get(&key).await.unwrap().node, set.node);
    let long = "value ".repeat(50_000);
    let set = etcd.v2().set(&key, &long).await.unwrap();
    assert_eq!((set.node.value, set.node.ttl), (Some(long), None));
    let ordered = CreateInOrder::new(etcd.key("q"), "1").ttl(ttl);
    let ordered = etcd.send(ordered).await.unwrap();
    assert_eq!(ordered.action, Action::Create);
    assert_eq!(ordered.node.ttl, Some(ttl));
}

async fn create<T: Transport>(etcd: Etcd<T>) {
    let made = etcd.v2().create(etcd.key("a"), "1").await.unwrap();
    assert_eq!(made.action, Action::Create);
    let error = etcd.v2().create(etcd.key("a"), "2").await.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(105)
    );
}

async fn update<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v2().update(etcd.key("a"), "1").await.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(100)
    );
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let updated = etcd.v2().update(etcd.key("a"), "2").await.unwrap();
    assert_eq!(updated.prev_node.unwrap().value.as_deref(), Some("1"));
}

async fn setdir<T: Transport>(etcd: Etcd<T>) {
    let ttl = Duration::from_secs(50);
    let set = etcd
        .send(SetDir::new(etcd.key("d")).ttl(ttl))
        .await
        .unwrap();
    assert!(set.node.dir);
    assert_eq!(set.node.ttl, Some(ttl));
    let error = etcd.v2().set_dir(etcd.key("d")).await.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(102)
    );
}

async fn createdir<T: Transport>(etcd: Etcd<T>) {
    assert!(etcd.v2().create_dir(etcd.key("d")).await.unwrap().node.dir);
    let error = etcd.v2().create_dir(etcd.key("d")).await.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(105)
    );
}

/// There, etcd 3.5 responds with an internal error. Here the error says what is not supported.
async fn updatedir<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    let ttl = Duration::from_secs(50);
    let updated = etcd.send(UpdateDir::new(etcd.key("d")).ttl(ttl)).await;
    if etcd.is_3_5() {
        assert!(matches!(updated, Err(Error::Unsupported(_))));
    } else {
        assert_eq!(updated.unwrap().node.ttl, Some(ttl));
    }
}

/// There, any failure except "not found" is an unrelated error. Here it is the actual error.
async fn exists<T: Transport>(etcd: Etcd<T>) {
    assert!(!etcd.v2().exists(etcd.key("a")).await.unwrap());
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    assert!(etcd.v2().exists(etcd.key("a")).await.unwrap());
    assert!(!etcd.v2().exists(etcd.key("a/b")).await.unwrap());
    etcd.host().kill(0);
    let error = etcd.v2().exists(etcd.key("a")).await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)));
}

/// Another name for it there. Here it is an alias in the documentation's search.
async fn haskey<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set_dir(etcd.key("d")).await.unwrap();
    assert!(etcd.v2().exists(etcd.key("d")).await.unwrap());
}

async fn delete<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/a"), "1").await.unwrap();
    let deleted = etcd.send(Delete::new(etcd.key("d/a"))).await.unwrap();
    assert_eq!(deleted.prev_node.unwrap().value.as_deref(), Some("1"));
    let error = etcd.v2().delete(etcd.key("d")).await.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(102)
    );
}

async fn deletedir<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("d/a"), "1").await.unwrap();
    let error = etcd.v2().delete_dir(etcd.key("d")).await.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(108)
    );
    etcd.v2().delete_tree(etcd.key("d")).await.unwrap();
    assert!(!etcd.v2().exists(etcd.key("d")).await.unwrap());
}

/// There, without a condition it is a plain set. Here that cannot be written.
async fn cas<T: Transport>(etcd: Etcd<T>) {
    let index = etcd.v2().set(etcd.key("a"), "1").await.unwrap().index();
    let wrong = Condition::value_is("2");
    let error = etcd.v2().compare_and_swap(etcd.key("a"), "3", wrong).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.as_etcd().unwrap().code().map(|code| code.number()),
        Some(101)
    );
    assert_eq!(error.as_etcd().unwrap().cause(), "[2 != 1]");
    let both = Condition::value_is("1").and_index_is(index);
    let swapped = etcd.v2().compare_and_swap(etcd.key("a"), "3", both).await;
    assert_eq!(swapped.unwrap().action, Action::CompareAndSwap);
}

/// There, without a condition it is a plain delete. Here that cannot be written.
async fn cad<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let wrong = Condition::value_is("2");
    let error = etcd.v2().compare_and_delete(etcd.key("a"), wrong).await;
    assert_eq!(
        error
            .unwrap_err()
            .as_etcd()
            .unwrap()
            .code()
            .map(|code| code.number()),
        Some(101)
    );
    let right = Condition::value_is("1");
    let deleted = etcd.v2().compare_and_delete(etcd.key("a"), right).await;
    assert_eq!(deleted.unwrap().action, Action::CompareAndDelete);
}

/// There, one event is passed to a function in a task that hides its errors. Here, a future returns the event or the
/// error.
async fn watch<T: Transport>(etcd: Etcd<T>) {
    let index = etcd.v2().set(etcd.key("d/a"), "1").await.unwrap().index();
    let watch = Watch::new(etcd.key("d")).recursive(true).from_index(index);
    let event = etcd.open(watch).next().await.unwrap().unwrap();
    assert_eq!(event.index(), index);
    let from = Watch::new(etcd.key("b")).from_index(index + 1);
    let (event, _) = join(etcd.open(from).into_future(), async {
        etcd.v2().set(etcd.key("b"), "2").await.unwrap();
    })
    .await;
    let event = event.0.unwrap().unwrap();
    assert_eq!(event.node.value.as_deref(), Some("2"));
}

/// There, until a predicate holds, or until the first error, which is hidden. Here no event is lost in between.
async fn watchloop<T: Transport>(etcd: Etcd<T>) {
    let index = etcd.v2().set(etcd.key("a"), "0").await.unwrap().index();
    let watch = Watch::new(etcd.key("a"))
        .from_index(index + 1)
        .until(|event| event.node.value.as_deref() == Some("9"));
    let writes = async {
        for n in 1..20 {
            etcd.v2().set(etcd.key("a"), n.to_string()).await.unwrap();
        }
    };
    let (events, ()) = join(etcd.open(watch).try_collect::<Vec<_>>(), writes).await;
    let values: Vec<_> = events
        .unwrap()
        .into_iter()
        .map(|e| e.node.value.unwrap())
        .collect();
    assert_eq!(values, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

async fn machines<T: Transport>(etcd: Etcd<T>) {
    let machines = etcd.v2().list_machines().await.unwrap();
    assert_eq!(machines, [etcd.url()]);
}

async fn members<T: Transport>(etcd: Etcd<T>) {
    let members = etcd.v2().list_members().await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].client_urls, [etcd.url()]);
}

/// There, it fails on any member but the leader. Here it works on all.
async fn leader<T: Transport>(etcd: Etcd<T>) {
    let leader = etcd.host().leader();
    for url in etcd.urls() {
        let said = etcd.client_of(url).v2().get_leader().await.unwrap();
        assert_eq!(said.name, etcd.host().name(leader));
        assert_eq!(said.client_urls, [etcd.urls()[leader].clone()]);
    }
}

/// There, any string is a kind of statistics. Here there are three, with types.
async fn stats<T: Transport>(etcd: Etcd<T>) {
    let member = etcd.v2().get_leader().await.unwrap();
    assert_eq!(etcd.v2().get_self_stats().await.unwrap().id, member.id);
    assert_eq!(
        etcd.v2().get_leader_stats().await.unwrap().leader,
        member.id
    );
    assert!(etcd.v2().get_store_stats().await.unwrap().gets_fail > 0);
}

/// There, a retry that never happens. Here it does: see `tests/scripted/retry.rs`.
async fn request<T: Transport>(etcd: Etcd<T>) {
    let put = etcd
        .request(Method::PUT, format!("/v2/keys{}", etcd.key("a")))
        .query("value", "1");
    let answer: serde_json::Value = etcd.send(put).await.unwrap().json().unwrap();
    assert_eq!(answer["node"]["value"], "1");
    let machines = etcd.request(Method::GET, "/v2/machines");
    let machines = etcd.send(machines).await.unwrap();
    assert!(machines.json::<serde_json::Value>().is_err());
    assert!(machines.text().starts_with("http"));
}

/// There, a response. Here its status and its beginning.
async fn HTTPError<T: Transport>(etcd: Etcd<T>) {
    let get = etcd.request(Method::GET, "/v2/stats/none");
    let error = etcd.send(get).await.unwrap_err();
    assert!(
        matches!(&error, Error::Http(error) if error.status().as_u16() == 404),
        "{error:?}"
    );
}

/// There, a dictionary. Here each kind has a name, and the error has the outcome of the write.
async fn EtcdError<T: Transport>(etcd: Etcd<T>) {
    let error = etcd.v2().delete(etcd.key("none")).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    let error = error.as_etcd().unwrap();
    assert_eq!(
        (error.kind(), error.code().map(|code| code.number())),
        (EtcdErrorKind::KeyNotFound, Some(100))
    );
    assert_eq!(error.message(), "Key not found");
    assert!(error.index().is_some());
}

#[cfg(feature = "server")]
/// There, a download without a checksum. Here an installed etcd is found first.
async fn install<T: Transport>(_: Etcd<T>) {
    let installed: Installed = server::install().unwrap();
    assert!(installed.etcd.is_file());
    assert!(installed.version.has_v2());
    if let Some(named) = env::var_os("ETCD_BIN") {
        assert_eq!(installed.etcd, named);
    }
}

#[cfg(feature = "server")]
/// There, a process on the standard port, which may not be ready. Here, a healthy server on a port of its own, stopped
/// when dropped.
async fn start<T: Transport>(etcd: Etcd<T>) {
    let server = Server::builder()
        .time_limit(Duration::from_secs(60))
        .start();
    let server = server.unwrap();
    let client = etcd.client_of(server.client_url());
    assert!(client.health().await.unwrap().healthy);
    client.v2().set("/a", "1").await.unwrap();
    drop(server);
    assert!(client.v2().set("/a", "2").await.is_err());
}
