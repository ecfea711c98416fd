use std::time::Duration;

use crate::endpoints::endpoint::Endpoint;

/// How long each request lasts at an endpoint that withholds responses until their end. What happens meanwhile arrives
/// then.
pub(super) const POLL: Duration = Duration::from_secs(2);

/// After this many requests without a first message in time, a call of another kind shows whether the responses are
/// withheld.
const TRIES: u32 = 2;

/// Which endpoints withhold a response until its end, as a proxy does that buffers. What is learned holds as long as the
/// stream is open.
///
/// A request with a short deadline ends soon, and its response then arrives whole: every event is in it, and the next
/// request goes on from there.
#[derive(Debug, Default)]
pub(super) struct BufferingEndpoints {
    /// Requests in a row without a first message in time.
    missed: u32,
    known: Vec<Endpoint>,
}

impl BufferingEndpoints {
    /// A first message has not arrived in time. Returns whether to find out why.
    pub(super) fn missed(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        self.missed >= TRIES
    }

    /// A message has arrived before the end of its response.
    pub(super) fn arrived(&mut self, endpoint: &Endpoint) {
        self.missed = 0;
        self.known.retain(|known| known != endpoint);
    }

    /// The endpoint withholds responses.
    pub(super) fn learn(&mut self, endpoint: &Endpoint) {
        if !self.is_for(endpoint) {
            self.known.push(endpoint.clone());
        }
    }

    /// Returns whether the endpoint withholds responses.
    pub(super) fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.known.contains(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_out_after_the_second_miss_and_forgotten_when_a_message_arrives_early() {
        let [a, b]: [Endpoint; 2] = ["http://a", "http://b"].map(|text| text.parse().unwrap());
        let mut buffering = BufferingEndpoints::default();
        assert!(!buffering.missed());
        buffering.arrived(&a);
        assert!(!buffering.missed() && buffering.missed());
        buffering.learn(&b);
        buffering.learn(&b);
        assert!(buffering.is_for(&b) && !buffering.is_for(&a));
        buffering.arrived(&b);
        assert!(!buffering.is_for(&b));
    }
}
