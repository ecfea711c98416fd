//! Checks the imports between layers. They go one way: from the client's `src` to `backends`, and from `src/v2` and
//! `src/v3` to the modules that do not depend on a protocol.

use std::collections::BTreeSet;

use crate::{
    code::tokens,
    sources::{assert_only, exists, names, with_extension},
};

/// The modules of the protocols.
const PROTOCOLS: [&str; 2] = ["v2", "v3"];

/// The modules that may import the protocols: themselves, the crate's root, and those built on the public API.
const MAY_KNOW_THEM: [&str; 4] = ["src/v2/", "src/v3/", "src/lib.rs", "src/recipes/"];

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

/// The client uses the backends, which must not use it, not even in tests and examples. In particular the fake must be
/// an independent oracle.
#[test]
fn no_backend_knows_the_client() {
    let mut found = BTreeSet::new();
    for source in with_extension("rs") {
        if source.path.starts_with("backends/") && names(&source.text, "etcd_http") {
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
        if manifest.path.starts_with("backends/") && manifest.text.lines().any(is_dependency) {
            found.insert(manifest.path);
        }
    }
    assert_only("names the client's crate", &found, &[]);
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
