//! The command line: etcd's own flags, and a few more.

use std::{path::PathBuf, time::Duration};

use clap::{
    Arg, ArgAction, ArgMatches, Command, error::ErrorKind, parser::ValueSource, value_parser,
};
use clap_complete::Shell;
use etcd_http_fake::Profile;

use crate::texts::{completions, manual};

/// Flags of etcd 3.4 and 3.5 that have no meaning for a fake.
const UNUSED: &str = "auto-compaction-mode auto-compaction-retention backend-batch-interval backend-batch-limit \
    backend-bbolt-freelist-type bcrypt-cost cipher-suites client-cert-allowed-hostname client-cert-file client-crl-file \
    client-key-file config-file cors data-dir discovery discovery-fallback discovery-proxy discovery-srv discovery-srv-name \
    election-timeout experimental-backend-bbolt-freelist-type experimental-bootstrap-defrag-threshold-megabytes \
    experimental-compact-hash-check-time experimental-compaction-batch-limit experimental-compaction-sleep-interval \
    experimental-corrupt-check-time experimental-distributed-tracing-address \
    experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate \
    experimental-distributed-tracing-service-name experimental-downgrade-check-time experimental-enable-v2v3 \
    experimental-warning-apply-duration grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout \
    heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state \
    initial-cluster-token listen-client-http-urls listen-metrics-urls listen-peer-urls log-level log-output log-outputs \
    log-package-levels log-rotation-config-json logger max-concurrent-streams max-snapshots max-wals metrics \
    peer-cert-allowed-cn peer-cert-allowed-hostname peer-cert-file peer-client-cert-file peer-client-key-file \
    peer-crl-file peer-key-file peer-trusted-ca-file proxy proxy-dial-timeout proxy-failure-wait proxy-read-timeout \
    proxy-refresh-interval proxy-write-timeout raft-read-timeout raft-write-timeout self-signed-cert-validity \
    snapshot-count tls-max-version tls-min-version v2-deprecation wal-dir";

/// The same, for flags that are on without a value.
const UNUSED_SWITCHES: &str = "debug enable-grpc-gateway enable-log-rotation enable-pprof \
    experimental-compact-hash-check-enabled experimental-enable-distributed-tracing experimental-enable-lease-checkpoint \
    experimental-enable-lease-checkpoint-persist experimental-initial-corrupt-check experimental-memory-mlock \
    experimental-peer-skip-client-san-verification experimental-stop-grpc-service-on-defrag \
    experimental-txn-mode-write-with-shared-buffer force-new-cluster initial-election-tick-advance peer-auto-tls \
    peer-client-cert-auth pre-vote socket-reuse-address socket-reuse-port strict-reconfig-check unsafe-no-fsync";

/// Flags of etcd that ask for what the fake does not have.
const REFUSED: [(&str, &str); 1] = [("auto-tls", "the fake makes no certificates")];

/// Flags that no environment variable sets: the fake's own, and those that print something.
const OWN: [&str; 8] = [
    "profile",
    "members",
    "seed",
    "listen-control-url",
    "completions",
    "man",
    "help",
    "version",
];

/// How long a token is valid where the flag says 0, in seconds.
const DEFAULT_TOKEN_TTL: u64 = 300;

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Task {
    Serve(Box<Options>),
    /// A text for standard output.
    Print(Vec<u8>),
}

/// How to serve.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: Vec<String>,
    pub(crate) advertise: Option<String>,
    pub(crate) control: Option<String>,
    pub(crate) name: String,
    pub(crate) members: usize,
    pub(crate) v2: bool,
    pub(crate) profile: Profile,
    pub(crate) seed: u64,
    /// 0 or less for no limit.
    pub(crate) quota: i64,
    pub(crate) max_txn_ops: usize,
    pub(crate) max_request_bytes: usize,
    pub(crate) token_ttl: Duration,
    pub(crate) progress_interval: Duration,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) client_authorities: Option<PathBuf>,
    /// Whether the common name of a client's certificate names its user.
    pub(crate) client_cert_auth: bool,
    /// Flags that were given and are not used.
    pub(crate) unused: Vec<String>,
}

/// Reads a command line, and of the `environment` the variables that set etcd's flags: `ETCD_NAME` for `--name`.
///
/// # Errors
/// When a flag is unknown, its value is wrong, or it is set twice, and where a text is to be printed instead of serving.
pub(crate) fn parse(
    arguments: impl Iterator<Item = String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Task, clap::Error> {
    let program = std::iter::once("etcd-fake".to_owned());
    let mut arguments: Vec<String> = program.chain(arguments.map(two_dashes)).collect();
    let mut command = command();
    let matches = command.try_get_matches_from_mut(&arguments)?;
    arguments.extend(from_environment(&mut command, &matches, environment)?);
    let matches = command.try_get_matches_from_mut(arguments)?;
    if let Some(shell) = matches.get_one::<Shell>("completions") {
        return Ok(Task::Print(completions(*shell, &mut documented())));
    }
    if matches.get_flag("man") {
        return Ok(Task::Print(manual(documented())?));
    }
    let mut error = |problem: String| command.error(ErrorKind::ValueValidation, problem);
    for (name, reason) in REFUSED {
        if matches.value_source(name) == Some(ValueSource::CommandLine) {
            return Err(error(format!("--{name}: {reason}")));
        }
    }
    let token = text(&matches, "auth-token");
    if token != "simple" {
        return Err(error(format!(
            "--auth-token {token}: the fake has simple tokens only"
        )));
    }
    let listen = urls(&text(&matches, "listen-client-urls"));
    let file = |name: &str| matches.get_one::<String>(name).map(PathBuf::from);
    let (certificate, key) = (file("cert-file"), file("key-file"));
    let client_authorities = file("trusted-ca-file");
    let client_cert_auth = is_on(&matches, "client-cert-auth").unwrap_or(false);
    if let Some(url) = listen.iter().find(|url| url.starts_with("https://"))
        && (certificate.is_none() || key.is_none())
    {
        return Err(error(format!(
            "TLS key/cert (--cert-file, --key-file) must be provided for client url {url} with HTTPS scheme"
        )));
    }
    if client_cert_auth && client_authorities.is_none() {
        let problem = "--client-cert-auth: the fake needs --trusted-ca-file with it";
        return Err(error(problem.to_owned()));
    }
    let unused = UNUSED
        .split_whitespace()
        .chain(UNUSED_SWITCHES.split_whitespace());
    let unused = unused.filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine));
    let number = |name: &str| matches.get_one::<u64>(name).copied().unwrap_or_default();
    let size = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
    Ok(Task::Serve(Box::new(Options {
        listen,
        advertise: matches
            .get_one::<String>("advertise-client-urls")
            .and_then(|list| urls(list).into_iter().next()),
        control: matches.get_one::<String>("listen-control-url").cloned(),
        name: text(&matches, "name"),
        members: size("members").max(1),
        v2: is_on(&matches, "enable-v2").unwrap_or(true),
        profile: match &*text(&matches, "profile") {
            "3.4" => Profile::V3_4,
            _ => Profile::V3_5,
        },
        seed: number("seed"),
        quota: matches
            .get_one("quota-backend-bytes")
            .copied()
            .unwrap_or_default(),
        max_txn_ops: size("max-txn-ops"),
        max_request_bytes: size("max-request-bytes"),
        token_ttl: Duration::from_secs(match number("auth-token-ttl") {
            0 => DEFAULT_TOKEN_TTL,
            seconds => seconds,
        }),
        progress_interval: duration(&text(
            &matches,
            "experimental-watch-progress-notify-interval",
        ))
        .map_err(error)?,
        certificate,
        key,
        client_authorities,
        client_cert_auth,
        unused: unused.map(str::to_owned).collect(),
    })))
}

/// The flags that the environment sets. etcd refuses one that the command line sets as well.
fn from_environment(
    command: &mut Command,
    given: &ArgMatches,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, clap::Error> {
    let mut flags = Vec::new();
    let names = command.get_arguments().filter_map(Arg::get_long);
    let names = names.filter(|name| !OWN.contains(name));
    let names: Vec<String> = names.map(str::to_owned).collect();
    for name in names {
        let variable = format!("ETCD_{}", name.replace('-', "_").to_uppercase());
        let Some(value) = environment(&variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        if given.value_source(&name) == Some(ValueSource::CommandLine) {
            let problem = format!("{variable} is set, and so is --{name}");
            return Err(command.error(ErrorKind::ArgumentConflict, problem));
        }
        flags.push(format!("--{name}={value}"));
    }
    Ok(flags)
}

/// All flags of etcd, and the fake's own.
fn command() -> Command {
    let unused = UNUSED.split_whitespace().map(|name| {
        let flag = Arg::new(name).long(name).hide(true);
        flag.action(ArgAction::Append).allow_hyphen_values(true)
    });
    let refused = REFUSED
        .iter()
        .map(|(name, _)| Arg::new(*name).long(*name).hide(true));
    let refused = refused.map(|flag| flag.num_args(0..=1).require_equals(false));
    let switches = UNUSED_SWITCHES.split_whitespace();
    documented()
        .args(unused)
        .args(switches.map(|name| switch(name).hide(true)))
        .args(refused)
}

/// The flags that do something.
fn documented() -> Command {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let number = |name, default, help| {
        let flag = flag(name, "NUMBER", help).default_value(default);
        flag.value_parser(value_parser!(u64))
    };
    Command::new("etcd-fake")
        .about("An etcd in memory that serves the v2 and the v3 API as a real one does")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Flags of etcd that have no meaning for a fake (--data-dir, those of peers, of the log, …) are accepted and not used.",
        )
        .args([
            flag("listen-client-urls", "URLS", "Where to listen; with port 0, at a free port")
                .default_value("http://localhost:2379"),
            flag("advertise-client-urls", "URLS", "What the member advertises [default: where it listens]"),
            flag("name", "NAME", "The member's name").default_value("default"),
            number("members", "1", "How many members, each with a port of its own: the first URL's, that + 10, …"),
            switch("enable-v2").help("Whether the v2 API is on [default: true]"),
            flag("profile", "RELEASE", "The release to behave as")
                .value_parser(["3.4", "3.5"])
                .default_value("3.5"),
            flag("quota-backend-bytes", "NUMBER", "How large the v3 store may grow; 0 or less for no limit")
                .default_value("0")
                .allow_negative_numbers(true)
                .value_parser(value_parser!(i64)),
            number("max-txn-ops", "128", "How many operations a v3 transaction may have"),
            number("max-request-bytes", "1572864", "The largest v3 write"),
            flag("auth-token", "KIND", "The kind of tokens: simple").default_value("simple"),
            number("auth-token-ttl", "300", "How many seconds a token is valid after its last use; 0 for 300"),
            flag(
                "experimental-watch-progress-notify-interval",
                "DURATION",
                "How often a quiet v3 watch reports its progress",
            )
            .default_value("10m"),
            flag("cert-file", "FILE", "The certificate for https:// URLs"),
            flag("key-file", "FILE", "Its private key"),
            flag("trusted-ca-file", "FILE", "The authorities that sign clients' certificates, without which no client is served"),
            switch("client-cert-auth").help("Whether a client's certificate names its user"),
            flag("listen-control-url", "URL", "Where tests control the fake: GET / lists how [default: nowhere]"),
            number("seed", "0", "Chooses what etcd leaves open"),
            flag("completions", "SHELL", "Print completions for this shell, and serve nothing")
                .value_parser(value_parser!(Shell)),
            Arg::new("man").long("man").action(ArgAction::SetTrue).help("Print the manual page, and serve nothing"),
        ])
}

/// A flag that is on without a value, and takes one after `=` alone, as in Go.
fn switch(name: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("BOOL")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(truth)
        .action(ArgAction::Set)
}

/// A flag with two dashes: Go takes it with one, too.
fn two_dashes(argument: String) -> String {
    match argument.strip_prefix('-') {
        Some(flag) if flag.len() > 1 && flag.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("--{flag}")
        }
        _ => argument,
    }
}

fn is_on(matches: &ArgMatches, name: &str) -> Option<bool> {
    matches.get_one::<bool>(name).copied()
}

fn text(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).cloned().unwrap_or_default()
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

/// A duration as Go writes it: `1h30m`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("{text} is not a duration");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(problem)?;
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(problem()),
        };
        let number: f64 = number.parse().map_err(|_| problem())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| problem())?;
        total = total.saturating_add(part);
        rest = after;
    }
    if total.is_zero() {
        Err(problem())
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, clap::Error> {
        options_in(&[], line)
    }

    fn options_in(environment: &[(&str, &str)], line: &str) -> Result<Options, clap::Error> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match parse(line.split_whitespace().map(str::to_owned), variable)? {
            Task::Serve(options) => Ok(*options),
            Task::Print(text) => panic!("{line} prints {}", String::from_utf8_lossy(&text)),
        }
    }

    #[test]
    fn flags_have_one_dash_or_two_and_a_value_after_a_space_or_an_equals_sign() {
        let options = options("-name=infra7 --quota-backend-bytes 1000 --enable-v2=false -unsafe-no-fsync --data-dir /x").unwrap();
        assert_eq!(
            (&*options.name, options.quota, options.v2),
            ("infra7", 1000, false)
        );
        assert_eq!(options.unused, ["data-dir", "unsafe-no-fsync"]);
    }

    #[test]
    fn numbers_are_those_of_etcd() {
        assert_eq!(
            options("--auth-token-ttl 0").unwrap().token_ttl,
            Duration::from_secs(300)
        );
        for line in ["--quota-backend-bytes=-10", "-quota-backend-bytes -10"] {
            assert_eq!(options(line).unwrap().quota, -10);
        }
    }

    #[test]
    fn environment_variables_set_flags_of_etcd_that_the_command_line_does_not() {
        let environment = [
            ("ETCD_NAME", "infra7"),
            ("ETCD_ENABLE_V2", "false"),
            ("ETCD_DATA_DIR", "/x"),
            ("ETCD_MAX_TXN_OPS", ""),
            ("ETCD_MEMBERS", "3"),
        ];
        let options = options_in(&environment, "--seed 7").unwrap();
        assert_eq!(
            (&*options.name, options.v2, options.seed),
            ("infra7", false, 7)
        );
        assert_eq!(
            (options.unused, options.max_txn_ops, options.members),
            (vec!["data-dir".to_owned()], 128, 1)
        );
        let twice = options_in(&environment, "--name a").unwrap_err();
        assert!(
            twice
                .to_string()
                .contains("ETCD_NAME is set, and so is --name"),
            "{twice}"
        );
        assert!(options_in(&[("ETCD_ENABLE_V2", "perhaps")], "").is_err());
        assert!(options_in(&[("ETCD_AUTO_TLS", "true")], "").is_err());
    }

    #[test]
    fn what_is_unknown_or_not_served_is_refused() {
        for line in [
            "--nonsense",
            "extra",
            "--enable-v2=perhaps",
            "--profile 3.3",
            "--completions cmd",
            "--max-txn-ops many",
            "--auth-token jwt,pub-key=x",
            "--auto-tls",
            "--listen-client-urls https://127.0.0.1:0",
            "--listen-client-urls https://127.0.0.1:0 --cert-file x",
            "--client-cert-auth",
            "--experimental-watch-progress-notify-interval 5",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }

    #[test]
    fn texts_have_the_flags_that_do_something() {
        for line in [
            "--man",
            "--completions bash",
            "--completions elvish",
            "--completions fish",
            "--completions powershell",
            "--completions zsh",
        ] {
            let task = parse(line.split_whitespace().map(str::to_owned), |_| None).unwrap();
            let Task::Print(text) = task else {
                panic!("{line} serves");
            };
            let text = String::from_utf8(text).unwrap().replace('\\', "");
            assert!(text.contains("listen-control-url"), "{line}: {text}");
            assert!(!text.contains("wal-dir"), "{line}: {text}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(duration("1h1m1.5s500ms"), Ok(Duration::from_secs(3662)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for text in ["", "1", "s", "1x", "0s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
