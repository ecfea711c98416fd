//! How much memory a malicious response takes.

use peak_alloc::PeakAlloc;

use crate::{api::Decoder, canned::Answer, client, turn, v2, v3};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn v2_memory_is_bounded_by_the_limit_on_responses() {
    let _turn = turn();
    let (limit, typed) = (400_000, [v2::OPERATIONS, v2::OTHERS].concat());
    assert_bounded(limit, &v2::hostile(limit), &typed, 13.0);
    assert_bounded(limit, &v2::hostile(limit), v2::RAW, 8.0);
}

#[test]
fn v3_memory_is_bounded_by_the_limit_on_responses() {
    let _turn = turn();
    let (limit, api) = (100_000, v3::api());
    assert_bounded(limit, &v3::hostile(limit), &api.whole, 12.0);
    assert_bounded(limit, &v3::hostile(limit), &api.streams, 12.0);
}

/// The maximum memory of a decoder, as a multiple of the limit.
fn assert_bounded(limit: usize, hostile: &[String], decoders: &[Decoder], most: f64) {
    let mut worst = 0.0_f64;
    for body in hostile {
        let answer = Answer {
            frames: vec![65_536; 40],
            ..Answer::ok(body.as_str())
        };
        for decode in decoders {
            let client = client(vec![answer.clone()], limit);
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            decode(&client);
            let peak = MEMORY.peak_usage().saturating_sub(before);
            let times = peak as f64 / limit as f64;
            let start = body.get(..60).unwrap_or_default();
            assert!(times <= most, "{times:.1} times the limit for {start}");
            worst = worst.max(times);
        }
    }
    println!("at most {worst:.1} times the limit");
}
