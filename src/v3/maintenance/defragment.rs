use std::time::Duration;

use crate::{
    operation::Repeat,
    pipeline::deadline::Deadline,
    v3::{
        Header,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// Large databases take their time.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// Gives the room that deletes and compaction left free in a member's database back to its disk:
/// `POST /v3/maintenance/defragment`. The member does nothing else meanwhile. Answers a header without content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Defragment {
    time_limit: Duration,
}

impl Defragment {
    /// The operation; it is given ten minutes.
    pub fn new() -> Self {
        Self {
            time_limit: TIME_LIMIT,
        }
    }

    /// Is given this long.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }
}

impl Default for Defragment {
    fn default() -> Self {
        Self::new()
    }
}

impl Encode for Defragment {
    fn fields(&self, _to: &mut Fields<'_>) {}

    fn deadline(&self) -> Deadline {
        Deadline::AtMost(self.time_limit)
    }
}

gateway::operation!(
    Defragment => Header, in OnlyHeader,
    "v3.maintenance.defragment",
    "/v3/maintenance/defragment",
    |_| Repeat::IfUnsent
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{operation::Operation, v3::testing::decoded};

    #[test]
    fn it_is_given_time_and_answers_nothing() {
        let minute = Duration::from_secs(60);
        let call = Defragment::new().time_limit(minute).encode().unwrap();
        assert_eq!(
            (call.target(), call.body_bytes()),
            ("/v3/maintenance/defragment", &b"{}"[..])
        );
        assert_eq!(call.deadline, Deadline::AtMost(minute));
        assert_eq!(
            decoded(&Defragment::new(), 200, "{}").unwrap(),
            Header::default()
        );
    }
}
