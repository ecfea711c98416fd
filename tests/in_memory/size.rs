//! How large the futures of calls are: each layer that they are moved through copies them, and callers keep many of them.

use etcd_http::{Client, fake::FakeEtcd, v3::Range};

/// What awaits a rare case, such as a token, a probe, a hedge or a confirmation, belongs into a box.
const MAX: usize = 3584;

#[test]
fn the_future_of_a_call_takes_at_most_three_and_a_half_kibibytes() {
    let etcd = FakeEtcd::new();
    let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    for (name, size) in [
        ("v2 get", size_of_val(&client.v2().get("/a"))),
        ("v2 set", size_of_val(&client.v2().set("/a", "b"))),
        ("v3 get", size_of_val(&client.v3().kv().get("a"))),
        ("v3 put", size_of_val(&client.v3().kv().put("a", "b"))),
        ("v3 range", size_of_val(&client.send(Range::new("a")))),
    ] {
        println!("{name}: {size} bytes");
        assert!(size <= MAX, "{name}: {size} bytes");
    }
}
