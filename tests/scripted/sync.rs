//! Endpoints from the list of members.

use std::time::Duration;

use etcd_http::{Client, ClientBuilder, Endpoint, SyncPolicy, Synced};
use futures::FutureExt;
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, keys, leader, members},
};

fn builder(steps: impl IntoIterator<Item = Step>) -> ClientBuilder<ScriptedTransport> {
    Client::builder(ScriptedTransport::new(steps)).endpoints(["http://10.0.0.1:2379"])
}

fn texts<'a>(endpoints: impl IntoIterator<Item = &'a Endpoint>) -> Vec<String> {
    endpoints.into_iter().map(ToString::to_string).collect()
}

/// The current endpoints of a client.
fn endpoints(client: &Client<ScriptedTransport>) -> Vec<Endpoint> {
    let all = client.endpoints().into_iter();
    all.map(|info| info.endpoint).collect()
}

/// Why an address is not used by a client of these endpoints.
fn refusal(builder: ClientBuilder<ScriptedTransport>, url: &str) -> String {
    let client = builder.build().unwrap();
    let mut sync = client.merge_endpoints([url]);
    assert_eq!(sync.endpoints, endpoints(&client));
    assert!(sync.added.is_empty(), "{url} was added");
    let refused = sync.refused.remove(0);
    assert_eq!(refused.url, url);
    refused.reason
}

#[test]
fn members_come_and_go_and_the_given_endpoints_stay() {
    let client = builder([
        members(&[&["http://10.0.0.1:2379"], &["http://10.0.0.2:2379"], &[]]),
        members(&[&["http://10.0.0.3:2379", "http://h:2379"]]),
    ])
    .build()
    .unwrap();

    let first = block_on(client.sync()).unwrap();
    assert_eq!(texts(&first.added), ["http://10.0.0.2:2379"]);
    assert_eq!(
        texts(&first.endpoints),
        ["http://10.0.0.1:2379", "http://10.0.0.2:2379"]
    );

    let second = block_on(client.sync()).unwrap();
    assert_eq!(texts(&second.removed), ["http://10.0.0.2:2379"]);
    assert_eq!(
        texts(&endpoints(&client)),
        [
            "http://10.0.0.1:2379",
            "http://10.0.0.3:2379",
            "http://h:2379"
        ]
    );
    assert_eq!(second.endpoints, endpoints(&client));
}

/// Syncs a client by these responses, which add the second member and name it as the leader.
fn second_is_added_and_leads(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    let client = builder(steps).prefer_leader(true).build().unwrap();
    let sync = block_on(client.sync()).unwrap();
    assert_eq!(texts(&sync.added), ["http://10.0.0.2:2379"]);
    assert_eq!(texts(&sync.leader), ["http://10.0.0.2:2379"]);
    client
}

#[test]
fn v3_lists_the_members_and_the_leader() {
    let list = members(&[&["http://10.0.0.1:2379"], &["http://10.0.0.2:2379"]]);
    let client = second_is_added_and_leads([list, leader(2)]);
    let seen = client.transport().seen();
    let [list, status] = ["cluster/member/list", "maintenance/status"];
    assert!(
        seen[0].ends_with(list) && seen[1].ends_with(status),
        "{seen:?}"
    );
}

#[test]
fn where_v3_is_not_supported_or_refuses_it_v2_lists_the_members_and_the_leader() {
    let respond = |status, kind: &str, body: &str| {
        let headers = vec![("content-type", kind.into())];
        Step::Respond(status, headers, Ending::Whole(body.into()))
    };
    let refused = r#"{"error":"etcdserver: user name is empty","code":3}"#;
    for first in [
        respond(404, "text/plain", "404 page not found\n"),
        respond(400, "application/json", refused),
    ] {
        let list = r#"{"members":[
            {"id":"1","name":"a","peerURLs":[],"clientURLs":["http://10.0.0.1:2379"]},
            {"id":"2","name":"b","peerURLs":[],"clientURLs":["http://10.0.0.2:2379"]}]}"#;
        // The first is an address that the list does not have.
        let leader = r#"{"id":"2","name":"b","peerURLs":[],
            "clientURLs":["http://elsewhere","http://10.0.0.2:2379"]}"#;
        second_is_added_and_leads([first, keys(200, 0, list), keys(200, 0, leader)]);
    }
    let no_v2 = respond(404, "text/plain", "404 page not found\n");
    let client = builder([respond(400, "application/json", refused), no_v2]);
    let error = block_on(client.build().unwrap().sync()).unwrap_err();
    assert!(error.to_string().contains("user name is empty"), "{error}");
}

#[test]
fn with_a_new_term_in_v3_the_leader_is_no_longer_preferred() {
    let header =
        |term| format!(r#""header":{{"cluster_id":"7","member_id":"1","raft_term":"{term}"}}"#);
    let list = format!(
        r#"{{{},"members":[
        {{"ID":"1","name":"a","clientURLs":["http://10.0.0.1:2379"]}},
        {{"ID":"2","name":"b","clientURLs":["http://10.0.0.2:2379"]}}]}}"#,
        header(3)
    );
    let status = format!(r#"{{{},"version":"3.5.16","leader":"2"}}"#, header(3));
    let put = |term| keys(200, 0, format!("{{{}}}", header(term)));
    let steps = [keys(200, 0, list), keys(200, 0, status)];
    let steps = steps.into_iter().chain([put(3), put(4), put(4)]);
    let client = builder(steps).prefer_leader(true).build().unwrap();
    block_on(client.sync()).unwrap();
    for _ in 0..3 {
        block_on(client.v3().kv().put("k", "v")).unwrap();
    }
    let seen = client.transport().seen();
    let hosts: Vec<_> = seen.iter().rev().take(3).map(|line| &line[5..13]).collect();
    assert_eq!(hosts, ["10.0.0.1", "10.0.0.2", "10.0.0.2"]);
}

#[test]
fn a_list_without_an_address_to_use_changes_nothing() {
    let useless = [
        members(&[]),
        members(&[&[], &[]]),
        members(&[&["unix://x", "http://127.0.0.1:2379"]]),
        members(&[&["http://root:pw@h:1"]]),
    ];
    let client = builder(useless).build().unwrap();
    client.merge_endpoints(["http://10.0.0.2:2379"]);
    let before = endpoints(&client);
    for _ in 0..4 {
        let sync = block_on(client.sync()).unwrap();
        assert_eq!((sync.added, sync.removed), (vec![], vec![]));
        assert_eq!(endpoints(&client), before);
    }
}

#[test]
fn a_sync_that_fails_changes_nothing() {
    // By each API at each endpoint.
    let denied = (0..5).map(|_| keys(401, 0, r#"{"message":"no"}"#));
    let steps = [Step::Reject, keys(200, 0, "<html>")];
    let client = builder(steps.into_iter().chain(denied)).build().unwrap();
    client.merge_endpoints(["http://10.0.0.2:2379"]);
    for _ in 0..3 {
        block_on(client.sync()).unwrap_err();
        assert_eq!(client.endpoints().len(), 2);
    }
}

#[test]
fn addresses_that_no_member_can_have_are_refused() {
    for url in [
        "http://0.0.0.0:2379",
        "http://0.1.2.3:2379",
        "http://[::]:2379",
        "http://169.254.169.254",
        "http://[::ffff:169.254.169.254]",
        "http://[fe80::1]:2379",
        "http://224.0.0.1:2379",
        "http://255.255.255.255",
        "http://127.1:2379",
        "http://2130706433:2379",
        "http://0xa9fea9fe",
        "http://0xa9.0xfe.0xa9.0xfe",
        "http://10.0.0.07",
        "http://h%2ec",
        "http://[fe80::1%25eth0]:2379",
        "http://[x]:2379",
    ] {
        let reason = refusal(builder([]), url);
        assert!(
            reason == "not an address that a member can have"
                || reason.contains("is not a URL")
                || reason.contains("has an IPv6 zone id"),
            "{url}: {reason}"
        );
    }
}

#[test]
fn loopback_addresses_are_refused_unless_the_client_was_given_one() {
    for url in [
        "http://127.0.0.1:2379",
        "http://localhost:2379",
        "http://[::1]:1",
    ] {
        assert_eq!(
            refusal(builder([]), url),
            "this machine, which none of the client's own endpoints is"
        );
        let at_home = builder([])
            .endpoints(["http://localhost:1"])
            .build()
            .unwrap();
        assert_eq!(at_home.merge_endpoints([url]).added.len(), 1, "{url}");
    }
}

#[test]
fn the_scheme_is_never_changed() {
    let secure = || Client::builder(ScriptedTransport::new([])).endpoints(["https://a"]);
    let not_http = "not https:// like the client's own endpoints";
    assert_eq!(refusal(secure(), "http://b"), not_http);
    assert_eq!(
        refusal(secure().endpoints(["http://c"]), "http://b"),
        not_http
    );
    let rewritten = SyncPolicy::new().rewrite(|url| Some(url.replace("https", "http")));
    assert_eq!(
        refusal(secure().sync_policy(rewritten), "https://b"),
        not_http
    );
    assert_eq!(
        refusal(builder([]), "https://b"),
        "not http:// like the client's own endpoints"
    );
    for (url, expected) in [
        ("unix://b", "is a Unix socket"),
        ("unixs://b", "is a Unix socket"),
        ("ftp://b", "is neither http:// nor https://"),
    ] {
        let reason = refusal(secure(), url);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn with_credentials_plain_http_to_other_machines_is_refused() {
    let local = || {
        let builder = Client::builder(ScriptedTransport::new([])).endpoints(["http://127.0.0.1:1"]);
        builder.basic_auth("root", "secret")
    };
    assert_eq!(
        refusal(local(), "http://10.0.0.2:2379"),
        "credentials would be sent over plain http"
    );
    let accepted = local().allow_insecure_auth(true).build().unwrap();
    assert_eq!(
        accepted
            .merge_endpoints(["http://10.0.0.2:2379"])
            .added
            .len(),
        1
    );
    let here = local().build().unwrap();
    assert_eq!(here.merge_endpoints(["http://127.0.0.1:2"]).added.len(), 1);
}

#[test]
fn a_rewrite_comes_before_the_rules_and_the_users_own_rule_after_them() {
    let tunnels = || {
        SyncPolicy::new()
            .rewrite(|url| {
                let tunnel = url.replace("192.168.0.", "10.0.0.");
                (!url.contains("secret")).then_some(tunnel)
            })
            .allow(|endpoint| endpoint.host().starts_with("10.0.0."))
    };
    let client = builder([]).sync_policy(tunnels()).build().unwrap();
    let sync = client.merge_endpoints(["http://192.168.0.7:2379"]);
    assert_eq!(texts(&sync.added), ["http://10.0.0.7:2379"]);
    let refused = |url| refusal(builder([]).sync_policy(tunnels()), url);
    assert_eq!(refused("http://secret:2379"), "dropped by the rewrite");
    assert_eq!(refused("http://evil:2379"), "not allowed by the policy");
    let all = SyncPolicy::new().allow(|_| true);
    assert_eq!(
        refusal(builder([]).sync_policy(all), "http://169.254.169.254"),
        "not an address that a member can have"
    );
}

#[test]
fn a_list_of_members_is_cut_off_at_one_hundred_addresses() {
    let client = builder([]).build().unwrap();
    let sync: Synced = client.merge_endpoints((0..10_000).map(|n| format!("http://m{n}:2379")));
    assert_eq!(sync.added.len(), 100);
}

#[test]
fn an_automatic_sync_goes_on_after_errors() {
    let list = || members(&[&["http://10.0.0.2:2379"]]);
    let down = || (0..5).map(|_| Step::Break);
    let steps = down()
        .chain([list()])
        .chain(down())
        .chain([list(), Step::Halt]);
    let client = builder(steps).build().unwrap();
    let keep = client.keep_synced(Duration::from_secs(600));
    assert!(keep.now_or_never().is_none());
    assert_eq!(client.endpoints().len(), 2);
    assert_eq!(client.transport().seen().len(), 13);
    let pauses = client.transport().sleeps().into_iter();
    let long = pauses.filter(|pause| *pause > Duration::from_secs(60));
    let long: Vec<_> = long.collect();
    assert_eq!(long.len(), 4);
    assert!(
        long.iter()
            .all(|pause| (540..=600).contains(&pause.as_secs())),
        "{long:?}"
    );
}
