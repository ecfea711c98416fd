use std::collections::BTreeMap;

/// A kind of remote procedure call, as etcd's metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallName {
    /// `unary` or a kind of stream.
    pub(crate) kind: &'static str,
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
}

/// How many calls each endpoint has handled, by their result.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallCounts {
    counts: BTreeMap<(usize, CallName, u8), u64>,
}

impl CallCounts {
    /// Counts a call that ended with a code of gRPC.
    pub(crate) fn count(&mut self, endpoint: usize, name: CallName, code: u8) {
        *self.counts.entry((endpoint, name, code)).or_default() += 1;
    }

    /// The counts of an endpoint.
    pub(crate) fn of(&self, endpoint: usize) -> impl Iterator<Item = (CallName, u8, u64)> {
        let counts = self.counts.iter();
        let own = counts.filter(move |((other, ..), _)| *other == endpoint);
        own.map(|(&(_, name, code), &count)| (name, code, count))
    }
}
