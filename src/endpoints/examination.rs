use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use etcd_transport::TransportError;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

/// The examination of an endpoint's wire that is under way: all calls that need it wait for the same one.
#[derive(Default)]
pub(crate) struct SharedExamination(Mutex<Option<UnderWay>>);

struct UnderWay {
    began: Instant,
    examination: WeakShared<Examination>,
}

/// Finds out the wire. The result is in the endpoint's [`WireChoice`](crate::endpoints::wire_choice::WireChoice); an error
/// says why there is none. It continues as long as any call waits for it.
pub(crate) type Examination = BoxFuture<'static, Result<(), Arc<TransportError>>>;

impl SharedExamination {
    /// Returns the examination under way, and when it began. If there is none, this one begins now.
    pub(crate) fn join(
        &self,
        now: Instant,
        begin: impl FnOnce() -> Examination,
    ) -> (Shared<Examination>, Option<Instant>) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(UnderWay { began, examination }) = &*under_way
            // One that has ended or was abandoned cannot be joined.
            && let Some(examination) = examination.upgrade().filter(|it| it.peek().is_none())
        {
            return (examination, Some(*began));
        }
        let new = begin().shared();
        *under_way = new.downgrade().map(|examination| UnderWay {
            began: now,
            examination,
        });
        (new, None)
    }
}

/// Returns the error of a call that waited for an examination: nothing of the call was sent.
pub(crate) fn unsent(failure: &Arc<TransportError>) -> TransportError {
    TransportError::new(failure.kind(), Cause(Arc::clone(failure)))
}

/// Returns the error of an examination in which a server was asked, and gave no response that counts.
pub(crate) fn unanswered(reason: impl Into<String>) -> TransportError {
    TransportError::connect(Unanswered(reason.into()))
}

/// Whether nothing of a call was sent, but a server was asked for its wire.
pub(crate) fn is_unanswered(error: &TransportError) -> bool {
    let cause = error.source().and_then(<dyn StdError>::downcast_ref);
    let failure = cause.and_then(|Cause(failure)| failure.source());
    failure.is_some_and(<dyn StdError>::is::<Unanswered>)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// The cause of an error that several calls share.
#[derive(Debug)]
struct Cause(Arc<TransportError>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => write!(f, "{source}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_unanswered_question_is_not_a_missing_connection() {
        for (failure, expected) in [
            (unanswered("silent"), true),
            (TransportError::connect("refused"), false),
        ] {
            assert!(!is_unanswered(&failure));
            let error = unsent(&Arc::new(failure));
            assert_eq!(is_unanswered(&error), expected);
            assert!(error.is_unsent());
        }
        assert_eq!(unanswered("silent").source().unwrap().to_string(), "silent");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no handshake")]
    struct NoHandshake(#[source] io::Error);

    #[test]
    fn those_that_wait_have_the_cause_in_common() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let failure = Arc::new(TransportError::connect(NoHandshake(refused)));
        let error = unsent(&failure);
        assert_eq!(error.kind(), failure.kind());
        let causes = |error: &TransportError| {
            let (mut causes, mut next) = (Vec::new(), error.source());
            while let Some(cause) = next {
                causes.push(cause.to_string());
                next = cause.source();
            }
            causes
        };
        assert_eq!(causes(&error), ["no handshake", "refused"]);
        assert_eq!(causes(&error), causes(&failure));
    }
}
