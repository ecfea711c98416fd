//! The rules of how etcd's v3 API behaves, and which test shows which.
//!
//! A test whose name begins with `v3_44_`, or with `v3_60_61_62_`, shows these rules: bytes, beside the operation in `src/`;
//! what the client makes of them, step by step, in `tests/scripted`; what real servers do, here and in `tests/etcd/v3_streams`.
//! What no test can show is in [`WITHOUT`], with the reason.

use std::{collections::BTreeMap, fs, path::Path};

/// The numbers of all rules. They are stable, and have gaps.
const RULES: &[u32] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17, 18, 19, 20, // The gateway, and its errors.
    30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, // Ranges.
    41, 42, 43, 44, 45, 46, 47, // Puts and deletes.
    50, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, // Transactions.
    63, 64, 65, // Compaction.
    70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90,
    91, // Watches.
    92, 93, 94, 95, 96, 97, 98, 99, 100, // Leases.
    101, 102, 103, 104, 105, 106, 107, // Locks and elections.
    110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, // Users and roles.
    122, 123, 124, 125, 126, // Members and maintenance.
    127, 128, 129, 130, // A cluster in trouble.
    132, 133, 134, 135, // Other ways to stream.
    136, 137, 138, 139, // Tokens that end.
];

/// The rules without a test, and why.
const WITHOUT: &[(u32, &str)] = &[
    (
        132,
        "how a WebSocket behaves: the client opens none, for a transport carries HTTP requests",
    ),
    (133, "what a WebSocket cannot do: the client opens none"),
    (
        135,
        "a call of etcd 3.7 that its gateway does not have: over HTTP nothing of it is to be seen",
    ),
];

#[test]
fn every_rule_has_a_test_that_names_it_or_a_reason_why_not() {
    let named = named();
    let mut wrong = Vec::new();
    for (rule, tests) in &named {
        if !RULES.contains(rule) {
            wrong.push(format!("no rule has the number {rule}: {tests:?}"));
        }
    }
    for rule in RULES {
        let reasons = WITHOUT.iter().filter(|(without, _)| without == rule);
        match (named.get(rule), reasons.count()) {
            (Some(_), 0) | (None, 1) => {}
            (Some(tests), _) => wrong.push(format!("V3-{rule} has a test: {tests:?}")),
            (None, 0) => wrong.push(format!("no test names V3-{rule}")),
            (None, _) => wrong.push(format!("V3-{rule} has several reasons")),
        }
    }
    for (rule, _) in WITHOUT {
        if !RULES.contains(rule) {
            wrong.push(format!(
                "no rule has the number {rule}, and there is a reason"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_names_of_tests_are_read() {
    let transaction = "    fn v3_60_61_62_a_transaction_is_one_revision() {";
    assert_eq!(rules_of(name(transaction).unwrap()), [60, 61, 62]);
    let lacks = "async fn v3_2_what_3_4_lacks<T: Transport>(etcd: Etcd<T>) {";
    assert_eq!(rules_of(name(lacks).unwrap()), [2]);
    assert_eq!(rules_of("v3_user"), [0; 0]);
    assert_eq!(rules_of("r_12_v3_44"), [0; 0]);
    assert_eq!(name("        v3_2_a_case_that_is_stamped,"), None);
    assert_eq!(name("    call(fn v3_2_is_quoted)"), None);
}

/// The rules that tests name, and these tests.
fn named() -> BTreeMap<u32, Vec<String>> {
    let mut named: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for folder in ["src", "tests"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        each_source(&folder, &mut |source| {
            for name in source.lines().filter_map(name) {
                for rule in rules_of(name) {
                    named.entry(rule).or_default().push(name.to_owned());
                }
            }
        });
    }
    named
}

/// The name of the private function that begins in this line, as that of a test does.
fn name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let end = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    line.strip_prefix("fn ")?.split(end).next()
}

/// The rules that a test of this name shows.
fn rules_of(name: &str) -> Vec<u32> {
    let words = name.strip_prefix("v3_").into_iter();
    let words = words.flat_map(|name| name.split('_'));
    words.map_while(|word| word.parse().ok()).collect()
}

fn each_source(folder: &Path, look: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_source(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&fs::read_to_string(&path).unwrap());
        }
    }
}
