//! Finds what the files of a crate import from each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::tokens;

/// The files that each file imports from.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Reads the imports of a crate's files. Their paths begin in `src`. Inline modules of tests are left out.
pub(crate) fn graph(sources: &BTreeMap<String, String>) -> Graph {
    let modules: BTreeMap<_, _> = sources.keys().map(|path| (module(path), path)).collect();
    let files = sources.iter().map(|(path, text)| {
        let own = module(path);
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or(text);
        let mut imported = BTreeSet::new();
        for name in paths(&tokens(code)) {
            imported.extend(file_of(&own, &name, &modules));
        }
        imported.remove(path);
        (path.clone(), imported)
    });
    files.collect()
}

/// Returns the sets of files each of which imports all others of its set, directly or through others.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<_, _> = graph
        .keys()
        .map(|file| (file, reachable(graph, file)))
        .collect();
    let circles: BTreeSet<Vec<String>> = reached
        .iter()
        .filter(|(file, from)| from.contains(**file))
        .map(|(file, from)| {
            let back = from.iter().filter(|other| reached[other].contains(*file));
            back.cloned().collect()
        })
        .collect();
    circles.into_iter().collect()
}

#[test]
fn circles_are_found() {
    let sources = |files: &[(&str, &str)]| {
        let files = files
            .iter()
            .map(|&(path, text)| (path.to_owned(), text.to_owned()));
        circles(&graph(&files.collect()))
    };
    let circle = sources(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::{b::{self, D}, c};"),
        ("b/mod.rs", "mod d; pub(crate) use self::d::D;"),
        (
            "b/d.rs",
            "/// [`a`](crate::c)\nfn f(e: super::super::a::E) {}",
        ),
        ("c.rs", "#[cfg(test)]\nmod tests { use crate::a::A; }"),
    ]);
    assert_eq!(circle, [["a.rs", "b/d.rs", "b/mod.rs"]]);
    let none = sources(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod c; // use crate::b::B;\n"),
        ("a/c.rs", "use super::C;"),
        ("b.rs", "use crate::a;\nfn f() { let a = \"crate::b\"; }"),
    ]);
    assert!(none.is_empty(), "{none:?}");
}

fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for other in graph.get(file).into_iter().flatten() {
            if reached.insert(other.clone()) {
                next.push(other);
            }
        }
    }
    reached
}

/// The module that a file is.
fn module(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut names: Vec<_> = path.split('/').map(str::to_owned).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib")) {
        names.pop();
    }
    names
}

/// The file of the module that a path leads to: its longest beginning that is one.
fn file_of(
    own: &[String],
    path: &[String],
    modules: &BTreeMap<Vec<String>, &String>,
) -> Option<String> {
    let mut full = match path.first()?.as_str() {
        "crate" => Vec::new(),
        _ => own.to_vec(),
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => drop(full.pop()),
            name => full.push(name.to_owned()),
        }
    }
    loop {
        if let Some(file) = modules.get(&full) {
            return Some((*file).clone());
        }
        full.pop()?;
    }
}

/// All paths that begin at a module of the crate, those in braces completed.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_path = matches!(tokens[at].as_str(), "crate" | "super" | "self")
            && tokens.get(at + 1).is_some_and(|next| next == "::")
            // `pub(in crate::a)` imports nothing.
            && (at == 0 || !matches!(tokens[at - 1].as_str(), "::" | "in"));
        at = match is_path {
            true => complete(tokens, at, &[], &mut found),
            false => at + 1,
        };
    }
    found
}

/// Completes the path that begins at `at`, which may branch in braces. Returns where it ends.
fn complete(
    tokens: &[String],
    mut at: usize,
    before: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut path = before.to_vec();
    loop {
        if token(at) == "{" {
            at += 1;
            while !matches!(token(at), "}" | "") {
                at = match token(at) {
                    "," => at + 1,
                    _ => complete(tokens, at, &path, found),
                };
            }
            return at + 1;
        }
        path.push(token(at).to_owned());
        at += 1;
        if token(at) != "::" {
            found.push(path);
            // What follows a name, as `as other`, is no part of the path.
            while token(at) == "as" || (token(at - 1) == "as") {
                at += 1;
            }
            return at;
        }
        at += 1;
    }
}
