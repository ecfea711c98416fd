//! etcdctl's commands for v3, which travel by gRPC, against the program and the real server.
//!
//! Not compared are `check perf` and `check datascale`, which measure, `snapshot save`, which the fake does not serve, and
//! `endpoint … --cluster`, where etcdctl 3.4 sends an authority that is none.

mod side;

use crate::clients::{etcdctl, pairs};

use side::Both;

/// Has both servers of each release do something.
fn with_both(test: impl Fn(&mut Both)) {
    for (binary, real, served) in pairs() {
        let mut both = Both::new(
            &etcdctl(&binary),
            &real.version,
            &real.client_url,
            &served.url,
        );
        test(&mut both);
    }
}

#[test]
fn keys_are_written_and_read_alike() {
    with_both(|both| {
        both.all(&[
            "get a",
            "put a one",
            "put a two --prev-kv",
            "put ab three",
            "put b four",
            "put b --ignore-value",
            "put none --ignore-value",
            "put b five --ignore-lease",
            "put c six --lease=123",
            "get a",
            "get a -w json",
            "get a -w fields",
            "get a --hex",
            "get a --print-value-only",
            "get a b",
            "get --prefix a",
            "get --from-key ab",
            "get --prefix --keys-only a",
            "get --prefix --count-only a -w fields",
            "get --prefix a --limit=1 -w json",
            "get --prefix a --order=DESCEND --sort-by=MODIFY",
            "get --prefix a --order=ASCEND --sort-by=VALUE",
            "get a --rev=2",
            "get a --rev=1000",
            "get a --consistency=s",
            "get a --consistency=x",
            "del none",
            "del ab --prev-kv",
            "del --prefix a -w json",
            "del --from-key b",
            "endpoint hashkv",
            "compaction 5",
            "compaction 5",
            "compaction 1000",
            "compaction 6 --physical",
            "get a --rev=3",
            "endpoint hashkv -w json",
        ]);
        for txn in [
            "mod(\"a\") = \"0\"\n\nput a 1\nput b 2\n\nget a\n\n",
            "ver(\"a\") > \"0\"\nval(\"b\") = \"2\"\n\nget a\ndel b\n\nput c 1\n\n",
            "create(\"a\") < \"1\"\n\nput a 1\n\nget --prefix a\n\n",
            "\n\nput a 1\nput a 2\n\n\n\n",
            "\n\n\n\n",
        ] {
            both.run("txn", txn);
            both.run("txn -w json", txn);
        }
        let input = "a value from the standard input";
        both.run("put stdin", input);
        both.run("get stdin", "");
        assert!(both.count > 45);
    });
}

#[test]
fn leases_are_granted_and_kept_alike() {
    with_both(|both| {
        both.all(&[
            "lease grant 100",
            "lease grant 200 -w json",
            "lease grant -1",
            "lease grant 9000000001",
            "put a x --lease=LEASE0",
            "put b x --lease=LEASE0",
            "put b --ignore-value --ignore-lease",
            "lease timetolive LEASE0 --keys -w fields",
            "lease timetolive 123",
            "lease keep-alive --once LEASE0",
            "lease keep-alive --once 123",
            "get --prefix a -w fields",
            "lease revoke LEASE0",
            "lease revoke LEASE0",
            "lease revoke xyz",
            "get a",
            "lease grant 100",
            "lease list",
        ]);
        // It goes on until the lease is gone.
        both.run("lease grant 100", "");
        both.each(|side| {
            let mut keeping = side.start("lease keep-alive LEASE2");
            let mut text = keeping.lines(1);
            text += &side.outcome("lease revoke LEASE2", "");
            text + &keeping.terminate()
        });
    });
}

#[test]
fn watches_receive_the_same() {
    with_both(|both| {
        both.all(&["put w1 old", "put w1 older", "del w1"]);
        let reply = both.each(|side| {
            let mut watch = side.start("watch --prefix w --rev=2 --prev-kv");
            let mut text = watch.lines(12);
            side.outcome("put w2 new", "");
            text += &watch.lines(3);
            text + &watch.terminate()
        });
        assert!(reply.contains("older") && reply.contains("new"), "{reply}");
        both.all(&["compaction 4", "watch w1 --rev=2"]);
        both.each(|side| {
            let mut watch = side.start("watch -i");
            let mut text = String::new();
            watch.write("watch w1 w9\nprogress\nwatch x\n");
            text += &watch.lines(1);
            side.outcome("put x 1", "");
            text += &watch.lines(3);
            text + &watch.terminate()
        });
        // A command is run for each event.
        both.each(|side| {
            let mut watch = side.start("watch x --rev=5 -- echo event");
            watch.lines(4) + &watch.terminate()
        });
    });
}

#[test]
fn locks_and_elections_are_taken_in_turn() {
    with_both(|both| {
        both.run("lock l echo done", "");
        both.run("lock l --ttl=5 false", "");
        both.each(|side| {
            let mut first = side.start("lock l");
            let mut text = shortened(&first.lines(1));
            let mut second = side.start("lock l");
            text += &shortened(&first.terminate());
            text += &shortened(&second.lines(1));
            text + &shortened(&second.terminate())
        });
        both.each(|side| {
            let mut leader = side.start("elect e one");
            let mut text = shortened(&leader.lines(2));
            let mut observer = side.start("elect -l e");
            text += &shortened(&observer.lines(2));
            let mut next = side.start("elect e two");
            text += &shortened(&leader.terminate());
            text += &shortened(&next.lines(2));
            text += &shortened(&observer.lines(2));
            text += &shortened(&next.terminate());
            text + &shortened(&observer.terminate())
        });
    });
}

/// A text without the leases in the keys of a queue.
fn shortened(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let queue = line.split('/').next().unwrap_or_default();
        format!("{queue}\n")
    });
    lines.collect()
}

#[test]
fn users_and_roles_are_administered_alike() {
    with_both(|both| {
        both.all(&[
            "auth disable",
            "auth enable",
            "user list",
            "user add root:secret",
            "user add root:secret",
            "user add bob:hidden",
            "user add nobody --no-password",
            "user get bob",
            "user get none",
            "user list",
            "role list",
            "role add root",
            "role add reader",
            "role add reader",
            "role get reader",
            "role get none",
            "role grant-permission reader read a",
            "role grant-permission reader write b c",
            "role grant-permission reader readwrite d --prefix",
            "role grant-permission reader read x --from-key",
            "role grant-permission none read x",
            "role get reader",
            "role get reader -w json",
            "role revoke-permission reader a",
            "role revoke-permission reader a",
            "role revoke-permission reader x --from-key",
            "user grant-role root root",
            "user grant-role bob reader",
            "user grant-role bob none",
            "user grant-role none reader",
            "user get bob --detail",
            "user revoke-role bob root",
            "put b one",
            "put e one",
            "auth enable",
            "user list",
            "get b",
            "get b --user=root:wrong",
            "get b --user=none:hidden",
            "--user=root:secret user list",
            "--user=root:secret get --prefix b",
            "--user=bob:hidden get b",
            "--user=bob:hidden put b two",
            "--user=bob:hidden put e two",
            "--user=bob:hidden get d",
            "--user=bob:hidden get da",
            "--user=bob:hidden user get bob",
            "--user=bob:hidden user get root",
            "--user=bob:hidden role get reader",
            "--user=bob:hidden role list",
            "--user=bob:hidden watch e",
            "--user=root:secret endpoint hashkv",
            "--user=bob:hidden endpoint hashkv",
            "--user=bob:hidden lease grant 100",
            "--user=bob:hidden put b three --lease=LEASE0",
            "--user=nobody:x get b",
            "--user=bob --password=hidden get b",
            "--user=root:secret auth enable",
            "--user=root:secret user revoke-role root root",
            "--user=root:secret user delete root",
            "--user=root:secret role delete reader",
            "--user=bob:hidden get b",
            "--user=root:secret auth disable",
            "get b",
            "user delete bob",
            "user delete bob",
            "role delete none",
        ]);
        for (arguments, input) in [
            ("user passwd root --interactive=false", "changed\n"),
            ("user passwd none --interactive=false", "changed\n"),
            ("user add carol --interactive=false", "new\n"),
            ("user delete carol", ""),
        ] {
            both.run(arguments, input);
        }
        both.all(&[
            "auth enable",
            "--user=root:secret get b",
            "--user=root:changed get b",
        ]);
        both.all(&[
            "--user=root:changed auth status",
            "--user=root:changed auth disable",
        ]);
        assert!(both.count > 70);
    });
}

#[test]
fn members_are_maintained_alike() {
    with_both(|both| {
        both.all(&[
            "member list",
            "member list -w json",
            "member list -w fields",
            "member remove 123",
            "member update 123 --peer-urls=http://127.0.0.1:1",
            "member update MEMBER --peer-urls=nonsense",
            "member add other --peer-urls=nonsense",
            "endpoint health",
            "endpoint status -w fields",
            "endpoint hashkv",
            "alarm list",
            "alarm disarm",
            "defrag",
            "move-leader MEMBER",
            "move-leader 123",
            "member promote 123",
            "member promote MEMBER",
            "downgrade validate 3.4.0",
            "downgrade validate 3.9.0",
            "downgrade validate nonsense",
            "downgrade cancel",
            "version",
        ]);
    });
}

#[test]
fn keys_are_mirrored() {
    with_both(|both| {
        both.all(&["put m1 one", "put m2 two"]);
        // To itself, under another prefix.
        both.each(|side| {
            let mirror = side.start(
                "make-mirror ENDPOINT --prefix m --dest-prefix copy --dest-insecure-transport",
            );
            let mut text = String::new();
            for (key, count) in [("copy1", 1), ("copy2", 1)] {
                text += &side.wait_for(key, count);
            }
            side.outcome("put m3 three", "");
            text += &side.wait_for("copy3", 1);
            side.outcome("del m1", "");
            text += &side.wait_for("copy1", 0);
            mirror.terminate();
            text + &side.outcome("get --prefix copy", "")
        });
    });
}
