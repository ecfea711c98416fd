use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Limits retries to a share of successes, for all calls of a client together, as gRPC's throttling of retries does: an outage
/// does not multiply the load of the servers that are left.
///
/// The budget begins with `tokens`. Each failed attempt takes one, also if it is not repeated, as a write that may have been applied;
/// each success gives back `ratio` of one. While at most half of them are left, failed attempts are not repeated: a call fails with
/// its first error. To move on to another endpoint costs nothing where no connection could be made, or where the first one does not
/// serve the call. So does the first attempt of a call that the server did not process, as when it closes a connection. What
/// every attempt would bring, such as a response that is too large, takes no token.
///
/// ```
/// # use etcd_http::{Client, transport::Transport};
/// # fn example<T: Transport>(transport: T) {
/// use etcd_http::RetryBudget;
///
/// // At most one retry for ten successes, after a few.
/// let client = Client::builder(transport).retry_budget(RetryBudget::new(20, 0.1));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    tokens: u32,
    ratio: f64,
}

impl RetryBudget {
    /// The budget of this many tokens, at least 2, of which a success gives back this share of one, from 0.001 to 1.
    pub fn new(tokens: u32, ratio: f64) -> Self {
        Self {
            tokens: tokens.max(2),
            ratio: if ratio.is_nan() {
                MIN_RATIO
            } else {
                ratio.clamp(MIN_RATIO, 1.0)
            },
        }
    }
}

/// 10 tokens, and a tenth of one for each success.
impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(10, 0.1)
    }
}

const MIN_RATIO: f64 = 0.001;

/// The tokens that are left.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// In thousandths.
    left: AtomicU64,
    max: u64,
    success: u64,
}

const TOKEN: u64 = 1000;

impl Tokens {
    pub(crate) fn new(budget: RetryBudget) -> Self {
        let max = u64::from(budget.tokens) * TOKEN;
        // From 1 to 1000.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ratio is from 0.001 to 1"
        )]
        let success = (budget.ratio * TOKEN as f64).round() as u64;
        Self {
            left: AtomicU64::new(max),
            max,
            success,
        }
    }

    /// Records a success.
    pub(crate) fn succeeded(&self) {
        // Usually it is full, and is not written to.
        if self.left.load(Relaxed) < self.max {
            self.change(|left| left.saturating_add(self.success).min(self.max));
        }
    }

    /// Records a failed attempt. Returns whether one may be repeated.
    pub(crate) fn failed(&self) -> bool {
        self.change(|left| left.saturating_sub(TOKEN)) > self.max / 2
    }

    /// Whether more may be sent than was asked for.
    pub(crate) fn allows(&self) -> bool {
        self.left.load(Relaxed) > self.max / 2
    }

    /// Returns how many tokens are left.
    pub(crate) fn left(&self) -> f64 {
        self.left.load(Relaxed) as f64 / TOKEN as f64
    }

    fn change(&self, change: impl Fn(u64) -> u64) -> u64 {
        let changed = |left| Some(change(left));
        match self.left.fetch_update(Relaxed, Relaxed, changed) {
            Ok(before) | Err(before) => change(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_tokens_can_be_spent_and_successes_give_them_back() {
        let tokens = Tokens::new(RetryBudget::new(10, 0.5));
        let failures: Vec<bool> = (0..7).map(|_| tokens.failed()).collect();
        assert_eq!(failures, [true, true, true, true, false, false, false]);
        assert!((tokens.left() - 3.0).abs() < 1e-9);
        for _ in 0..7 {
            tokens.succeeded();
        }
        assert!(tokens.failed() == (6.5 - 1.0 > 5.0));
        for _ in 0..100 {
            tokens.succeeded();
        }
        assert!((tokens.left() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_budget_out_of_range_is_one_at_its_end() {
        for (given, used) in [
            (RetryBudget::new(0, 2.0), RetryBudget::new(2, 1.0)),
            (RetryBudget::new(9, -1.0), RetryBudget::new(9, 0.001)),
            (RetryBudget::new(9, f64::NAN), RetryBudget::new(9, 0.001)),
        ] {
            assert_eq!(given, used);
        }
    }
}
