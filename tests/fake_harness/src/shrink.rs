//! The shortest history that still shows a divergence.

use std::time::{Duration, Instant};

/// How much time the search may take.
const SHRINK_TIME: Duration = Duration::from_secs(120);

/// Removes steps for as long as the rest `fails`.
pub fn shrink<S: Clone>(mut steps: Vec<S>, fails: impl Fn(&[S]) -> bool) -> Vec<S> {
    let began = Instant::now();
    let mut chunk = (steps.len() / 2).max(1);
    loop {
        let mut at = 0;
        while at < steps.len() {
            if began.elapsed() > SHRINK_TIME {
                return steps;
            }
            let mut fewer = steps.clone();
            fewer.drain(at..steps.len().min(at + chunk));
            if fails(&fewer) {
                steps = fewer;
            } else {
                at += chunk;
            }
        }
        if chunk == 1 {
            return steps;
        }
        chunk /= 2;
    }
}
