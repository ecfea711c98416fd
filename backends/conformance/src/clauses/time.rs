//! The clock.

use std::{pin::pin, time::Duration};

use etcd_transport::Transport;
use futures::future::join3;

use super::within;
use crate::Limits;

pub async fn sleep_and_now_agree(transport: &dyn Transport, _: &Limits) {
    for duration in [1, 30, 200].map(Duration::from_millis) {
        let start = transport.now();
        transport.sleep(duration).await;
        let slept = transport.now() - start;
        assert!(slept >= duration, "{slept:?} for {duration:?}");
        assert!(
            slept < duration + Duration::from_secs(2),
            "{slept:?} for {duration:?}"
        );
    }
    // Sleeps run side by side.
    let each = Duration::from_millis(200);
    let mut slept = Duration::MAX;
    // A machine that stalls may let them end late, and not every time.
    for _ in 0..10 {
        let start = transport.now();
        join3(
            transport.sleep(each),
            transport.sleep(each),
            transport.sleep(each),
        )
        .await;
        slept = transport.now() - start;
        assert!(slept >= each, "{slept:?}");
        if slept < 3 * each {
            break;
        }
    }
    assert!(slept < 3 * each, "{slept:?}");
}

pub async fn a_sleep_of_zero_ends_at_once(transport: &dyn Transport, _: &Limits) {
    for _ in 0..100 {
        let slept = within(Duration::from_secs(5), transport.sleep(Duration::ZERO)).await;
        assert!(slept.is_some());
    }
}

pub async fn a_sleep_can_be_dropped(transport: &dyn Transport, _: &Limits) {
    for long in [Duration::from_secs(3600), Duration::MAX] {
        let mut sleep = pin!(transport.sleep(long));
        let slept = within(Duration::from_millis(50), &mut sleep).await;
        assert!(slept.is_none(), "{long:?} have not passed");
    }
    transport.sleep(Duration::from_millis(1)).await;
}

pub async fn the_clock_never_runs_backwards(transport: &dyn Transport, _: &Limits) {
    let mut last = transport.now();
    for _ in 0..10_000 {
        let now = transport.now();
        assert!(now >= last);
        last = now;
    }
}
