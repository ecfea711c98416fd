//! The prose is plain technical English.

use crate::sources::{Source, with_extension};

/// The extensions of the files that are checked.
const EXTENSIONS: &[&str] = &["rs", "md", "toml"];

/// Phrases that no comment, text or document uses, and no name: names are split into their words. None of them has a
/// legitimate use in this repository.
const FORBIDDEN: &[&str] = &[
    // Quotation marks: write "…".
    "«",
    "»",
    // Write "defaults to", "silently", "again", "repeatedly", "forever".
    "unless set",
    "in silence",
    "without a word",
    "anew",
    "once more",
    "over and over",
    "again and again",
    "for ever",
    "all the same",
    // American spelling.
    "behaviour",
    "colour",
    "licence",
    "recognise",
    "recognised",
    "time-out",
    "time-outs",
    "look-up",
    // Write "applied" or "executed".
    "carried out",
    "carries out",
    "carry out",
    // Write "response"; a server responds.
    "an answer",
    "its answer",
    "the lost answer",
    "whole answer",
    "keep coming",
    "keeps coming",
    // Write who it is: a client, a caller, a server.
    "anybody who",
    "nobody can",
    "nobody does",
    "nobody else",
    "nobody has",
    "nobody is",
    "nobody knows",
    "nobody will",
    "nobody would",
    "nobody's",
    "somebody else",
    "somebody is",
    "those who",
    "who asks",
    "who waits",
    "whoever",
    "whom",
    // Write "reports" or "returns".
    "said no",
    "say no",
    "says no",
    "is told",
    "was told",
    "were told",
    // Write "succeed", "enabled", "disabled", "the result of", "no change is missed", "rejected".
    "do better",
    "switched off",
    "switched on",
    "what became of",
    "what becomes of",
    "what came of",
    "whatever becomes",
    "come about",
    "comes about",
    "falls in between",
    "nothing falls",
    "in vain",
    "beyond our",
    "by our own",
    "as if there were no others",
    "taken for",
    "surely",
    "for want of",
    // Write "deadline", "pipeline", "receive", "silent", "check", "unsupported".
    "patience",
    "road",
    "roads",
    "hear",
    "hears",
    "hearing",
    "deaf",
    "tenure",
    "tenures",
    "judge",
    "judged",
    "judges",
    "lacked",
    "lacking",
];

/// The list itself.
const EXEMPT: &str = "tests/documentation/prose.rs";

#[test]
fn no_file_has_words_of_a_private_vocabulary() {
    let mut wrong = Vec::new();
    for source in EXTENSIONS.iter().flat_map(|it| with_extension(it)) {
        if source.path != EXEMPT {
            wrong.extend(forbidden(&source));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_are_found() {
    let text = "/// It starts\n/// Anew, or forever.\n/// A lane wound\n    /// It waits for\n    /// ever.\nfor ev in {}\n\
                fn it_is_told_so() {}\nlet hears = OldRoad;\nlet heartbeat = broad;";
    let source = Source {
        path: "a.rs".to_owned(),
        text: text.to_owned(),
    };
    assert_eq!(
        forbidden(&source),
        [
            "a.rs:2: \"anew\"",
            "a.rs:4: \"for ever\"",
            "a.rs:7: \"is told\"",
            "a.rs:8: \"road\"",
            "a.rs:8: \"hears\"",
        ]
    );
}

/// Finds the forbidden phrases, also those that continue in the next line.
fn forbidden(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines: Vec<_> = source.text.lines().map(words).collect();
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).map_or("", String::as_str);
        let both = format!("{line} {next}");
        for phrase in FORBIDDEN {
            if starts(&both, phrase).any(|start| start < line.len()) {
                wrong.push(format!("{}:{}: \"{phrase}\"", source.path, at + 1));
            }
        }
    }
    wrong
}

/// Returns the line in lower case, without the marker of a comment, and with names split into words.
fn words(line: &str) -> String {
    let line = line.trim();
    let comment = line.strip_prefix("//").or_else(|| line.strip_prefix('#'));
    let text = comment.map_or(line, |it| it.trim_start_matches(['/', '!']).trim_start());
    let mut words = String::with_capacity(text.len());
    let mut is_in_word = false;
    for letter in text.chars() {
        if letter == '_' || letter.is_uppercase() && is_in_word {
            words.push(' ');
        }
        if letter != '_' {
            words.extend(letter.to_lowercase());
        }
        is_in_word = letter.is_lowercase();
    }
    words
}

/// Where the text has this phrase, and not as a part of longer words.
fn starts<'a>(text: &'a str, phrase: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_letter = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let is_word = phrase.starts_with(char::is_alphanumeric);
    text.match_indices(phrase).filter_map(move |(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + phrase.len()..].chars().next();
        (!is_word || !(is_letter(before) || is_letter(after))).then_some(start)
    })
}
