//! Random histories of requests.

mod admin;
mod keys;
mod malformed;

use fake_harness::{
    Request,
    random::{Random, state_of},
};

/// One step of a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Request(Request),
    /// The same, with `LATEST` and the like replaced by indexes.
    AskAtLatest(Request),
    /// As above.
    Watch(Request),
    Close(usize),
    /// Keys with a second to live, and the time it takes for them to go.
    Expire(Vec<Request>),
    /// Disables auth and removes all that is left.
    CleanUp,
}

/// Makes histories from a seed.
pub(crate) struct Generator {
    state: u64,
    auth: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: state_of(seed, 0x6469_6666),
            // A password costs a real server a twentieth of a second.
            auth: seed.is_multiple_of(25),
        }
    }

    pub(crate) fn episode(&mut self, length: usize) -> Vec<Step> {
        let mut steps = Vec::with_capacity(length);
        let length = if self.auth { length / 4 } else { length };
        if self.auth {
            steps.extend(self.enable_auth().into_iter().map(Step::Request));
        }
        while steps.len() < length {
            let step = self.step();
            steps.push(step);
        }
        // Waiting takes time, so it is rare.
        if self.chance(8) {
            let at = self.below(steps.len());
            let asks = (0..2 + self.below(6)).map(|_| self.short_lived()).collect();
            steps.insert(at, Step::Expire(asks));
        }
        steps.push(Step::CleanUp);
        steps
    }

    fn step(&mut self) -> Step {
        match self.below(100) {
            0..22 => Step::Request(self.read()),
            22..70 => {
                let write = self.write();
                self.maybe_indexed(write)
            }
            70..78 => Step::Watch(self.watch()),
            78..82 => Step::Close(self.below(8)),
            82..88 => Step::Request(self.malformed()),
            88..92 => Step::Request(self.strange_path()),
            92..95 => Step::Request(self.other()),
            _ if self.auth || self.chance(8) => Step::Request(self.auth_request()),
            _ => Step::Request(self.read()),
        }
    }

    fn maybe_indexed(&mut self, request: Request) -> Step {
        if request.target.contains("LATEST") || request.target.contains("RECENT") {
            Step::AskAtLatest(request)
        } else {
            Step::Request(request)
        }
    }

    fn maybe_credentials(&mut self, request: Request) -> Request {
        if !self.auth {
            return request;
        }
        match self.below(12) {
            0..5 => request.basic("root", "pw"),
            5..8 => request.basic("u1", "pw"),
            8 => request.basic("u1", "wrong"),
            9 => request.header("Authorization", "Bearer x"),
            _ => request,
        }
    }

    /// Without its namespace, encoded. Few segments, so that keys meet.
    fn path(&mut self) -> String {
        const SEGMENTS: [&str; 8] = ["a", "b", "c", "a", "_h", "%c3%a9", "d%20e", "%3c%26%22%5c"];
        let depth = 1 + self.below(4).min(self.below(4));
        let mut path = String::new();
        for _ in 0..depth {
            path.push('/');
            let choice = if self.chance(3) { 8 } else { 3 };
            path.push_str(SEGMENTS[self.below(choice)]);
        }
        if self.chance(25) {
            path.push('/');
        }
        path
    }

    fn value(&mut self) -> String {
        const VALUES: [&str; 10] = [
            "",
            "v1",
            "v1",
            "v2",
            "%3Ca+href%3D%22x%22%3E%26",
            "%e2%80%a8%08%0c%0a%09%00%7f",
            "%ff%c3%28",
            "%f0%9f%98%80",
            "%5c%22%2f",
            "1",
        ];
        if self.chance(60) {
            return "x".repeat(1500 + self.below(1200));
        }
        VALUES[self.below(10)].to_owned()
    }

    fn truth(&mut self) -> &'static str {
        [
            "true", "true", "true", "1", "t", "T", "TRUE", "True", "false", "0", "F",
        ][self.below(11)]
    }
}

impl Random for Generator {
    fn state(&mut self) -> &mut u64 {
        &mut self.state
    }
}

fn with_query(path: &str, query: &[String]) -> String {
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/v2/keys{path}{mark}{}", query.join("&"))
}
