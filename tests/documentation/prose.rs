//! The prose is plain technical English.

use crate::sources::{Source, with_extension};

/// What is checked so far. The list must end up as everything: `&[""]`.
const CHECKED: &[&str] = &["docs/", "tests/documentation/"];

/// What no comment, text or document says.
const FORBIDDEN: &[&str] = &["«", "»", "unless set", "in silence", "anew", "for ever"];

/// The list itself.
const EXEMPT: &str = "tests/documentation/prose.rs";

#[test]
fn no_file_has_words_of_a_private_vocabulary() {
    let mut wrong = Vec::new();
    for source in with_extension("rs").into_iter().chain(with_extension("md")) {
        let is_checked = CHECKED.iter().any(|it| source.path.starts_with(it));
        if is_checked && source.path != EXEMPT {
            wrong.extend(forbidden(&source));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_are_found() {
    let source = Source {
        path: "a.rs".to_owned(),
        text: "/// It starts\n/// Anew, or forever.\n/// A lane wound".to_owned(),
    };
    assert_eq!(forbidden(&source), ["a.rs:2: \"anew\""]);
}

fn forbidden(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for words in FORBIDDEN.iter().filter(|words| has(line, words)) {
            wrong.push(format!("{}:{number}: \"{words}\"", source.path));
        }
    }
    wrong
}

/// Whether the line has these words, and not as a part of longer ones.
fn has(line: &str, words: &str) -> bool {
    let line = line.to_lowercase();
    let is_letter = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let is_word = words.chars().all(|it| it.is_alphanumeric() || it == ' ');
    line.match_indices(words).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + words.len()..].chars().next();
        !is_word || !(is_letter(before) || is_letter(after))
    })
}
