//! The packages that are published: what they say of themselves, and which files they have.

use std::{collections::BTreeSet, env, process::Command};

use serde_json::Value;

use crate::{
    dependencies::{members, metadata, name, root},
    sources::assert_only,
};

/// In the order in which they can be published: each after those that it depends on.
const PUBLISHED: [&str; 10] = [
    "etcd-transport",
    "etcd-server",
    "etcd-transport-conformance",
    "etcd-http-fake",
    "etcd-fake",
    "etcd-transport-hyper",
    "etcd-transport-isahc",
    "etcd-transport-reqwest",
    "etcd-transport-tower",
    "etcd-http",
];

#[test]
fn packages_say_what_they_are_and_can_be_published_in_this_order() {
    let metadata = metadata();
    let published: BTreeSet<&str> = members(&metadata).filter(is_published).map(name).collect();
    assert_eq!(published, BTreeSet::from(PUBLISHED));
    let mut wrong = BTreeSet::new();
    for package in members(&metadata).filter(is_published) {
        let mut require = |what: &str, is_so: bool| {
            if !is_so {
                wrong.insert(format!("{}: {what}", name(package)));
            }
        };
        let text = |field: &str| package[field].as_str().unwrap_or_default();
        require("description", text("description").len() > 20);
        require("license", text("license") == "MIT OR Apache-2.0");
        require("repository", text("repository").starts_with("https://"));
        require("rust-version", !text("rust_version").is_empty());
        require("README", text("readme") == "README.md");
        // The limits of crates.io.
        let keywords = package["keywords"].as_array().map_or(0, Vec::len);
        require("keywords", (1..=5).contains(&keywords));
        let categories = package["categories"].as_array().map_or(0, Vec::len);
        require("categories", (1..=5).contains(&categories));
        let has_features = package["features"]
            .as_object()
            .is_some_and(|it| it.len() > 1);
        let all_features = &package["metadata"]["docs"]["rs"]["all-features"];
        require(
            "docs.rs with all features",
            !has_features || *all_features == true,
        );
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let is_dev = dependency["kind"] == "dev";
            let has_version = dependency["req"] != "*";
            if let Some(place) = place(other) {
                require(
                    "the order",
                    is_dev || Some(place) < self::place(name(package)),
                );
                require("a version of each dependency", is_dev || has_version);
            } else if dependency["path"].is_string() {
                require("dependencies that are published", is_dev && !has_version);
            }
        }
    }
    assert_only("is not as it must be to be published", &wrong, &[]);
}

fn is_published(package: &&Value) -> bool {
    !package["publish"].as_array().is_some_and(Vec::is_empty)
}

fn place(package: &str) -> Option<usize> {
    PUBLISHED.iter().position(|it| *it == package)
}

#[test]
fn packages_have_their_sources_and_texts_and_no_tests() {
    let mut wrong = BTreeSet::new();
    for package in PUBLISHED {
        let files = files(package);
        for required in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            if !files.iter().any(|file| file == required) {
                wrong.insert(format!("{package}: {required} is missing"));
            }
        }
        let own = ["src/", "examples/", "docs/"];
        for file in &files {
            let is_text = !file.contains('/');
            let is_own = own.iter().any(|directory| file.starts_with(directory));
            if !is_own && !is_text {
                wrong.insert(format!("{package}: {file}"));
            }
        }
        println!("{package}: {} files", files.len());
    }
    assert_only("is in a package, or is not", &wrong, &[]);
}

/// The files of a package, as cargo lists them.
fn files(package: &str) -> Vec<String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "package",
            "--list",
            "--allow-dirty",
            "--offline",
            "--package",
            package,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let listed = String::from_utf8_lossy(&output.stdout);
    listed.lines().map(|line| line.replace('\\', "/")).collect()
}
