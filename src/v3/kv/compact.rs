use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// Forgets what was before a revision: `POST /v3/kv/compaction`.
///
/// Every key keeps the value it had at that revision; keys deleted by then are gone. Reads and watches of earlier
/// revisions fail afterwards. Answers the header.
///
/// # Errors
/// [`is_compacted`](crate::Error::is_compacted) when that was done before, unless by an attempt of this call;
/// [`FutureRevision`](crate::EtcdErrorKind::FutureRevision).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Compact {
    revision: i64,
    physical: bool,
}

impl Compact {
    /// Forgets what was before this revision.
    pub fn new(revision: i64) -> Self {
        Self {
            revision,
            physical: false,
        }
    }

    /// Answers only when it is done on the disk of the member that is asked.
    pub fn physical(mut self, physical: bool) -> Self {
        self.physical = physical;
        self
    }
}

impl Encode for Compact {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.revision <= 0 {
            let reason = format!("there is no revision {} to keep", self.revision);
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("revision", &self.revision)
            .put("physical", &self.physical);
    }
}

gateway::operation!(
    Compact => Header, in OnlyHeader,
    "v3.kv.compact",
    "/v3/kv/compaction",
    |_| Repeat::Always,
    done if Error::is_compacted
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded, decoded_after_doubt},
    };

    const COMPACTED: &str =
        r#"{"code":11,"message":"etcdserver: mvcc: required revision has been compacted"}"#;

    #[test]
    fn the_request_is_as_documented() {
        let call = Compact::new(5).encode().unwrap();
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
            Compact::new(0).encode().unwrap_err().to_string(),
            "v3.kv.compact: there is no revision 0 to keep"
        );
    }

    #[test]
    fn answers_are_read() {
        let header = decoded(&Compact::new(5), 200, r#"{"header":{"revision":"9"}}"#).unwrap();
        assert_eq!(header.revision, 9);
        let error = decoded(&Compact::new(5), 400, COMPACTED).unwrap_err();
        assert!(error.is_compacted(), "{error}");
    }

    #[test]
    fn r_4_compacted_by_an_attempt_of_ours_is_done() {
        let header = decoded_after_doubt(&Compact::new(5), 400, COMPACTED).unwrap();
        assert_eq!(header, Header::default());
    }
}
