use crate::{
    cluster::{fault::Fault, when::When},
    fake::FakeEtcd,
};

/// Injecting faults.
impl FakeEtcd {
    /// Injects a fault into the requests that match. If several faults match a request, it gets the one injected first.
    pub fn inject(&self, when: When, fault: Fault) {
        self.shared.with(|core| core.rules.add(when, fault, None));
    }

    /// The same, and the log calls it by this name.
    pub(crate) fn inject_named(&self, when: When, fault: Fault, name: &str) {
        self.shared
            .with(|core| core.rules.add(when, fault, Some(name.into())));
    }

    /// Removes all faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.shared.with(|core| core.rules.clear());
    }

    /// How many injected faults may still happen.
    pub fn pending_faults(&self) -> usize {
        self.shared.with(|core| core.rules.len())
    }
}
