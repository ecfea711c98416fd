//! Checks the imports within the fake. They go one way, from what a test does with it to the cluster below, and no files of
//! different folders import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    imports::{Graph, circles},
    sources::{assert_only, with_extension},
};

const ROOT: &str = "backends/fake/src/";

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
    let mut found = BTreeSet::new();
    for (file, imported) in &graph() {
        for other in imported {
            if layer(other) > layer(file) {
                found.insert(format!("{file}: {other}"));
            }
        }
    }
    assert_only("imports from a higher layer of the fake", &found, &[]);
}

#[test]
fn no_files_of_different_folders_of_the_fake_import_each_other() {
    let folder = |file: &str| {
        file.rsplit_once('/')
            .map_or("", |(folder, _)| folder)
            .to_owned()
    };
    let found = circles(&graph()).into_iter().filter(|circle| {
        let folders: BTreeSet<_> = circle.iter().map(|file| folder(file)).collect();
        folders.len() > 1
    });
    let found = found.map(|circle| circle.join(" ")).collect();
    assert_only("circles in the fake", &found, &[]);
}

/// The files of the fake, and what they import. Tests may use anything.
fn graph() -> Graph {
    let sources = with_extension("rs").into_iter().filter_map(|source| {
        let path = source.path.strip_prefix(ROOT)?;
        let is_test = path.ends_with("tests.rs");
        (!is_test).then(|| (path.to_owned(), source.text))
    });
    let sources: BTreeMap<_, _> = sources.collect();
    assert!(sources.len() > 100, "{} files", sources.len());
    crate::imports::graph(&sources)
}

fn layer(file: &str) -> usize {
    let fits = |name: &&&str| file.starts_with(**name);
    let fitting = LAYERS.iter().enumerate().filter_map(|(number, names)| {
        let longest = names.iter().filter(fits).map(|name| name.len()).max()?;
        Some((longest, number))
    });
    let (_, number) = fitting
        .max()
        .unwrap_or_else(|| panic!("{file} is in no layer"));
    number
}
