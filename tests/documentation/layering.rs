//! Checks the imports between layers. They go one way: from the client's `src` to `backends`, and within `src` from each
//! layer to those below.

use std::collections::BTreeSet;

use crate::{
    code::tokens,
    imports::Imports,
    sources::{Source, assert_only, exists, names, with_extension},
};

/// The layers of `src`, from the lowest: each may import from those before it, and not from one beside it. What is a folder
/// here is named so; the files of the root are the client, and `lib.rs` is above all.
const LAYERS: [&[&str]; 9] = [
    &["base"],
    &["error"],
    &["endpoints"],
    &["auth"],
    &["pipeline"],
    &[CLIENT],
    &["v2", "v3"],
    &["recipes", "check", "config"],
    &[ROOT],
];

/// The files in `src` itself.
const CLIENT: &str = "client";

/// The crate's root, `lib.rs`.
const ROOT: &str = "root";

/// The modules of the protocols.
const PROTOCOLS: [&str; 2] = ["v2", "v3"];

/// The modules that may import the protocols: themselves, the crate's root, and those built on the public API.
const MAY_KNOW_THEM: [&str; 5] = [
    "src/v2/",
    "src/v3/",
    "src/lib.rs",
    "src/recipes/",
    "src/check/",
];

#[test]
fn only_v2_and_v3_import_from_v2_and_v3() {
    let mut found = BTreeSet::new();
    for source in with_extension("rs") {
        let path = &source.path;
        if path.starts_with("src/") && !MAY_KNOW_THEM.iter().any(|it| path.starts_with(it)) {
            let named = protocols_named_by(path, &source.text);
            found.extend(named.iter().map(|protocol| format!("{path}: {protocol}")));
        }
    }
    assert_only("imports from a protocol", &found, &[]);
}

#[test]
fn each_layer_imports_from_lower_ones_only() {
    let imports = Imports::read(&with_extension("rs"));
    assert_only(
        "imports from a layer that is not lower",
        &upward(&imports),
        &[],
    );
}

#[test]
fn no_circle_leads_through_several_folders() {
    let imports = Imports::read(&with_extension("rs"));
    assert_only(
        "circles between folders",
        &circles_of_folders(&imports),
        &[],
    );
}

/// What is imported through the crate's root hides where it is from.
#[test]
fn modules_import_from_where_a_thing_is_defined() {
    let imports = Imports::read(&with_extension("rs"));
    let named = imports.through_root();
    let found = named.map(|(from, name)| format!("{from}: crate::{name}"));
    assert_only("imports through lib.rs", &found.collect(), &[]);
}

/// The client uses the backends, which must not use it, not even in tests and examples. In particular the fake must be
/// an independent oracle.
#[test]
fn no_backend_knows_the_client() {
    let mut found = BTreeSet::new();
    for source in with_extension("rs") {
        if is_below_the_client(&source.path) && names(&source.text, "etcd_http") {
            found.insert(source.path);
        }
    }
    for manifest in with_extension("toml") {
        let is_dependency = |line: &str| {
            let name = line.trim_start().split(['.', ' ', '=']).next();
            name.is_some_and(|name| name.trim_matches('"') == "etcd-http")
                || line.contains("package = \"etcd-http\"")
                || line.contains("dependencies.etcd-http]")
        };
        if is_below_the_client(&manifest.path) && manifest.text.lines().any(is_dependency) {
            found.insert(manifest.path);
        }
    }
    assert_only("names the client's crate", &found, &[]);
}

fn is_below_the_client(path: &str) -> bool {
    path.starts_with("backends/") || path.starts_with("tests/fake_harness/")
}

/// What several crates share is a crate of its own, such as `tests/harness`. A file that each of them compiled as a module of
/// its own would be another one in each.
#[test]
fn each_file_is_a_module_of_one_crate() {
    let mut found = BTreeSet::new();
    for source in with_extension("rs") {
        let tokens = tokens(&source.text);
        let mut windows = tokens.windows(3);
        if windows.any(|it| matches!(it, [a, b, c] if a == "#" && b == "[" && c == "path")) {
            found.insert(source.path);
        }
    }
    // A workspace of its own, which shares a benchmark with this one.
    let allowed = ["benches/madsim/src/main.rs"];
    assert_only("names the file of a module", &found, &allowed);
}

#[test]
fn imports_are_found() {
    let named = |code: &str| protocols_named_by("src/a.rs", code).join(" ");
    for code in [
        "use crate::v3::Put;",
        "use crate::v3;",
        "use crate::{b::{c, d}, v3::{Put, Range}};",
        "use crate::{b::{c, d}, v3};",
        "use super::v3::Put;",
        "mod tests { use super::super::v3::Put; }",
        "fn f(put: v3::Put) {}",
        "fn f() { crate::v3::put() }",
        "impl From<crate::v3::Put> for A {}",
    ] {
        assert_eq!(named(code), "v3", "{code}");
    }
    for code in [
        "// use crate::v3::Put;",
        "/// [`Put`](crate::v3::Put)",
        "fn v3(&self) { self.client.v3().kv(); }",
        "use crate::{b::{v3}, c};",
        "use other::v3::Put;",
        "let v3 = 1; f(v2, v3); Api::V3",
    ] {
        assert_eq!(named(code), "", "{code}");
    }
}

/// Files of a made-up crate.
fn made_up(files: &[(&str, &str)]) -> Imports {
    let source = |(path, text): &(&str, &str)| Source {
        path: format!("src/{path}"),
        text: (*text).to_owned(),
    };
    let sources: Vec<Source> = files.iter().map(source).collect();
    Imports::read(&sources)
}

#[test]
fn a_circle_between_folders_is_found() {
    let files = [
        ("lib.rs", "mod error; mod endpoints; mod pipeline;"),
        (
            "error/mod.rs",
            "mod kind; pub use kind::Kind; pub struct Error;",
        ),
        (
            "error/kind.rs",
            "use crate::{pipeline::{answer::{self, Answer}}};",
        ),
        ("endpoints/mod.rs", "pub mod set;"),
        ("endpoints/set.rs", "fn f() -> crate::error::Kind { }"),
        ("pipeline/mod.rs", "pub mod answer; pub mod call;"),
        (
            "pipeline/answer.rs",
            "use super::call::Call; pub struct Answer;",
        ),
        (
            "pipeline/call.rs",
            "use crate::endpoints::set; use super::answer::Answer;",
        ),
    ];
    let all =
        "src/endpoints/set.rs, src/error/kind.rs, src/pipeline/answer.rs, src/pipeline/call.rs";
    assert_eq!(
        circles_of_folders(&made_up(&files)),
        BTreeSet::from([all.to_owned()])
    );

    // Within a folder, files may know each other; so may a file and the folder of its parts.
    let files = [
        ("lib.rs", "mod pipeline; mod v3;"),
        ("pipeline/mod.rs", "pub mod answer; pub mod call;"),
        ("pipeline/answer.rs", "use super::call::Call;"),
        ("pipeline/call.rs", "use super::answer::Answer;"),
        ("v3/mod.rs", "mod handle;"),
        ("v3/handle.rs", "mod keys; use keys::Keys; pub struct V3;"),
        ("v3/handle/keys.rs", "use super::V3;"),
    ];
    assert_eq!(circles_of_folders(&made_up(&files)), BTreeSet::new());
}

#[test]
fn an_import_from_a_higher_layer_is_found() {
    let files = [
        (
            "lib.rs",
            "mod pipeline; mod raw; mod v2; mod v3; use v2::call as call_to;",
        ),
        ("pipeline/mod.rs", "use crate::raw::Raw;"),
        ("raw.rs", "use crate::{call_to, pipeline}; pub struct Raw;"),
        ("v2/mod.rs", "mod calls; pub(crate) use calls::call;"),
        ("v2/calls.rs", "use crate::v3; pub(crate) fn call() {}"),
        ("v3/mod.rs", "use crate::root; fn f() { crate::g() }"),
    ];
    let found: Vec<String> = upward(&made_up(&files)).into_iter().collect();
    assert_eq!(
        found,
        [
            "src/pipeline/mod.rs -> src/raw.rs",
            "src/raw.rs -> src/v2/calls.rs",
            "src/v2/calls.rs -> src/v3/mod.rs",
            "src/v3/mod.rs -> src/lib.rs",
        ]
    );
}

/// The imports that do not lead to a lower layer.
fn upward(imports: &Imports) -> BTreeSet<String> {
    let is_upward = |(from, to): &(&str, &str)| layer(from) != layer(to) && rank(from) <= rank(to);
    let edges = imports.edges().filter(is_upward);
    edges.map(|(from, to)| format!("{from} -> {to}")).collect()
}

/// The circles whose files are in several folders.
fn circles_of_folders(imports: &Imports) -> BTreeSet<String> {
    let circles = imports.circles().into_iter().filter(|circle| {
        let mut all = circle.iter().flat_map(|path| folders(path));
        !all.any(|folder| circle.iter().all(|path| folders(path).contains(&folder)))
    });
    circles
        .map(|circle| circle.into_iter().collect::<Vec<_>>().join(", "))
        .collect()
}

/// The layer of a file of `src`.
fn layer(path: &str) -> &str {
    match path.trim_start_matches("src/").split_once('/') {
        Some((folder, _)) => folder,
        None if path == "src/lib.rs" => ROOT,
        None => CLIENT,
    }
}

/// How high a file's layer is.
fn rank(path: &str) -> usize {
    let layer = layer(path);
    let rank = LAYERS.iter().position(|beside| beside.contains(&layer));
    rank.unwrap_or_else(|| panic!("{path}: `{layer}` is not in the list of layers"))
}

/// The folders that a file belongs to: the one where it is, and that of its parts, if it has any.
fn folders(path: &str) -> [&str; 2] {
    let own = directory(path);
    let around = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    [around, own]
}

/// Returns the protocols whose modules this file of `src` names.
fn protocols_named_by(path: &str, source: &str) -> Vec<&'static str> {
    let tokens = tokens(source);
    let named = PROTOCOLS.into_iter().filter(|protocol| {
        (0..tokens.len()).any(|index| {
            tokens[index] == *protocol && is_root_module(&tokens, index) && {
                // A module may have a child of this name.
                let is_child = exists(&format!("{}/{protocol}.rs", directory(path)))
                    || exists(&format!("{}/{protocol}", directory(path)));
                !is_child || root(&tokens, index) == Some("crate")
            }
        })
    });
    named.collect()
}

/// Whether the name at this place is the first segment of a path that begins at the crate's root.
fn is_root_module(tokens: &[String], index: usize) -> bool {
    let after = tokens.get(index + 1).map(String::as_str);
    match root(tokens, index) {
        Some("crate" | "super") => true,
        Some(_) => false,
        None => after == Some("::"),
    }
}

/// What comes before the name at this place in its path: `crate`, `super`, another name, or nothing.
fn root(tokens: &[String], index: usize) -> Option<&str> {
    let before = index.checked_sub(1)?;
    if tokens[before] == "::" {
        return Some(before.checked_sub(1).map_or("", |it| &tokens[it]));
    }
    // Within `use crate::{…}` the path goes on before the brace that is open.
    let mut depth = 0;
    for place in (0..index).rev() {
        match tokens[place].as_str() {
            ";" => return None,
            "}" => depth += 1,
            "{" if depth > 0 => depth -= 1,
            "{" => {
                let is_path = place >= 2 && tokens[place - 1] == "::";
                return is_path.then(|| tokens[place - 2].as_str());
            }
            _ => {}
        }
    }
    None
}

/// The directory of the modules within this one.
fn directory(path: &str) -> &str {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.strip_suffix("/mod").unwrap_or(path)
}
