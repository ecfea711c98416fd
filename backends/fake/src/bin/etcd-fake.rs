//! `etcd-fake`: an etcd in memory behind a real port, started as etcd is.

use std::{env, process::ExitCode};

use etcd_fake::{Clock, FakeEtcd, Profile, serve};
use tokio::{net::TcpListener, task::JoinSet};

const USAGE: &str = "\
etcd-fake: an etcd in memory that answers the v2 API as the real one does

  --listen-client-urls URLS     where to listen (http://localhost:2379)
  --advertise-client-urls URLS  what members and machines say (as listen-client-urls)
  --name NAME                   the member's name (default)
  --enable-v2[=BOOL]            whether the v2 API is on (true)
  --profile 3.4|3.5             the version to answer as (3.5)
  --seed NUMBER                 chooses what etcd leaves open (0)
  --help, --version

--data-dir and the flags of peers, log and tuning are accepted and not used.
";

/// Flags of etcd that mean nothing to a fake.
const UNUSED: [&str; 20] = [
    "data-dir",
    "wal-dir",
    "listen-peer-urls",
    "initial-advertise-peer-urls",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "heartbeat-interval",
    "election-timeout",
    "snapshot-count",
    "quota-backend-bytes",
    "max-request-bytes",
    "logger",
    "log-level",
    "log-outputs",
    "log-output",
    "listen-metrics-urls",
    "auto-compaction-mode",
    "auto-compaction-retention",
    "max-txn-ops",
];

/// Flags of etcd that mean nothing to a fake and take no value of their own.
const UNUSED_SWITCHES: [&str; 5] = [
    "debug",
    "force-new-cluster",
    "pre-vote",
    "strict-reconfig-check",
    "unsafe-no-fsync",
];

struct Options {
    listen: Vec<String>,
    advertise: Option<String>,
    name: String,
    v2: bool,
    profile: Profile,
    seed: u64,
}

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("etcd-fake: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("etcd-fake: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        listen: vec!["http://localhost:2379".to_owned()],
        advertise: None,
        name: "default".to_owned(),
        v2: true,
        profile: Profile::V3_5,
        seed: 0,
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let flag = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-'));
        let flag = flag.ok_or_else(|| format!("{argument} is no flag"))?;
        let (flag, given) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (flag, None),
        };
        if UNUSED_SWITCHES.contains(&flag) {
            println!("etcd-fake: --{flag} is not used");
            continue;
        }
        match flag {
            "help" | "h" => {
                print!("{USAGE}");
                return Ok(None);
            }
            "version" => {
                println!("etcd-fake {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            "enable-v2" => {
                options.v2 = truth(given.as_deref().unwrap_or("true"))?;
                continue;
            }
            _ => {}
        }
        let value = given.or_else(|| arguments.next());
        let value = value.ok_or_else(|| format!("--{flag} needs a value"))?;
        match flag {
            "listen-client-urls" => options.listen = urls(&value),
            "advertise-client-urls" => options.advertise = urls(&value).into_iter().next(),
            "name" => options.name = value,
            "profile" => options.profile = profile(&value)?,
            "seed" => {
                options.seed = value.parse().map_err(|_| format!("{value} is no number"))?;
            }
            _ if UNUSED.contains(&flag) => println!("etcd-fake: --{flag} is not used"),
            _ => return Err(format!("--{flag} is no flag of etcd that the fake knows")),
        }
    }
    Ok(Some(options))
}

fn run(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut listeners = Vec::new();
        for url in &options.listen {
            let address = url
                .strip_prefix("http://")
                .ok_or_else(|| format!("{url}: the fake listens at http:// only"))?;
            let listener = TcpListener::bind(address.trim_end_matches('/'));
            let listener = listener.await.map_err(|error| format!("{url}: {error}"))?;
            listeners.push(listener);
        }
        let mut first = None;
        for listener in &listeners {
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            println!("etcd-fake: serving http://{address}");
            first.get_or_insert_with(|| format!("http://{address}"));
        }
        let advertised = options.advertise.or(first).unwrap_or_default();
        let etcd = FakeEtcd::builder()
            .profile(options.profile)
            .v2(options.v2)
            .member(&options.name, &advertised)
            .seed(options.seed)
            .clock(Clock::Real)
            .log_capacity(0)
            .build();
        let mut servers = JoinSet::new();
        for listener in listeners {
            servers.spawn(serve(etcd.clone(), 0, listener));
        }
        while let Some(ended) = servers.join_next().await {
            let ended = ended.map_err(|error| error.to_string())?;
            ended.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}

fn urls(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn truth(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("{value} is neither true nor false")),
    }
}

fn profile(value: &str) -> Result<Profile, String> {
    match value {
        "3.4" => Ok(Profile::V3_4),
        "3.5" => Ok(Profile::V3_5),
        _ => Err(format!("{value}: the fake answers as 3.4 or 3.5")),
    }
}
