//! Checks the table's column of short forms.

use std::{
    collections::BTreeSet,
    future::pending,
    sync::Mutex,
    time::{Duration, Instant},
};

use etcd_transport::{Request, Response, Transport, TransportError, async_trait};
use futures::{FutureExt, StreamExt};

use crate::v3::coverage::{asked, table};
use crate::{client::Client, endpoints::protocol::Protocol, v3::*};

const SECOND: Duration = Duration::from_secs(1);
const URL: &str = "http://h:1";

/// Records the requested paths. Responds immediately with zeros; streams stay silent.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl Transport for Notes {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.uri().path().to_owned();
        let streams = table()
            .into_iter()
            .any(|[row, _, _, streams, _]| asked(row) == path && streams == "yes");
        self.0.lock().unwrap().push(path);
        if streams {
            pending::<()>().await;
        }
        Ok(Response::new(
            r#"{"header":{"cluster_id":"7"}}"#.to_owned().into(),
        ))
    }

    async fn sleep(&self, _: Duration) {
        pending::<()>().await;
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

type ShortForm = (&'static str, fn(V3<'_, Notes>));

/// Every short form, by its name in the table.
fn short_forms() -> Vec<ShortForm> {
    vec![
        ("kv().get", |v3| ask(v3.kv().get("k"))),
        ("kv().count", |v3| ask(v3.kv().count("k"))),
        ("kv().range", |v3| ask(v3.kv().range("k"))),
        ("kv().range_stream", |v3| {
            ask(v3.kv().range_stream("k").next());
        }),
        ("kv().put", |v3| ask(v3.kv().put("k", ""))),
        ("kv().delete", |v3| ask(v3.kv().delete("k"))),
        ("kv().txn", |v3| ask(v3.kv().txn(Txn::new()))),
        ("kv().exactly_once", |v3| {
            ask(v3.kv().exactly_once("k", Txn::new()));
        }),
        ("kv().compact", |v3| ask(v3.kv().compact(1))),
        ("watch", |v3| ask(v3.watch("k").next())),
        ("watch_set", |v3| {
            ask(v3.watch_set([Watch::new("k")]).next());
        }),
        ("mirror", |v3| {
            ask(async {
                let mut mirror = v3.mirror("k");
                // First the listing, then the watch.
                mirror.next().await.unwrap();
                mirror.next().await
            });
        }),
        ("leases().grant", |v3| ask(v3.leases().grant(SECOND))),
        ("leases().revoke", |v3| ask(v3.leases().revoke(1))),
        ("leases().keep_alive_once", |v3| {
            ask(v3.leases().keep_alive_once(1));
        }),
        ("leases().keep_all_alive_once", |v3| {
            ask(v3.leases().keep_all_alive_once([LeaseId::from(1)]));
        }),
        ("leases().keep_alive", |v3| {
            ask(v3.leases().keep_alive(1).next());
        }),
        ("leases().keeper", |v3| {
            let (keeper, _run) = v3.leases().keeper();
            ask(keeper.keep(1));
        }),
        ("leases().get_time_to_live", |v3| {
            ask(v3.leases().get_time_to_live(1));
        }),
        ("leases().list", |v3| ask(v3.leases().list())),
        ("lock", |v3| ask(v3.lock("l", 1))),
        ("unlock", |v3| ask(v3.unlock("l/1"))),
        ("elections().campaign", |v3| {
            ask(v3.elections().campaign("e", 1, ""));
        }),
        ("elections().proclaim", |v3| {
            ask(v3.elections().proclaim(leader(), ""));
        }),
        ("elections().get_leader", |v3| {
            ask(v3.elections().get_leader("e"));
        }),
        ("elections().observe", |v3| {
            ask(v3.elections().observe("e").next());
        }),
        ("elections().resign", |v3| {
            ask(v3.elections().resign(leader()));
        }),
        ("cluster().add_member", |v3| {
            ask(v3.cluster().add_member([URL]));
        }),
        ("cluster().add_learner", |v3| {
            ask(v3.cluster().add_learner([URL]));
        }),
        ("cluster().remove_member", |v3| {
            ask(v3.cluster().remove_member(1));
        }),
        ("cluster().update_member", |v3| {
            ask(v3.cluster().update_member(1, [URL]));
        }),
        ("cluster().list_members", |v3| {
            ask(v3.cluster().list_members());
        }),
        ("cluster().promote_member", |v3| {
            ask(v3.cluster().promote_member(1));
        }),
        ("maintenance().list_alarms", |v3| {
            ask(v3.maintenance().list_alarms());
        }),
        ("maintenance().raise_alarm", |v3| {
            ask(v3.maintenance().raise_alarm(AlarmKind::NoSpace));
        }),
        ("maintenance().lift_alarm", |v3| {
            ask(v3.maintenance().lift_alarm(AlarmKind::NoSpace));
        }),
        ("maintenance().get_status", |v3| {
            ask(v3.maintenance().get_status());
        }),
        ("maintenance().defragment", |v3| {
            ask(v3.maintenance().defragment());
        }),
        ("maintenance().get_hash", |v3| {
            ask(v3.maintenance().get_hash());
        }),
        ("maintenance().get_hash_kv", |v3| {
            ask(v3.maintenance().get_hash_kv());
        }),
        ("maintenance().snapshot", |v3| {
            ask(v3.maintenance().snapshot().next());
        }),
        ("maintenance().transfer_leadership", |v3| {
            ask(v3.maintenance().transfer_leadership(1));
        }),
        ("maintenance().downgrade", |v3| {
            ask(v3.maintenance().downgrade(Downgrade::cancel()));
        }),
        ("auth().enable", |v3| ask(v3.auth().enable())),
        ("auth().disable", |v3| ask(v3.auth().disable())),
        ("auth().get_status", |v3| ask(v3.auth().get_status())),
        ("auth().authenticate", |v3| {
            ask(v3.auth().authenticate("u", "p"));
        }),
        ("auth().add_user", |v3| ask(v3.auth().add_user("u", "p"))),
        ("auth().get_user", |v3| ask(v3.auth().get_user("u"))),
        ("auth().list_users", |v3| ask(v3.auth().list_users())),
        ("auth().delete_user", |v3| ask(v3.auth().delete_user("u"))),
        ("auth().change_password", |v3| {
            ask(v3.auth().change_password("u", "p"));
        }),
        ("auth().grant_role", |v3| {
            ask(v3.auth().grant_role("u", "r"));
        }),
        ("auth().revoke_role", |v3| {
            ask(v3.auth().revoke_role("u", "r"));
        }),
        ("auth().add_role", |v3| ask(v3.auth().add_role("r"))),
        ("auth().get_role", |v3| ask(v3.auth().get_role("r"))),
        ("auth().list_roles", |v3| ask(v3.auth().list_roles())),
        ("auth().delete_role", |v3| ask(v3.auth().delete_role("r"))),
        ("auth().grant_permission", |v3| {
            ask(v3.auth().grant_permission("r", Permission::read("k")));
        }),
        ("auth().revoke_permission", |v3| {
            ask(v3.auth().revoke_permission("r", "k"));
        }),
    ]
}

/// Polls a future once.
fn ask<F: Future>(work: F) {
    let _ = work.now_or_never();
}

fn leader() -> LeaderKey {
    LeaderKey {
        key: "k".into(),
        ..LeaderKey::default()
    }
}

/// The short forms in the table, by the paths that the client requests.
fn documented() -> BTreeSet<(String, &'static str)> {
    let mut documented = BTreeSet::new();
    for [path, _, short_forms, _, _] in table() {
        for short_form in short_forms.split(", ") {
            let name = short_form
                .strip_prefix("[`")
                .unwrap()
                .split('`')
                .next()
                .unwrap();
            documented.insert((asked(path), name));
        }
    }
    documented
}

#[test]
fn every_short_form_asks_the_path_that_the_table_has_it_for() {
    let mut found = BTreeSet::new();
    for (name, call) in short_forms() {
        let client = Client::builder(Notes::default())
            .endpoints(["http://a"])
            .protocol(Protocol::Gateway);
        let client = client.build().unwrap();
        call(client.v3());
        // Before a watch begins, it requests the store's revision.
        let last = client.transport().0.lock().unwrap().pop().unwrap();
        found.insert((last, name));
    }
    assert_eq!(documented(), found);
}

#[test]
fn no_short_form_is_left_out_of_the_table() {
    let sources = [
        include_str!("../handle.rs"),
        include_str!("../handle/keys.rs"),
        include_str!("../handle/admin.rs"),
    ];
    let documented = documented();
    let documented: BTreeSet<_> = documented
        .iter()
        .map(|(_, name)| name.rsplit('.').next().unwrap())
        .collect();
    let found: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(short_form)
        .collect();
    assert_eq!(documented, found);
}

/// Returns the short form that begins in this line of a handle's source: a method, or a line of its macro.
fn short_form(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("    ");
    let method = line
        .strip_prefix("pub async fn ")
        .or_else(|| line.strip_prefix("pub fn "));
    let (name, rest) = method.unwrap_or(line).split_once('(')?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let borrows_self = line.starts_with("pub async fn ") && rest.starts_with("&self");
    let takes_self = rest.is_empty() || rest.starts_with("self") || borrows_self;
    let is_short_form = takes_self || method.is_none() && !line.starts_with("pub");
    let is_named = !name.is_empty() && name.bytes().all(is_name) && name != "namespace";
    (is_short_form && is_named).then_some(name)
}
