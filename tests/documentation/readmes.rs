//! What the repository's page shows of a README: every line of its code, without a scroll bar.

use std::collections::BTreeSet;

use crate::sources::{assert_only, with_extension};

const MAX_COLUMNS: usize = 76;

#[test]
fn code_in_a_readme_has_no_hidden_and_no_long_lines() {
    let mut found = BTreeSet::new();
    for source in with_extension("md") {
        if source.path.ends_with("README.md") {
            let lines = wrong_lines(&source.text);
            found.extend(lines.map(|line| format!("{}: {line}", source.path)));
        }
    }
    assert_only("is hidden or longer than 76 columns", &found, &[]);
}

/// The lines of code that rustdoc hides, or that are too long.
fn wrong_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    let mut is_rust = false;
    text.lines().filter(move |line| {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_code = !is_code;
            is_rust = language.is_empty() || language.starts_with("rust");
            return false;
        }
        let is_hidden = is_rust && (*line == "#" || line.starts_with("# "));
        is_code && (is_hidden || line.chars().count() > MAX_COLUMNS)
    })
}

#[test]
fn hidden_and_long_lines_are_found() {
    let long = "x".repeat(77);
    let text = format!("# A\n{long}\n```rust\n# use a;\n#[b]\n{long}\n```\n```sh\n# c\n```\n");
    assert_eq!(wrong_lines(&text).collect::<Vec<_>>(), ["# use a;", &long]);
}
