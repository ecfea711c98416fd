//! The files of the repository.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A text file of the repository.
pub(crate) struct Source {
    /// Where it is: relative to the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Reads all files with this extension, in order of their paths. Hidden and build directories are skipped.
pub(crate) fn with_extension(extension: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    walk(&root(), extension, &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!sources.is_empty(), "no .{extension} file was found");
    sources
}

/// Whether the repository has this file or directory.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// Checks that what was found is what is allowed. It fails for an entry that is no longer needed, too, so that a list of
/// exceptions only ever gets shorter.
pub(crate) fn assert_only(what: &str, found: &BTreeSet<String>, allowed: &[&str]) {
    let allowed: BTreeSet<String> = allowed.iter().map(|&it| it.to_owned()).collect();
    let new: Vec<_> = found.difference(&allowed).collect();
    let gone: Vec<_> = allowed.difference(found).collect();
    assert!(new.is_empty(), "{what}: {new:#?}");
    assert!(
        gone.is_empty(),
        "{what} no longer holds for these exceptions, remove them from the list: {gone:#?}"
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(directory: &Path, extension: &str, sources: &mut Vec<Source>) {
    // Cargo puts this file into each directory that it builds in.
    if directory.join("CACHEDIR.TAG").exists() {
        return;
    }
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&path, extension, sources);
        } else if kind.is_file() && path.extension().is_some_and(|it| it == extension) {
            let relative = path.strip_prefix(root()).unwrap();
            sources.push(Source {
                path: relative.to_str().unwrap().replace('\\', "/"),
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}
