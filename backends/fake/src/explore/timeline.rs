use std::time::Duration;

use super::report::Cause;
use crate::cluster::request_log::{Exchange, Summary};

/// Something that happened without a request, and when.
pub(super) type Note = (Duration, String);

/// Ids from here on were chosen at random.
const RANDOM: i64 = 1 << 32;

/// The requests, and what happened between them, in the order of time.
pub(super) fn timeline(
    log: &[Exchange],
    notes: Vec<Note>,
    end: Duration,
    cause: &Cause,
) -> Vec<String> {
    let leases = random_leases(log);
    let notes = notes.into_iter();
    let mut entries: Vec<Note> = notes
        .map(|(at, line)| (at, with_names(line, &leases)))
        .collect();
    // Leases that end together do so in the order of their ids, which are random.
    entries.sort();
    // Behind them: what happens by itself wakes the tasks that make the requests of the same time.
    for (position, exchange) in log.iter().enumerate() {
        let number = position + 1;
        let mut line = format!("request {number}: {}", Summary(exchange));
        let ended = exchange.ended_at().filter(|&at| at != exchange.at());
        if let Some(ended) = ended {
            line += &format!(" at {ended:?}");
        }
        if let Some(fault) = exchange.fault() {
            line += &format!(" [{fault}]");
        }
        entries.push((exchange.at(), line));
    }
    entries.sort_by_key(|(at, _)| *at);
    entries.push((end, format!("the test {cause}")));
    let lines = entries.into_iter();
    lines
        .map(|(at, line)| format!("{:>12}  {}", format!("{at:?}"), with_names(line, &leases)))
        .collect()
}

/// The random ids of leases in the requests, in their order.
fn random_leases(log: &[Exchange]) -> Vec<i64> {
    let mut leases = Vec::new();
    for (name, value) in log.iter().flat_map(Exchange::parameters) {
        let is_lease = name.ends_with("ID") || name.ends_with("lease");
        if let Ok(id) = value.parse::<i64>()
            && is_lease
            && id >= RANDOM
            && !leases.contains(&id)
        {
            leases.push(id);
        }
    }
    leases
}

/// The line with `L1` for the first of these leases, and so on: also in the keys of locks, whose names end in the id.
fn with_names(mut line: String, leases: &[i64]) -> String {
    for (position, id) in leases.iter().enumerate() {
        let name = format!("L{}", position + 1);
        line = line.replace(&id.to_string(), &name);
        line = line.replace(&format!("{id:x}"), &name);
    }
    line
}
