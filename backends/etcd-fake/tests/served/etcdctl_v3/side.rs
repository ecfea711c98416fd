use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fake_harness::{Request, raw::Connection};

/// One of the two servers, and etcdctl.
pub(super) struct Side {
    program: PathBuf,
    url: String,
    /// What differs between servers, and what stands for it.
    names: Vec<(String, String)>,
    /// The leases that commands have granted, by the order of their creation.
    leases: Vec<String>,
}

impl Side {
    fn new(program: PathBuf, url: &str) -> Self {
        let mut connection = Connection::new(url.trim_start_matches("http://"));
        let reply = connection.ask(&Request::new("POST", "/v3/cluster/member/list").json("{}"));
        let json = reply.json();
        let ids = [
            (&json["header"]["cluster_id"], "CLUSTER"),
            (&json["header"]["member_id"], "MEMBER"),
        ];
        let mut names = Vec::new();
        for (id, name) in ids {
            let id: u64 = id.as_str().unwrap().parse().unwrap();
            names.push((id.to_string(), name.to_owned()));
            names.push((format!("{id:x}"), name.to_owned()));
        }
        let peer = json["members"][0]["peerURLs"][0].as_str().unwrap();
        names.push((peer.to_owned(), "PEER".to_owned()));
        let address = url.trim_start_matches("http://");
        names.push((address.to_owned(), "ADDRESS".to_owned()));
        let port = address.rsplit(':').next().unwrap();
        names.push((port.to_owned(), "PORT".to_owned()));
        Self {
            program,
            url: url.to_owned(),
            names,
            leases: Vec::new(),
        }
    }

    /// Without a scheme, which etcdctl 3.4 would send as a part of the authority.
    fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// etcdctl with these arguments; `LEASE0` and `MEMBER` stand for ids.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", self.address()])
            // Hashing a password may take long on a busy machine.
            .args(["--command-timeout", "30s"]);
        for argument in arguments.split(' ') {
            let mut argument = argument.replace("ENDPOINT", self.address());
            argument = argument.replace("MEMBER", &self.names[3].0);
            for (number, lease) in self.leases.iter().enumerate() {
                argument = argument.replace(&format!("LEASE{number}"), lease);
            }
            command.arg(argument);
        }
        command
    }

    pub(super) fn outcome(&mut self, arguments: &str, input: &str) -> String {
        let mut command = self.command(arguments);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = process.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        if arguments.contains("lease grant")
            && let Some(id) = granted(&text)
        {
            self.leases.push(format!("{id:016x}"));
        }
        let code = output.status.code();
        format!("{code:?}\n{}", self.comparable(&text))
    }

    /// A text without what differs between any two servers.
    fn comparable(&self, text: &str) -> String {
        let mut lines: Vec<_> = text.lines().filter_map(without_incidentals).collect();
        if text.contains("\"GrantedTTL\"") {
            remaining_time(&mut lines);
        }
        let mut text = lines
            .into_iter()
            .map(|line| line + "\n")
            .collect::<String>();
        for (number, lease) in self.leases.iter().enumerate() {
            let name = format!("LEASE{number}");
            text = text.replace(lease, &name);
            let id = i64::from_str_radix(lease, 16).unwrap();
            text = text.replace(&id.to_string(), &name);
        }
        for (name, stands_for) in &self.names {
            text = text.replace(name, stands_for);
        }
        text
    }

    /// Waits until a key is there, or is not; returns its value.
    pub(super) fn wait_for(&mut self, key: &str, count: usize) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = self.outcome(&format!("get {key}"), "");
            if text.lines().count() == 1 + 2 * count {
                return text;
            }
            assert!(Instant::now() < deadline, "{key}: {text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a command that goes on until it is ended.
    pub(super) fn start(&self, arguments: &str) -> Running {
        let mut command = self.command(arguments);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Running { process, output }
    }
}

/// An etcdctl that goes on.
pub(super) struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(super) fn write(&mut self, input: &str) {
        let stdin = self.process.stdin.as_mut().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
    }

    pub(super) fn lines(&mut self, count: usize) -> String {
        let mut text = String::new();
        for _ in 0..count {
            self.output.read_line(&mut text).unwrap();
        }
        text
    }

    /// Ends the command by SIGTERM (SIGINT is ignored where the tests run in the background); returns what is left of its
    /// output.
    pub(super) fn terminate(mut self) -> String {
        let pid = self.process.id().to_string();
        let killed = Command::new("kill").arg(&pid).status().unwrap();
        assert!(killed.success());
        self.rest()
    }

    pub(super) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.process.wait().unwrap();
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lease that a command has granted.
fn granted(text: &str) -> Option<i64> {
    if let Some((_, rest)) = text.split_once("\"ID\":") {
        return rest.split(',').next()?.parse().ok();
    }
    let (id, _) = text.strip_prefix("lease ")?.split_once(" granted")?;
    i64::from_str_radix(id, 16).ok()
}

/// A line without times and sizes; of a line of the log only the error.
fn without_incidentals(line: &str) -> Option<String> {
    const INVENTED: [&str; 4] = [
        "\"DBSize",
        "\"RaftIndex",
        "\"RaftAppliedIndex",
        "\"RaftTerm",
    ];
    if INVENTED.iter().any(|name| line.starts_with(name)) {
        return None;
    }
    if line.starts_with("{\"level\"") {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        return Some(format!("log: {}", json["error"]));
    }
    let line = line.split("took = ").next().unwrap_or_default();
    let line = line.split(", took ").next().unwrap_or_default();
    Some(line.to_owned())
}

/// Of a lease: the time that is left depends on how long the commands before took, and the order of the keys is that of a Go
/// map, another one each time.
fn remaining_time(lines: &mut [String]) {
    const TTL: &str = "\"TTL\" : ";
    for line in lines.iter_mut() {
        if let Some(seconds) = line.strip_prefix(TTL).map(str::parse::<i64>)
            && seconds.unwrap() > 0
        {
            *line = format!("{TTL}REMAINING");
        }
    }
    let is_key = |line: &String| line.starts_with("\"Key\" : ");
    if let Some(first) = lines.iter().position(is_key) {
        lines[first..].sort();
    }
}

/// Both sides of a pair, which get the same commands.
pub(super) struct Both {
    real: Side,
    fake: Side,
    version: String,
    /// How many commands were compared.
    pub(super) count: usize,
}

impl Both {
    pub(super) fn new(program: &Path, version: &str, real: &str, fake: &str) -> Self {
        Self {
            real: Side::new(program.to_owned(), real),
            fake: Side::new(program.to_owned(), fake),
            version: version.to_owned(),
            count: 0,
        }
    }

    /// Runs a command on both, and compares.
    #[track_caller]
    pub(super) fn run(&mut self, arguments: &str, input: &str) -> String {
        let (real, fake) = (&mut self.real, &mut self.fake);
        let (expected, seen) = thread::scope(|scope| {
            let expected = scope.spawn(|| real.outcome(arguments, input));
            let seen = fake.outcome(arguments, input);
            (expected.join().unwrap(), seen)
        });
        assert_eq!(seen, expected, "{}: etcdctl {arguments}", self.version);
        self.count += 1;
        expected
    }

    #[track_caller]
    pub(super) fn all(&mut self, commands: &[&str]) {
        for arguments in commands {
            self.run(arguments, "");
        }
    }

    /// Does the same with each side, and compares.
    #[track_caller]
    pub(super) fn each(&mut self, f: impl Fn(&mut Side) -> String) -> String {
        let [expected, seen] = [&mut self.real, &mut self.fake].map(|side| {
            let text = f(side);
            side.comparable(&text)
        });
        assert_eq!(seen, expected, "{}", self.version);
        expected
    }
}
