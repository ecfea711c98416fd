//! Every decoder meets noise, mutated answers, wrong heads, cuts at any place: nothing panics, hangs, or reads on beyond
//! the limit.
//!
//! `ETCD_HTTP_FUZZ_CASES` says how many cases there are (1,500 unless set), `ETCD_HTTP_FUZZ_SEED` which. Each case is decoded
//! by every operation.

mod canned;
mod inputs;

use std::{
    env,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_http::{Client, Error, Result, transport::http::Method, v2::*};
use futures::{StreamExt, executor::block_on};
use peak_alloc::PeakAlloc;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::canned::{Answer, Canned, Ending};

/// In bytes: small, so that it is met.
const LIMIT: usize = 20_000;

/// Clock time for all decoders on one case.
const NO_HANG: Duration = Duration::from_secs(10);

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn no_decoder_panics_hangs_or_reads_beyond_the_limit() {
    let _turn = turn();
    let config = Config {
        cases: number("ETCD_HTTP_FUZZ_CASES", 1_500) as u32,
        rng_seed: RngSeed::Fixed(number("ETCD_HTTP_FUZZ_SEED", 4)),
        failure_persistence: None,
        ..Config::default()
    };
    let (decoded, succeeded) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let result = TestRunner::new(config).run(&inputs::answers(), |answers| {
        let started = Instant::now();
        for decode in decoders() {
            let client = client(answers.clone(), LIMIT);
            let ok = decode(&client);
            decoded.fetch_add(1, Relaxed);
            succeeded.fetch_add(usize::from(ok), Relaxed);
            // A frame is handed over whole: the one that passes the limit is the last.
            let largest = answers.iter().map(|answer| answer.body.len()).max();
            assert!(client.transport().most_taken() <= LIMIT + largest.unwrap_or(0));
        }
        assert!(started.elapsed() < NO_HANG, "{:?}", started.elapsed());
        Ok(())
    });
    let (decoded, succeeded) = (decoded.into_inner(), succeeded.into_inner());
    println!("{decoded} answers decoded, {succeeded} with success");
    if let Err(error) = result {
        panic!("{error}");
    }
    // Most are refused, and yet not all: the inputs are near enough to what etcd sends.
    assert!(succeeded > decoded / 100 && succeeded < decoded / 2);
}

#[test]
fn memory_is_bounded_by_the_limit_on_answers() {
    let _turn = turn();
    let limit = 400_000;
    let mut worst = (0.0_f64, 0.0_f64);
    let listing = |node: &str| {
        let head = r#"{"action":"get","node":{"dir":true,"nodes":["#;
        let nodes = vec![node; (limit - head.len() - 4) / (node.len() + 1)].join(",");
        format!("{head}{nodes}]}}}}")
    };
    let hostile = [
        listing("{}"),
        listing(r#"{"key":"/"}"#),
        listing(r#"{"key":"/","nodes":[]}"#),
        listing(r#"{"key":"/","nodes":[{"key":"/"}]}"#),
        format!(
            r#"{{"users":[{}]}}"#,
            vec![r#"{"user":""}"#; limit / 12].join(",")
        ),
        format!(
            r#"{{"members":[{}]}}"#,
            vec!["{}"; limit / 3 - 10].join(",")
        ),
        format!("[{}]", vec![r#"{"":0}"#; limit / 8].join(",")),
        format!("[{}]", vec!["0"; limit / 2 - 10].join(",")),
        vec!["a"; limit / 2].join(","),
        "[".repeat(limit),
        "{\"a\":".repeat(limit / 5),
    ];
    for body in hostile {
        let body = body.into_bytes();
        let answer = Answer {
            status: 200,
            headers: vec![],
            body,
            frames: vec![65_536; 40],
            ending: Ending::Clean,
        };
        let typed = OPERATIONS.iter().chain(OTHERS).map(|decode| (decode, 50.0));
        let raw = RAW.iter().map(|decode| (decode, 120.0));
        for (decode, most) in typed.chain(raw) {
            let client = client(vec![answer.clone()], limit);
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            decode(&client);
            let peak = MEMORY.peak_usage().saturating_sub(before);
            let times = peak as f64 / limit as f64;
            let start = String::from_utf8_lossy(answer.body.get(..60).unwrap_or_default());
            assert!(times <= most, "{times:.1} times the limit for {start}");
            worst = (
                worst.0.max(times * f64::from(most < 100.0)),
                worst.1.max(times),
            );
        }
    }
    println!(
        "at most {:.1} times the limit, and {:.1} for raw requests",
        worst.0, worst.1
    );
}

/// What memory is used is known of the whole process alone: one test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn client(answers: Vec<Answer>, limit: usize) -> Client<Canned> {
    Client::builder(Canned::new(answers))
        .endpoints(["http://a", "http://b"])
        .answer_limit(limit)
        .build()
        .unwrap()
}

/// Decodes by one operation; whether that succeeded.
type Decoder = fn(&Client<Canned>) -> bool;

macro_rules! decoders {
    ($($operation:expr),+ $(,)?) => {
        &[$(|client| shown(block_on(client.send($operation)))),+]
    };
}

const OPERATIONS: &[Decoder] = decoders![
    Get::new("x"),
    Get::new("x").recursive(true).sorted(true).quorum(true),
    Exists::new("x"),
    Set::new("x", "y"),
    Set::new("x", "y").without_value(),
    SetDir::new("x"),
    Create::new("x", "y"),
    CreateInOrder::new("x", "y"),
    Update::new("x", "y"),
    UpdateDir::new("x"),
    Refresh::new("x", Duration::from_secs(5)),
    Delete::new("x"),
    DeleteDir::new("x"),
    CompareAndSwap::new("x", "y", Condition::index_is(5)),
    CompareAndDelete::new("x", Condition::value_is("y")),
    ListMembers::new(),
    GetLeader::new(),
    AddMember::new(["http://a"]),
    UpdateMember::new("1", ["http://a"]),
    RemoveMember::new("1"),
    ListMachines::new(),
    GetSelfStats::new(),
    GetStoreStats::new(),
    GetLeaderStats::new(),
    GetAuthStatus::new(),
    EnableAuth::new(),
    DisableAuth::new(),
    ListUsers::new(),
    GetUser::new("u"),
    CreateUser::new("u", "p"),
    ChangePassword::new("u", "p"),
    GrantRoles::new("u", ["r"]),
    DeleteUser::new("u"),
    ListRoles::new(),
    GetRole::new("r"),
    CreateRole::new("r", Permissions::none()),
    GrantPermissions::new("r", Permissions::none()),
    DeleteRole::new("r"),
];

/// They decode to any JSON, which takes more.
const RAW: &[Decoder] = decoders![raw(Method::GET), raw(Method::POST)];

const OTHERS: &[Decoder] = &[
    |client| shown(block_on(client.version())),
    |client| shown(block_on(client.health())),
    |client| shown(block_on(client.v2().once(Create::new("x", "y")))),
    |client| shown(block_on(client.v2().once(CreateInOrder::new("x", "y")))),
    |client| {
        let swap = CompareAndSwap::new("x", "y", Condition::index_is(5));
        shown(block_on(client.v2().once(swap)))
    },
    |client| shown(block_on(client.v2().wait("x"))),
    |client| watched(client, Watch::new("x").from_index(5)),
    |client| watched(client, Watch::new("/").recursive(true).from_index(1)),
    |client| {
        let updates = client.open(Watch::new("x").from_index(5).resyncing());
        block_on(updates.take(5).collect::<Vec<_>>())
            .into_iter()
            .all(shown)
    },
];

fn decoders() -> impl Iterator<Item = &'static Decoder> {
    OPERATIONS.iter().chain(OTHERS).chain(RAW)
}

fn raw(method: Method) -> etcd_http::RawRequest {
    etcd_http::RawRequest::new(method, "/v2/keys/x")
}

fn watched(client: &Client<Canned>, watch: Watch) -> bool {
    let events = client.open(watch.outage_limit(Duration::from_secs(30)));
    block_on(events.take(5).collect::<Vec<_>>())
        .into_iter()
        .all(shown)
}

/// Everything that can be asked of a result is.
fn shown<O: std::fmt::Debug>(result: Result<O>) -> bool {
    match result {
        Ok(output) => !format!("{output:?}").is_empty(),
        Err(error) => {
            ask(&error);
            false
        }
    }
}

fn ask(error: &Error) {
    let text = format!("{error} {error:?}");
    // An excerpt of the answer, not the answer.
    assert!(text.len() < 3 * LIMIT, "{} bytes", text.len());
    let _ = (error.outcome(), error.etcd_kind(), error.is_unauthorized());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let _ = error.to_string();
        source = error.source();
    }
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}
