use std::fmt::Write as _;

use crate::{
    cluster::{request_log::Exchange, when::When},
    fake::FakeEtcd,
    front::gateway::grpc_path,
};

/// Looking at the requests.
impl FakeEtcd {
    /// The latest requests, the oldest first. [`FakeEtcdBuilder::log_capacity`](crate::FakeEtcdBuilder::log_capacity) limits
    /// them.
    pub fn log(&self) -> Vec<Exchange> {
        self.shared
            .with(|core| core.log.exchanges().cloned().collect())
    }

    /// The latest requests, each on a line like `PUT /v2/keys/a value=x`.
    pub fn lines(&self) -> Vec<String> {
        self.log().iter().map(Exchange::line).collect()
    }

    /// Forgets the requests made so far.
    pub fn clear_log(&self) {
        self.shared.with(|core| core.log.clear());
    }

    /// How many of the latest requests match.
    pub fn count(&self, when: &When) -> usize {
        let (log, when) = (self.log(), when.clone().on_any_wire(grpc_path));
        log.iter().filter(|exchange| when.matches(exchange)).count()
    }

    /// Asserts that exactly these requests were made, in this order, each written as [`lines`](Self::lines) returns it.
    ///
    /// # Panics
    /// When the lists differ. The message shows both, and where they differ first.
    #[track_caller]
    pub fn assert_lines(&self, expected: &[&str]) {
        let lines = self.lines();
        let agree = lines.iter().zip(expected).take_while(|(a, b)| a == b);
        let agreed = agree.count();
        if agreed == lines.len() && agreed == expected.len() {
            return;
        }
        let mut message = format!("the requests differ from number {agreed} on\n");
        for (title, list) in [
            (
                "expected",
                expected.iter().map(|l| (*l).to_owned()).collect(),
            ),
            ("made", lines),
        ] {
            let _ = writeln!(message, "{title}:");
            for (position, line) in list.iter().enumerate() {
                let mark = if position == agreed { '>' } else { ' ' };
                let _ = writeln!(message, " {mark} {position:>3} {line}");
            }
        }
        panic!("{message}");
    }

    /// Asserts how many of the latest requests match.
    ///
    /// # Panics
    /// When the number differs. The message shows the whole log.
    #[track_caller]
    pub fn assert_count(&self, when: &When, expected: usize) {
        let count = self.count(when);
        assert_eq!(
            count,
            expected,
            "requests that match {when:?}\n{}",
            self.log_text()
        );
    }

    /// The log as text, a request on each line.
    pub fn log_text(&self) -> String {
        let log = self.log();
        log.iter().fold(String::new(), |mut text, exchange| {
            let _ = writeln!(text, "{exchange}");
            text
        })
    }

    /// How many watches are waiting for events, of either API. [`watches`](Self::watches) lists those of v3.
    pub fn open_watches(&self) -> usize {
        self.shared.with(|core| {
            let live = core.cluster.states().map(|state| {
                let v2 = usize::try_from(state.v2.hub.live()).unwrap_or(usize::MAX);
                v2 + state.v3.watches.watched().count()
            });
            live.sum()
        })
    }

    /// How many exchanges have not ended: requests without a response, and watches whose bodies are open.
    pub fn open_exchanges(&self) -> usize {
        self.shared.with(|core| core.exchanges.len())
    }

    /// How many [`sleep`](etcd_transport::Transport::sleep)s wait for the fake's clock.
    pub fn sleeping(&self) -> usize {
        self.shared.with(|core| core.time.sleeping())
    }
}
