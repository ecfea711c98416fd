//! What the repository's page shows of a README: every line of its code, without a scroll bar.

use std::collections::BTreeSet;

use crate::sources::{assert_only, with_extension};

const MAX_COLUMNS: usize = 76;

/// What a task of a new user may take besides the program's own logic.
const MAX_LINES_OF_A_TASK: usize = 15;

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

#[test]
fn each_of_the_four_tasks_of_a_new_user_takes_a_few_lines() {
    let sources = with_extension("md");
    let cookbook = sources.iter().find(|it| it.path == "docs/cookbook.md");
    let section = cookbook.unwrap().text.split("\n## ");
    let tasks = section.filter(|it| it.starts_with("Four tasks"));
    let bodies: Vec<_> = tasks.flat_map(bodies).collect();
    assert_eq!(bodies.len(), 4);
    for body in bodies {
        let lines = body.lines().filter(|line| !line.ends_with("// yours"));
        let count = lines.count();
        println!("{count} lines");
        assert!(count <= MAX_LINES_OF_A_TASK, "{count} lines: {body}");
    }
}

/// The bodies of the functions of a text.
fn bodies(text: &str) -> impl Iterator<Item = &str> {
    let functions = text.split("\nasync fn ").skip(1);
    functions.map(|function| {
        let (_, rest) = function.split_once("{\n").unwrap();
        rest.split_once("\n}\n").unwrap().0
    })
}

#[test]
fn each_recipe_of_the_cookbook_says_what_it_promises_what_it_cannot_and_how_to_test_with_it() {
    let sources = with_extension("md");
    let cookbook = sources.iter().find(|it| it.path == "docs/cookbook.md");
    let sections = cookbook.unwrap().text.split("\n## ").skip(1);
    let mut found = BTreeSet::new();
    for section in sections {
        let (title, text) = section.split_once('\n').unwrap();
        if ABOUT_ALL_RECIPES.iter().any(|it| title.starts_with(it)) {
            continue;
        }
        let parts = [
            "```rust\n",
            "Use ",
            "**Promises.**",
            "**Cannot.**",
            "**Testing.**",
        ];
        let missing = parts.iter().filter(|part| !text.contains(**part));
        found.extend(missing.map(|part| format!("{title}: {part:?}")));
    }
    assert_only("is missing", &found, &[]);
}

/// How sections of the cookbook begin that are not about one recipe.
const ABOUT_ALL_RECIPES: [&str; 3] = ["Four tasks", "Fencing", "How to test"];
