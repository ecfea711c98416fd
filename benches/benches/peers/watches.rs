//! The latency of watches.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures::{StreamExt, future, stream::BoxStream};

use crate::{
    Bench, NAMES, VALUE,
    bare::Bare,
    contender::{Call, Contender, Operation, Watcher},
};

/// Measures the time from a put to its event, for the clients that take turns.
pub(crate) fn measure(bench: &Bench) {
    let puts = bench.turns * 25;
    bench.runtime.block_on(async {
        let mut writer = bench.bare.clone();
        let mut watches = [
            (
                NAMES[1],
                "/watch/hyper",
                bench.hyper.watch("/watch/hyper").await,
            ),
            (
                NAMES[2],
                "/watch/reqwest",
                bench.reqwest.watch("/watch/reqwest").await,
            ),
            (
                NAMES[3],
                "/watch/tonic",
                bench.tonic.watch("/watch/tonic").await,
            ),
        ];
        let mut latencies = [(); 3].map(|()| Vec::with_capacity(puts));
        for (_, key, events) in &mut watches {
            settle(&mut writer, key, events).await;
        }
        for _ in 0..puts {
            for ((_, key, events), latencies) in watches.iter_mut().zip(&mut latencies) {
                let start = Instant::now();
                put(&mut writer, key).await;
                events.next().await.expect("an event");
                latencies.push(start.elapsed());
            }
        }
        println!(
            "\nwatch, from a put by hand to its event {:>9} {:>9}",
            "p50", "p99"
        );
        for ((name, ..), mut latencies) in watches.iter().zip(latencies) {
            latencies.sort_unstable();
            let at = |part: f64| latencies[(latencies.len() as f64 * part) as usize];
            let (p50, p99) = (micros(at(0.5)), micros(at(0.99)));
            println!("  {name:36} {p50:>6.0} µs {p99:>6.0} µs");
        }
    });
}

/// Writes a key until a watch has opened, and then until all its events have arrived.
async fn settle(writer: &mut Bare, key: &str, events: &mut BoxStream<'static, ()>) {
    let writing = pin!(async {
        loop {
            put(writer, key).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let _: future::Either<_, ((), _)> = future::select(events.next(), writing).await;
    let quiet = Duration::from_millis(200);
    while tokio::time::timeout(quiet, events.next()).await.is_ok() {}
}

async fn put(writer: &mut Bare, key: &str) {
    let call = Call {
        operation: Operation::Put,
        key,
        value: VALUE,
    };
    writer.run(call).await;
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
