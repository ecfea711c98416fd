//! The dependencies of the crates: licenses, duplicate versions, and unused dependencies. Known vulnerabilities are not
//! checked here, since that requires a current database.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use serde_json::Value;

use crate::sources::{Source, assert_only, names, with_extension};

/// The licenses that a dependency may have. Each permits use in a program under any license.
const LICENSES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that a user's build has in more than one version, because their dependents disagree.
const DUPLICATES: &[&str] = &[
    // ring has an older one.
    "getrandom",
    // tungstenite has an older rand; it is built for etcd-fake alone.
    "r-efi",
    "rand_core",
    // openssl-macros has an older one; it is built for the feature reqwest-native-tls alone.
    "syn",
];

#[test]
fn every_license_permits_any_use() {
    let metadata = metadata();
    let mut refused = BTreeSet::new();
    for package in packages(&metadata) {
        let license = package["license"].as_str().unwrap_or_default();
        if !permits(license) {
            refused.insert(format!("{}: {license}", name(package)));
        }
    }
    assert_only("may not be used", &refused, &[]);
}

/// Of a user's build, without development dependencies.
#[test]
fn no_dependency_is_built_in_two_versions() {
    let metadata = metadata();
    let built = built(&metadata);
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages(&metadata) {
        if built.contains(package["id"].as_str().unwrap()) {
            let version = package["version"].as_str().unwrap();
            versions.entry(name(package)).or_default().insert(version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    let found = versions.keys().map(|&name| name.to_owned()).collect();
    assert_only("is built in several versions", &found, DUPLICATES);
}

#[test]
fn every_dependency_is_used() {
    let metadata = metadata();
    let sources = with_extension("rs");
    let mut unused = BTreeSet::new();
    for member in members(&metadata) {
        let manifest = member["manifest_path"].as_str().unwrap();
        let directory = manifest.trim_end_matches("Cargo.toml");
        let directory = directory
            .strip_prefix(root())
            .unwrap()
            .trim_start_matches('/');
        // The workspace's root has the other members below it.
        let own: &[_] = match directory {
            "" => &["src/", "tests/", "examples/"],
            directory => &[directory],
        };
        let is_own = |source: &&Source| own.iter().any(|it| source.path.starts_with(it));
        for dependency in member["dependencies"].as_array().unwrap() {
            let package = dependency["name"].as_str().unwrap();
            let library = members(&metadata)
                .find(|it| name(it) == package)
                .and_then(library);
            let name = dependency["rename"].as_str().or(library).unwrap_or(package);
            let name = name.replace('-', "_");
            let mut own = sources.iter().filter(is_own);
            if !own.any(|source| names(&source.text, &name)) {
                unused.insert(format!("{directory}Cargo.toml: {name}"));
            }
        }
    }
    assert_only("is not used", &unused, &[]);
}

/// Returns whether a license expression can be met by the allowed licenses.
fn permits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression.split(" AND ").all(|all| {
        all.split(" OR ").any(|one| {
            let one = one.split(" WITH ").next().unwrap_or_default();
            LICENSES.contains(&one.trim())
        })
    })
}

#[test]
fn license_expressions_are_read() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT OR GPL-3.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
        ("", false),
    ] {
        assert_eq!(permits(expression), expected, "{expression}");
    }
}

/// The output of `cargo metadata` for the workspace with every feature.
pub(crate) fn metadata() -> Value {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--all-features",
        "--locked",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn root() -> &'static str {
    env!("CARGO_MANIFEST_DIR")
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

pub(crate) fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    packages(metadata).filter(|package| package["source"].is_null())
}

pub(crate) fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// The name of a package's library, which may differ from its own.
fn library(package: &Value) -> Option<&str> {
    let mut targets = package["targets"].as_array()?.iter();
    let library = targets.find(|target| target["kind"][0] == "lib")?;
    library["name"].as_str()
}

/// The ids of the packages that a published crate's build consists of on this platform, with every feature.
fn built(metadata: &Value) -> BTreeSet<&str> {
    let nodes: BTreeMap<_, _> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let published = |package: &&Value| !package["publish"].as_array().is_some_and(Vec::is_empty);
    let mut left: Vec<_> = members(metadata)
        .filter(published)
        .map(|package| package["id"].as_str().unwrap())
        .collect();
    let mut built = BTreeSet::new();
    while let Some(id) = left.pop() {
        if !built.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let mut kinds = dependency["dep_kinds"].as_array().unwrap().iter();
            if kinds.any(|kind| kind["kind"] != "dev" && applies(&kind["target"])) {
                left.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    built
}

/// Whether a dependency of a target counts: those of other systems do not.
fn applies(target: &Value) -> bool {
    let target = target.as_str().unwrap_or_default();
    ![
        "windows", "wasm", "wasi", "macos", "apple", "hermit", "redox",
    ]
    .iter()
    .any(|other| target.contains(other) && !target.contains("not("))
}
