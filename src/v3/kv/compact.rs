use crate::{
    error::{Error, Result},
    v3::protocol::message::{Encode, Fields},
};

/// Discards the history before a revision: `POST /v3/kv/compaction`.
///
/// Every key keeps the value that it has at that revision. Reads and watches of earlier revisions fail from then on.
/// Returns the header.
///
/// # Errors
/// [`is_compacted`](crate::Error::is_compacted) if the revision was compacted before, unless possibly by an earlier
/// attempt of this call; [`FutureRevision`](crate::EtcdErrorKind::FutureRevision).
#[doc(alias = "compaction")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Compact {
    revision: i64,
    physical: bool,
}

impl Compact {
    /// Discards the history before this revision.
    pub fn new(revision: i64) -> Self {
        Self {
            revision,
            physical: false,
        }
    }

    /// Responds only when the compaction is applied to the member's database.
    pub fn physical(mut self, physical: bool) -> Self {
        self.physical = physical;
        self
    }
}

impl Encode for Compact {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.revision <= 0 {
            let reason = format!("the revision must be at least 1, not {}", self.revision);
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "revision", &self.revision)
            .put(2, "physical", &self.physical);
    }
}

crate::v3::protocol::operation!(
    Compact => Header,
    "v3.kv.compact",
    COMPACT, Always,
    done if Error::is_compacted
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::call::Repeat,
        v3::{
            Header,
            testing::{AsRequest, body, decoded, decoded_after_doubt},
        },
    };

    const COMPACTED: &str =
        r#"{"code":11,"message":"etcdserver: mvcc: required revision has been compacted"}"#;

    #[test]
    fn the_request_is_as_documented() {
        let call = Compact::new(5).request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/kv/compaction", Repeat::Always)
        );
        assert_eq!(body(&Compact::new(5)), r#"{"revision":"5"}"#);
        assert_eq!(
            body(&Compact::new(5).physical(true)),
            r#"{"revision":"5","physical":true}"#
        );
        assert_eq!(
            Compact::new(0).request().unwrap_err().to_string(),
            "v3.kv.compact: the revision must be at least 1, not 0"
        );
    }

    #[test]
    fn responses_are_read() {
        let header = decoded(
            &Compact::new(5),
            200,
            r#"{"header":{"cluster_id":"7","revision":"9"}}"#,
        )
        .unwrap();
        assert_eq!(header.revision, 9);
        let error = decoded(&Compact::new(5), 400, COMPACTED).unwrap_err();
        assert!(error.is_compacted(), "{error}");
    }

    #[test]
    fn r_4_compacted_by_an_attempt_of_ours_is_done() {
        let header = decoded_after_doubt(&Compact::new(5), 400, COMPACTED).unwrap();
        assert_eq!(header, Header::default());
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::Requests;

        Requests::of("etcdserverpb.CompactionRequest")
            .send(&Compact::new(5).physical(true))
            .all_fields_but(&[]);
    }
}
