use etcd_http_fake::Profile;

pub(crate) const USAGE: &str = "\
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

/// Flags of etcd that have no meaning for a fake.
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

/// Flags of etcd that have no meaning for a fake and take no separate value.
const UNUSED_SWITCHES: [&str; 5] = [
    "debug",
    "force-new-cluster",
    "pre-vote",
    "strict-reconfig-check",
    "unsafe-no-fsync",
];

/// How to serve.
pub(crate) struct Options {
    pub(crate) listen: Vec<String>,
    pub(crate) advertise: Option<String>,
    pub(crate) name: String,
    pub(crate) v2: bool,
    pub(crate) profile: Profile,
    pub(crate) seed: u64,
}

/// What a command line asks for: to serve, or only to print something, which is done then.
///
/// # Errors
/// When a flag is unknown or its value is wrong.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
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
        let flag = flag.ok_or_else(|| format!("{argument} is not a flag"))?;
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
                options.seed = value
                    .parse()
                    .map_err(|_| format!("{value} is not a number"))?;
            }
            _ if UNUSED.contains(&flag) => println!("etcd-fake: --{flag} is not used"),
            _ => return Err(format!("--{flag} is not a flag that the fake knows")),
        }
    }
    Ok(Some(options))
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
