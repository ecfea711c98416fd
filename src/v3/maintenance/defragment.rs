use std::time::Duration;

use crate::{
    pipeline::deadline::Deadline,
    v3::protocol::message::{Encode, Fields},
};

/// Long enough for large databases.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// Frees the disk space that deletes and compaction left unused in a member's database: `POST
/// /v3/maintenance/defragment`. It blocks the member until it is done. Returns an empty header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Defragment {
    time_limit: Duration,
}

impl Defragment {
    /// Defragments the member that is contacted.
    pub fn new() -> Self {
        Self {
            time_limit: TIME_LIMIT,
        }
    }

    /// Sets the time limit. Defaults to 10 minutes.
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
    fn fields<F: Fields>(&self, _: &mut F) {}

    fn deadline(&self) -> Deadline {
        Deadline::AtMost(self.time_limit)
    }
}

crate::v3::protocol::operation!(Defragment => Header, "v3.maintenance.defragment", DEFRAGMENT, IfUnsent);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::{
        Header,
        testing::{AsRequest, decoded},
    };

    #[test]
    fn it_has_a_time_limit_and_an_empty_response() {
        let minute = Duration::from_secs(60);
        let call = Defragment::new().time_limit(minute).request().unwrap();
        assert_eq!(
            (call.target(), call.body_bytes()),
            ("/v3/maintenance/defragment", &b"{}"[..])
        );
        assert_eq!(call.deadline(), Deadline::AtMost(minute));
        assert_eq!(
            decoded(&Defragment::new(), 200, "{}").unwrap(),
            Header::default()
        );
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::Requests;

        Requests::of("etcdserverpb.DefragmentRequest")
            .send(&Defragment::new())
            .all_fields_but(&[]);
    }
}
