//! Checks the imports within the fake. They go one way, from what a test does with it to the cluster below, and no files of
//! different folders import each other, directly or through others.

use std::collections::BTreeSet;

use crate::{
    imports::Imports,
    sources::{Source, assert_only, with_extension},
};

/// The layers, the lowest first. The longest name that fits a file decides.
const LAYERS: [&[&str]; 10] = [
    &["go/", "password.rs", "profile.rs", "rng.rs"],
    &["cluster/"],
    &["v2/store/", "v3/"],
    // What a member stores for both APIs.
    &["state.rs"],
    &["v2/", "v3/api/"],
    // The handle, on which the layers above it put their functions.
    &["fake.rs"],
    &["front/"],
    &["control/"],
    &["explore/"],
    &["lib.rs"],
];

#[test]
fn the_fake_imports_from_its_own_layer_or_a_lower_one() {
    let imports = imports();
    let upward = imports.edges().filter(|(from, to)| layer(to) > layer(from));
    let found = upward.map(|(from, to)| format!("{from} -> {to}"));
    assert_only(
        "imports from a higher layer of the fake",
        &found.collect(),
        &[],
    );
}

#[test]
fn no_files_of_different_folders_of_the_fake_import_each_other() {
    let imports = imports();
    let folder = |file: &str| {
        file.rsplit_once('/')
            .map_or("", |(folder, _)| folder)
            .to_owned()
    };
    let found = imports.circles().into_iter().filter(|circle| {
        let folders: BTreeSet<_> = circle.iter().map(|file| folder(file)).collect();
        folders.len() > 1
    });
    let found = found.map(|circle| Vec::from_iter(circle).join(", "));
    assert_only("circles in the fake", &found.collect(), &[]);
}

/// What the files of the fake import. Their paths begin with `src/`.
fn imports() -> Imports {
    let sources = with_extension("rs").into_iter().filter_map(|source| {
        let path = source.path.strip_prefix("backends/fake/")?;
        path.starts_with("src/").then(|| Source {
            path: path.to_owned(),
            text: source.text,
        })
    });
    let imports = Imports::read(&sources.collect::<Vec<_>>());
    let count = imports.edges().count();
    assert!(count > 300, "{count} imports");
    imports
}

fn layer(file: &str) -> usize {
    let path = file.trim_start_matches("src/");
    let fits = |name: &&&str| path.starts_with(**name);
    let fitting = LAYERS.iter().enumerate().filter_map(|(number, names)| {
        let longest = names.iter().filter(fits).map(|name| name.len()).max()?;
        Some((longest, number))
    });
    let (_, number) = fitting
        .max()
        .unwrap_or_else(|| panic!("{file} is in no layer"));
    number
}
