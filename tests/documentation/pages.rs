//! What the pages of `docs/` quote: tests that exist, and configurations that the tests run.

use std::collections::BTreeSet;

use crate::sources::{Source, assert_only, with_extension};

fn page(path: &str) -> Source {
    let mut pages = with_extension("md").into_iter();
    pages.find(|page| page.path == path).unwrap()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let sources = with_extension("rs");
    let promises = page("docs/promises.md");
    let mut missing = BTreeSet::new();
    let mut count = 0;
    for quoted in promises.text.split('`').skip(1).step_by(2) {
        let Some((path, name)) = quoted.split_once(".rs::") else {
            continue;
        };
        count += 1;
        let path = format!("{path}.rs");
        let source = sources.iter().find(|source| source.path == path);
        let declares = |source: &Source| {
            ["(", "<"]
                .iter()
                .any(|after| source.text.contains(&format!("fn {name}{after}")))
        };
        if !source.is_some_and(declares) {
            missing.insert(quoted.to_owned());
        }
    }
    assert!(count > 20, "{count} tests were found");
    assert_only("is not a test", &missing, &[]);
    // Each row of a table has one, but the heads.
    let rows = promises.text.lines().filter(|line| line.starts_with("| "));
    let without: BTreeSet<String> = rows
        .filter(|line| !line.contains(".rs::") && !line.contains("Shown by"))
        .map(str::to_owned)
        .collect();
    assert_only("is a promise without a test", &without, &[]);
}

#[test]
fn the_configurations_of_proxies_are_those_that_the_tests_run() {
    let shown = page("docs/behind-a-proxy.md");
    for (language, extension) in [("nginx", "conf"), ("haproxy", "cfg")] {
        let files = with_extension(extension).into_iter();
        let files = files.filter(|file| file.path.starts_with("docs/proxies/"));
        let files: BTreeSet<_> = files.map(|file| file.text).collect();
        assert_eq!(files.len(), 2, "{language}");
        let shown = blocks(&shown.text, language).into_iter();
        let shown: BTreeSet<_> = shown.map(str::to_owned).collect();
        assert_eq!(shown, files, "{language}");
    }
}

#[test]
fn the_programs_in_other_languages_are_those_that_the_tests_run() {
    let shown = page("backends/etcd-fake/README.md");
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.collect()
    };
    for (language, extension) in [
        ("python", "py"),
        ("js", "js"),
        ("go", "go"),
        ("java", "java"),
    ] {
        let files = with_extension(extension).into_iter();
        let files = files.filter(|it| it.path.starts_with("backends/etcd-fake/examples/"));
        let files: Vec<_> = files.map(|file| lines(&file.text)).collect();
        let blocks = blocks(&shown.text, language);
        assert!(!blocks.is_empty(), "{language}");
        for block in blocks {
            let block = lines(block);
            let is_run = files
                .iter()
                .any(|file| file.windows(block.len()).any(|it| it == block));
            assert!(is_run, "{block:#?}");
        }
    }
}

/// The code of a page in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let begun = text.match_indices(&fence);
    let blocks = begun.filter_map(|(start, _)| text[start + fence.len()..].split("```").next());
    blocks.collect()
}

/// The pages of services, and the modules that they show.
const SERVICES: [(&str, &str); 2] = [
    ("docs/services/discovery.md", "discovery.rs"),
    ("docs/services/metadata-store.md", "metadata.rs"),
];

#[test]
fn the_modules_of_services_are_those_that_the_tests_run_and_their_lines_are_counted() {
    let sources = with_extension("rs");
    for (path, file) in SERVICES {
        let file = format!("tests/etcd/recipes/services/{file}");
        let module = sources.iter().find(|it| it.path == file).unwrap();
        let shown = page(path).text;
        let block = shown.split("```rust\n").nth(1).unwrap();
        assert_eq!(block.split("```").next().unwrap(), module.text, "{path}");
        let lines = module.text.lines().map(str::trim);
        let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
        let count = format!(" {} lines of code", code.count());
        assert!(shown.contains(&count), "{path}:{count}");
    }
}

/// What people type into the search of the documentation, who know another client or API.
const WORDS: [&str; 22] = [
    "backup",
    "cas",
    "compare-and-swap",
    "compaction",
    "doctor",
    "haskey",
    "idempotent",
    "informer",
    "keepalive",
    "leader election",
    "lease grant",
    "lease revoke",
    "list",
    "lock",
    "member list",
    "put",
    "remove",
    "service discovery",
    "set",
    "subscribe",
    "transaction",
    "ttl",
];

#[test]
fn the_search_knows_the_words_of_other_clients() {
    let sources = with_extension("rs");
    let missing: BTreeSet<String> = WORDS
        .iter()
        .map(|word| format!("doc(alias = \"{word}\")"))
        .filter(|alias| {
            let mut own = sources.iter().filter(|it| it.path.starts_with("src/"));
            !own.any(|source| source.text.contains(alias))
        })
        .collect();
    assert_only("is not found", &missing, &[]);
}
