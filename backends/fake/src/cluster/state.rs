use std::fmt;

use super::{
    exchanges::ExchangeId,
    membership::{Member, MembershipRecord},
};
use crate::profile::Profile;

/// What the members of a cluster replicate: one copy for all that are up to date, and one for each that lags.
pub(crate) trait State: fmt::Debug + Send + Sized + 'static {
    /// An entry of the Raft log.
    type Command: Clone + fmt::Debug + Send;

    /// A state without data, with the same settings.
    fn blank(&self) -> Self;

    /// The same data, without open exchanges.
    fn fork(&self) -> Self;

    /// Does what the end of a server's process does: open exchanges and counters in memory are lost, data stay.
    fn restart(&mut self);

    /// Applies a command and ignores the result.
    fn replay(&mut self, command: Self::Command, at: Moment);

    /// Writes what a new cluster of these members leaves in the stores.
    fn found(&mut self, members: &[Member], at: Moment);

    /// Writes what a change of the members leaves in the stores.
    fn record(&mut self, record: &MembershipRecord, at: Moment);

    /// The earliest time at which something expires.
    fn next_expiry(&self) -> Option<i64>;

    /// Whether the leader proposes at each of its checks that everybody removes what has expired.
    fn proposes_expiry(&self) -> bool;

    /// Removes what has expired by `cutoff`.
    fn expire(&mut self, cutoff: i64, at: Moment);

    /// When an open exchange is to be told, without any event, how far it has come.
    fn next_report(&self) -> Option<i64>;

    /// Tells those exchanges for which it is time.
    fn report(&mut self, now: i64);

    /// Does what a new leader does: it lets live longer what it alone ends.
    fn promote(&mut self, now: i64);

    /// Whether an open exchange waits for something to happen.
    fn is_watched(&self) -> bool;

    /// The exchanges that have something to read since the last call.
    fn take_ready(&mut self) -> Vec<ExchangeId>;

    /// Moves the exchanges that are `chosen` to another copy of the state, which serves them from then on.
    fn hand_over(&mut self, to: &mut Self, chosen: &dyn Fn(ExchangeId) -> bool);
}

/// A command of one of the stores, with a result of its own type.
pub(crate) trait Apply<S: State>: Clone + Into<S::Command> {
    type Output;

    fn apply(self, state: &mut S, at: Moment) -> Self::Output;
}

/// When a command is applied, and by which version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Nanoseconds since the Unix epoch.
    pub(crate) now: i64,
    pub(crate) profile: Profile,
}
