//! Checks that the short forms are named after their operations: the rule is in `docs/architecture.md`.

use std::collections::BTreeSet;

use crate::sources::{assert_only, with_extension};

/// Short forms of operations with other options than their defaults, and etcdctl's word for a `DeleteRange`.
const VARIANTS: [&str; 4] = [
    "add_learner sends AddMember",
    "delete sends DeleteRange",
    "delete_tree sends DeleteDir",
    "raise_alarm sends SetAlarm",
];

/// The nouns that the names of these handles already say: `leases().grant` sends a `GrantLease`.
const NOUNS: [(&str, &[&str]); 2] = [("Auth", &["auth"]), ("Leases", &["lease", "leases"])];

#[test]
fn a_short_form_has_the_name_of_its_operation_in_snake_case() {
    let mut found = BTreeSet::new();
    let mut count = 0;
    for source in with_extension("rs") {
        if source.path == "src/v2/handle.rs" || source.path.starts_with("src/v3/handle/") {
            for (handle, name, operation) in short_forms(&source.text) {
                count += 1;
                if name != expected(handle, operation) {
                    found.insert(format!("{name} sends {operation}"));
                }
            }
        }
    }
    assert!(count > 70, "{count} short forms were found");
    assert_only("another name than that of its operation", &found, &VARIANTS);
}

/// The name that a short form of this operation should have.
fn expected(handle: &str, operation: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for letter in operation.chars() {
        if letter.is_ascii_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    let said = NOUNS.iter().find(|(it, _)| *it == handle);
    words.retain(|word| !said.is_some_and(|(_, nouns)| nouns.contains(&word.as_str())));
    words.join("_")
}

/// The handle, the name and the operation of each line such as `get(key: impl AsRef<str>) -> Event = Get::new(key);`.
fn short_forms(text: &str) -> Vec<(&str, &str, &str)> {
    let mut handle = "";
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let rest = &text[start..];
        start += line.len();
        let line = line.trim();
        if let Some(name) = line.strip_suffix(':') {
            handle = name;
        }
        let Some((name, _)) = line.split_once('(') else {
            continue;
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let declaration = rest.split(';').next().unwrap_or_default();
        let Some((before, value)) = declaration.rsplit_once(" =") else {
            continue;
        };
        let operation = value.trim_start().split("::").next().unwrap_or_default();
        let is_operation = operation.starts_with(|it: char| it.is_ascii_uppercase());
        if !name.is_empty() && name.bytes().all(is_name) && is_operation && before.contains(" -> ")
        {
            found.push((handle, name, operation));
        }
    }
    found
}

#[test]
fn short_forms_are_found() {
    let text = "short_forms! {\n    Leases:\n\n    /// Grants.\n    grant(ttl: Duration) -> Response = \
                GrantLease::new(ttl);\n\n    list() -> Vec<LeaseId> =\n        ListLeases::new();\n}";
    let forms = [
        ("Leases", "grant", "GrantLease"),
        ("Leases", "list", "ListLeases"),
    ];
    assert_eq!(short_forms(text), forms);
    for (handle, name, operation) in forms {
        assert_eq!(expected(handle, operation), name);
    }
    assert_eq!(expected("Auth", "GetAuthStatus"), "get_status");
    assert_eq!(expected("", "GetAuthStatus"), "get_auth_status");
}
