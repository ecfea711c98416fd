//! Feeds every decoder noise, mutated responses, wrong heads and truncated bodies: nothing panics, hangs, or reads more
//! than the limit.
//!
//! `ETCD_HTTP_FUZZ_CASES` is the number of cases of each API and defaults to 1,500; `ETCD_HTTP_FUZZ_SEED` selects them.
//! Each case is decoded by every operation of the API.

mod api;
mod canned;
mod every_byte;
mod inputs;
mod memory;
mod v2;
mod v3;

use std::{
    env,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_http::{Client, Protocol};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::{
    api::Api,
    canned::{Answer, Canned},
};

/// The limit in bytes: small, so that inputs reach it.
const LIMIT: usize = 20_000;

/// Clock time for all decoders on one case.
const NO_HANG: Duration = Duration::from_secs(10);

#[test]
fn v2_no_decoder_panics_hangs_or_reads_beyond_the_limit() {
    let _turn = turn();
    fuzz(&v2::api());
}

#[test]
fn v3_no_decoder_panics_hangs_or_reads_beyond_the_limit() {
    let _turn = turn();
    fuzz(&v3::api());
}

fn fuzz(api: &Api) {
    let config = Config {
        cases: number("ETCD_HTTP_FUZZ_CASES", 1_500) as u32,
        rng_seed: RngSeed::Fixed(number("ETCD_HTTP_FUZZ_SEED", 4)),
        failure_persistence: None,
        ..Config::default()
    };
    let (decoded, succeeded) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let result = TestRunner::new(config).run(&inputs::answers(api), |answers| {
        let started = Instant::now();
        let longest = answers.iter().map(Answer::longest_frame).max();
        for (index, decode) in api.whole.iter().chain(&api.streams).enumerate() {
            let client = client(answers.clone(), LIMIT);
            let reported = decode(&client);
            decoded.fetch_add(1, Relaxed);
            succeeded.fetch_add(usize::from(reported.iter().all(Result::is_ok)), Relaxed);
            // A frame is passed on as a whole: the one that exceeds the limit is the last.
            let most = LIMIT + longest.unwrap_or(0);
            assert!(index >= api.whole.len() || client.transport().most_taken() <= most);
        }
        assert!(started.elapsed() < NO_HANG, "{:?}", started.elapsed());
        Ok(())
    });
    let (decoded, succeeded) = (decoded.into_inner(), succeeded.into_inner());
    println!("{decoded} answers decoded, {succeeded} with success");
    if let Err(error) = result {
        panic!("{error}");
    }
    // Most are rejected, but not all: the inputs are similar enough to what etcd sends.
    assert!(succeeded > decoded / 100 && succeeded < decoded / 2);
}

/// Memory is measured for the entire process: one test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn client(answers: Vec<Answer>, limit: usize) -> Client<Canned> {
    Client::builder(Canned::new(answers))
        .protocol(Protocol::Gateway)
        .endpoints(["http://a", "http://b"])
        .max_response_size(limit)
        .build()
        .unwrap()
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}
