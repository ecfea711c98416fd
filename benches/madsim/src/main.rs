//! Gets and puts through the whole client on madsim-etcd-client, and on the fake, in one run.
//!
//! `cd benches/madsim && cargo run --release -- --bench`

#[path = "../../benches/fake.rs"]
mod fake;

use std::{net::SocketAddr, time::Duration};

use madsim::{
    runtime::{Handle, NodeHandle, Runtime},
    time::sleep,
};
use madsim_etcd_client::{Client, KvClient, SimServer};

use fake::{IN_A_ROW, Keys, Row, VALUE, name};

fn main() {
    match fake::words().as_slice() {
        [] => {
            for keys in [fake::size(1_000_000), 1000] {
                fake::in_own_process(&[MADSIM, &keys.to_string()]);
            }
            fake::main();
        }
        [name, keys] if name == MADSIM => {
            let keys = keys.parse().expect("a number");
            Simulation::new(keys).measure(fake::turns());
        }
        _ => fake::main(),
    }
}

const MADSIM: &str = "madsim";

/// A simulated server, and a client in another node of the simulation. What is timed is the time outside.
struct Simulation {
    runtime: Runtime,
    node: NodeHandle,
    kv: KvClient,
    keys: usize,
}

impl Simulation {
    fn new(keys: usize) -> Self {
        println!("madsim-etcd-client, {keys} keys");
        let runtime = Runtime::new();
        let (node, kv) = runtime.block_on(async move {
            let address = |host: &str| host.parse::<SocketAddr>().expect("an address");
            let [server, client] = ["10.0.0.1:2379", "10.0.0.2:0"].map(address);
            let node = |name: &str, address: SocketAddr| {
                let handle = Handle::current();
                handle.create_node().name(name).ip(address.ip()).build()
            };
            node("server", server).spawn(SimServer::builder().serve(server));
            let node = node("client", client);
            let filled = node.spawn(async move {
                sleep(Duration::from_secs(1)).await;
                let client = Client::connect(["10.0.0.1:2379"], None).await;
                let mut kv = client.expect("a client").kv_client();
                for key in 0..keys {
                    kv.put(name(key), VALUE, None).await.expect("a response");
                }
                kv
            });
            (node, filled.await.expect("a client"))
        });
        Self {
            runtime,
            node,
            kv,
            keys,
        }
    }

    fn measure(&self, turns: usize) {
        let mut keys = Keys::new(self.keys);
        let mut row = Row::new("get", turns);
        while row.turn(|| keys = self.run(get(self.kv.clone(), keys.clone()))) {}
        let mut row = Row::new("put", turns);
        while row.turn(|| keys = self.run(put(self.kv.clone(), keys.clone()))) {}
    }

    fn run(&self, operations: impl Future<Output = Keys> + Send + 'static) -> Keys {
        let done = self.runtime.block_on(self.node.spawn(operations));
        done.expect("the simulation")
    }
}

async fn get(mut kv: KvClient, mut keys: Keys) -> Keys {
    for _ in 0..IN_A_ROW {
        let response = kv.get(keys.next(), None).await.expect("a response");
        assert_eq!(response.kvs()[0].value(), VALUE.as_bytes());
    }
    keys
}

async fn put(mut kv: KvClient, mut keys: Keys) -> Keys {
    for _ in 0..IN_A_ROW {
        kv.put(keys.next(), VALUE, None).await.expect("a response");
    }
    keys
}
