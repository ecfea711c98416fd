//! Responses of the v3 API, cut, split and damaged at every byte.

use crate::{
    LIMIT,
    api::Reported,
    canned::Answer,
    client,
    inputs::{VALUES, begins_value, with_value},
    turn,
    v3::{Case, STREAMS, WHOLE, spaced},
};

/// Calls it with each case and each of its samples, as the old gateway writes it and as newer ones do.
fn each_sample<'a>(cases: impl IntoIterator<Item = &'a Case>, check: impl Fn(&Case, &str)) {
    for case in cases {
        for sample in case.samples {
            check(case, sample);
            check(case, &spaced(sample));
        }
    }
}

fn decode(case: &Case, answer: Answer) -> Reported {
    (case.decode)(&client(vec![answer], LIMIT))
}

#[test]
fn responses_are_read_whatever_their_spacing() {
    let _turn = turn();
    for case in WHOLE.iter().chain(STREAMS) {
        for sample in case.samples {
            let compact = decode(case, Answer::ok(*sample));
            assert_eq!(
                compact,
                decode(case, Answer::ok(spaced(sample))),
                "{}",
                case.name
            );
        }
        let first = decode(case, Answer::ok(case.samples[0]));
        assert!(first[0].is_ok(), "{}: {first:?}", case.name);
    }
}

#[test]
fn a_response_that_is_cut_at_any_byte_is_an_error() {
    let _turn = turn();
    each_sample(WHOLE, |case, sample| {
        let whole = sample.trim_ascii_end();
        for end in 0..whole.len() {
            let reported = decode(case, Answer::ok(&whole[..end]));
            assert!(
                reported[0].is_err(),
                "{} of {}: {reported:?}",
                case.name,
                &whole[..end]
            );
        }
    });
}

#[test]
fn a_stream_that_is_cut_at_any_byte_tells_nothing_else() {
    let _turn = turn();
    each_sample(STREAMS, |case, sample| {
        let whole = decode(case, Answer::ok(sample));
        for end in 0..sample.len() {
            let reported = decode(case, Answer::ok(&sample[..end]));
            let items = reported.iter().take_while(|item| item.is_ok());
            for (item, expected) in items.zip(&whole) {
                assert_eq!(item, expected, "{} cut at {end}", case.name);
            }
        }
    });
}

#[test]
fn a_response_may_come_in_any_pieces() {
    let _turn = turn();
    each_sample(WHOLE.iter().chain(STREAMS), |case, sample| {
        let whole = decode(case, Answer::ok(sample));
        let bytewise = vec![1; sample.len()];
        let halves = (1..sample.len()).map(|border| vec![border]);
        for frames in halves.chain([bytewise]) {
            let answer = Answer {
                frames: frames.clone(),
                ..Answer::ok(sample)
            };
            assert_eq!(decode(case, answer), whole, "{} in {frames:?}", case.name);
        }
    });
}

#[test]
fn a_bit_that_flips_anywhere_does_no_harm() {
    let _turn = turn();
    each_sample(WHOLE.iter().chain(STREAMS), |case, sample| {
        for at in 0..sample.len() {
            let mut body = sample.as_bytes().to_vec();
            // Another bit in each byte, all eight in turn.
            body[at] ^= 1 << (at % 8);
            decode(case, Answer::ok(body));
        }
    });
}

#[test]
fn any_value_may_be_another() {
    let _turn = turn();
    each_sample(WHOLE.iter().chain(STREAMS), |case, sample| {
        let begins = (1..sample.len()).filter(|at| begins_value(sample.as_bytes(), *at));
        for start in begins {
            for value in VALUES {
                let body = with_value(sample.as_bytes(), start, value);
                decode(case, Answer::ok(body));
            }
        }
    });
}
