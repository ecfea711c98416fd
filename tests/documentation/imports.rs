//! Reads which files of a crate import which others.

use std::collections::{BTreeMap, BTreeSet};

use crate::{code::tokens, sources::Source};

/// The files of a crate's `src`, and what each of them imports. Test code is left out.
///
/// A path that leads through re-exports is an import from the file that defines what it names, however many modules pass it
/// on. A re-export of a module's own parts is no import.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    edges: BTreeMap<String, BTreeSet<String>>,
    /// The files that import through the crate's root, and what.
    through_root: BTreeSet<(String, String)>,
}

type Path = Vec<String>;

/// A path that a file names.
struct Named {
    /// The module where it stands, which may be an inline one.
    module: Path,
    path: Path,
    /// The name that it gets there, if it is imported.
    name: Option<String>,
    is_public: bool,
}

/// The modules of a crate.
#[derive(Default)]
struct Crate {
    /// The file of each module that has one.
    files: BTreeMap<Path, String>,
    /// What each module imports, by the name it gets.
    imported: BTreeMap<Path, BTreeMap<String, Path>>,
}

impl Imports {
    /// Reads the files below `src/`.
    pub(crate) fn read(sources: &[Source]) -> Self {
        let mut root = Crate::default();
        for source in sources {
            if let Some(module) = module_of(&source.path) {
                root.files.insert(module, source.path.clone());
            }
        }
        let mut named = Vec::new();
        let mut tests = Vec::new();
        for source in sources {
            if let Some(module) = module_of(&source.path) {
                let mut reader = Reader::new(module, tokens(&source.text));
                reader.read();
                named.extend(reader.named.into_iter().map(|it| (&source.path, it)));
                tests.extend(reader.tests);
            }
        }
        named.retain(|(path, _)| {
            let module = module_of(path).unwrap_or_default();
            !tests.iter().any(|test| module.starts_with(test))
        });
        for (_, named) in &named {
            if let (Some(name), Some(path)) = (&named.name, root.absolute(named)) {
                let imported = root.imported.entry(named.module.clone()).or_default();
                imported.insert(name.clone(), path);
            }
        }
        let mut imports = Self::default();
        for (from, named) in named {
            imports.add(&root, from, &named);
        }
        imports
    }

    fn add(&mut self, root: &Crate, from: &str, named: &Named) {
        let Some(path) = root.absolute(named) else {
            return;
        };
        let is_root = named.module.is_empty();
        if let Some(first) = path.first()
            && !is_root
            && !root.files.contains_key(&path[..1])
        {
            self.through_root.insert((from.to_owned(), first.clone()));
        }
        let Some(file) = root.defines(&path, 0) else {
            return;
        };
        let is_own = module_of(file).is_some_and(|it| it.starts_with(&named.module));
        if file != from && !(named.is_public && is_own) {
            let edges = self.edges.entry(from.to_owned()).or_default();
            edges.insert(file.to_owned());
        }
    }

    /// All pairs of a file and one that it imports from.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.edges
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |to| (from.as_str(), to.as_str())))
    }

    /// The files that import a name through the crate's root, instead of from the module that defines it.
    pub(crate) fn through_root(&self) -> impl Iterator<Item = (&str, &str)> {
        self.through_root
            .iter()
            .map(|(from, name)| (from.as_str(), name.as_str()))
    }

    /// The groups of files that import each other, directly or by way of others: the strongly connected components with more
    /// than one file.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let mut circles: Vec<BTreeSet<&str>> = Vec::new();
        for from in self.edges.keys() {
            if circles.iter().any(|circle| circle.contains(from.as_str())) {
                continue;
            }
            let reached = self.reached_from(from);
            let is_mutual = |it: &&str| self.reached_from(it).contains(from.as_str());
            let circle: BTreeSet<&str> = reached.into_iter().filter(is_mutual).collect();
            if circle.len() > 1 {
                circles.push(circle);
            }
        }
        circles
    }

    /// The files that a file imports, directly or by way of others. It is among them if it is in a circle.
    fn reached_from(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&str> = vec![from];
        while let Some(file) = left.pop() {
            for to in self.edges.get(file).into_iter().flatten() {
                if reached.insert(to.as_str()) {
                    left.push(to);
                }
            }
        }
        reached
    }
}

impl Crate {
    /// Returns the path from the crate's root, unless it leads out of the crate.
    fn absolute(&self, named: &Named) -> Option<Path> {
        let mut module = named.module.clone();
        let mut rest = named.path.as_slice();
        match rest.first()?.as_str() {
            "crate" => return Some(rest[1..].to_vec()),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|it| it == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let mut child = module.clone();
                child.push(first.to_owned());
                if !self.files.contains_key(&child) {
                    return None;
                }
            }
        }
        module.extend_from_slice(rest);
        Some(module)
    }

    /// Returns the file that defines what an absolute path names, unless that is in another crate.
    fn defines(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut end = 0;
        while end < path.len() && self.files.contains_key(&path[..=end]) {
            end += 1;
        }
        let (module, rest) = path.split_at(end);
        if let (Some(name), Some(imported)) = (rest.first(), self.imported.get(module))
            && let Some(target) = imported.get(name)
            && target != path
            && depth < 20
        {
            let target = [target, &rest[1..]].concat();
            return self.defines(&target, depth + 1);
        }
        self.files.get(module).map(String::as_str)
    }
}

/// Reads the paths in a file.
struct Reader {
    tokens: Vec<String>,
    position: usize,
    module: Path,
    /// The inline modules around this position: how many braces are open within each.
    inline: Vec<usize>,
    named: Vec<Named>,
    /// The modules that exist for tests only.
    tests: Vec<Path>,
}

impl Reader {
    fn new(module: Path, tokens: Vec<String>) -> Self {
        Self {
            tokens,
            position: 0,
            module,
            inline: Vec::new(),
            named: Vec::new(),
            tests: Vec::new(),
        }
    }

    fn read(&mut self) {
        while self.position < self.tokens.len() {
            match self.token(0) {
                "#" if self.is_test_attribute() => self.skip_test_item(),
                "mod" if self.token(2) == "{" => {
                    self.module.push(self.token(1).to_owned());
                    self.inline.push(0);
                    self.position += 3;
                }
                "use" => self.read_use(),
                "{" => {
                    if let Some(open) = self.inline.last_mut() {
                        *open += 1;
                    }
                    self.position += 1;
                }
                "}" => {
                    match self.inline.last_mut() {
                        Some(0) => {
                            self.inline.pop();
                            self.module.pop();
                        }
                        Some(open) => *open -= 1,
                        None => {}
                    }
                    self.position += 1;
                }
                _ => self.read_path(),
            }
        }
    }

    /// The token so many places from here.
    fn token(&self, distance: usize) -> &str {
        self.tokens
            .get(self.position + distance)
            .map_or("", String::as_str)
    }

    /// Whether `#[cfg(test)]` begins here, possibly with other conditions.
    fn is_test_attribute(&self) -> bool {
        let attribute = self.tokens[self.position..]
            .iter()
            .take_while(|it| *it != "]");
        let words: Vec<&str> = attribute.map(String::as_str).collect();
        words.get(2) == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not")
    }

    /// Skips an attribute and the item that it belongs to.
    fn skip_test_item(&mut self) {
        let mut depth = 0;
        while self.position < self.tokens.len() {
            match self.token(0) {
                "mod" if depth == 0 => {
                    let name = self.token(1).to_owned();
                    self.tests.push([self.module.as_slice(), &[name]].concat());
                }
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if depth == 0 {
                        self.position += 1;
                        return;
                    }
                }
                ";" if depth == 0 => {
                    self.position += 1;
                    return;
                }
                _ => {}
            }
            self.position += 1;
        }
    }

    /// Reads a path outside of a `use`, or skips a token.
    fn read_path(&mut self) {
        let before = |distance| {
            let position = self.position.checked_sub(distance)?;
            self.tokens.get(position).map(String::as_str)
        };
        // `pub(in crate::a)` imports nothing.
        let is_visibility = before(1) == Some("in") && before(2) == Some("(");
        if !is_word(self.token(0)) || matches!(before(1), Some("::" | ".")) || is_visibility {
            self.position += 1;
            return;
        }
        let mut path = vec![self.token(0).to_owned()];
        self.position += 1;
        while self.token(0) == "::" && is_word(self.token(1)) {
            path.push(self.token(1).to_owned());
            self.position += 2;
        }
        if path.len() > 1 {
            self.push(path, None, false);
        }
    }

    fn read_use(&mut self) {
        let before = self
            .position
            .checked_sub(1)
            .map(|it| self.tokens[it].as_str());
        // `pub use`, `pub(crate) use`; but `+ use<T>` captures the parameters of a type.
        let is_public = matches!(before, Some("pub" | ")"));
        self.position += 1;
        if self.token(0) != "<" {
            self.read_tree(&[], is_public);
        }
    }

    /// Reads one tree of a `use`, up to the comma, the brace or the semicolon behind it.
    fn read_tree(&mut self, prefix: &[String], is_public: bool) {
        let mut path = prefix.to_vec();
        loop {
            match self.token(0) {
                "{" => {
                    self.position += 1;
                    while !matches!(self.token(0), "}" | "") {
                        self.read_tree(&path, is_public);
                        if self.token(0) == "," {
                            self.position += 1;
                        }
                    }
                    self.position += 1;
                    return;
                }
                "as" => {
                    let name = self.token(1).to_owned();
                    self.position += 2;
                    self.push(path, Some(name), is_public);
                    return;
                }
                "::" => self.position += 1,
                "," | "}" | ";" | "" => {
                    let name = path.last().cloned();
                    self.push(path, name, is_public);
                    return;
                }
                // `{self, …}` names the module itself.
                "self" if !path.is_empty() => self.position += 1,
                word => {
                    path.push(word.to_owned());
                    self.position += 1;
                }
            }
        }
    }

    fn push(&mut self, path: Path, name: Option<String>, is_public: bool) {
        self.named.push(Named {
            module: self.module.clone(),
            path,
            name,
            is_public,
        });
    }
}

fn is_word(token: &str) -> bool {
    token
        .chars()
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// Returns the module that a file contains, if it is below `src/`: none for the crate's root.
fn module_of(path: &str) -> Option<Path> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" {
        return Some(Vec::new());
    }
    Some(path.split('/').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges between these files.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let imports = Imports::read(&sources(files));
        let edges = imports.edges();
        edges.map(|(from, to)| format!("{from} {to}")).collect()
    }

    pub(super) fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let source = |(path, text): &(&str, &str)| Source {
            path: format!("src/{path}.rs"),
            text: (*text).to_owned(),
        };
        files.iter().map(source).collect()
    }

    #[test]
    fn imports_are_found_in_every_form() {
        for code in [
            "use crate::b::c::D;",
            "use crate::b::{c::{self, D}, e};",
            "use crate::{other::X, b::{e, c::D as E}};",
            "use crate::b::c;",
            "use super::b::c::D;",
            "mod inner { use super::super::b::c::D; }",
            "fn f(d: crate::b::c::D) {}",
            "macro_rules! m { () => { $crate::b::c::d() } }",
            // The re-export of b.
            "use crate::b::D;",
            "fn f() -> crate::b::D { }",
        ] {
            let files = [
                ("lib", "mod a; mod b;"),
                ("a", code),
                ("b/mod", "mod c; pub use c::D;"),
                ("b/c", "pub struct D;"),
            ];
            assert!(
                edges(&files).contains(&"src/a.rs src/b/c.rs".to_owned()),
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_no_import_of_the_crate_is_left_out() {
        for code in [
            "// use crate::b::D;",
            "use other::b::D;",
            "#[cfg(test)] mod tests { use crate::b::D; }",
            "#[cfg(test)] use crate::b::D;",
            "pub(in crate::b) fn f() {}",
            "fn f() { self.b.d(); x.b::<D>() }",
            "fn f() -> impl Future<Output = ()> + use<T> {}",
        ] {
            let files = [
                ("lib", "mod a; mod b;"),
                ("a", code),
                ("b", "pub struct D;"),
            ];
            assert_eq!(edges(&files), [""; 0], "{code}");
        }
        // Nor is a file that exists for tests only, nor a module's list of its own parts.
        let files = [
            ("lib", "#[cfg(test)] mod a; mod b; pub use b::D;"),
            ("a", "use crate::b::D;"),
            ("b", "pub struct D;"),
        ];
        assert_eq!(edges(&files), [""; 0]);
    }

    #[test]
    fn a_re_export_is_an_import_from_what_it_names() {
        let files = [
            ("lib", "mod a; mod b; use b::d;"),
            ("a", "use crate::d;"),
            ("b/mod", "mod c; pub(crate) use c::e as d;"),
            ("b/c", "pub fn e() {}"),
        ];
        assert!(edges(&files).contains(&"src/a.rs src/b/c.rs".to_owned()));
        let imports = Imports::read(&sources(&files));
        assert!(imports.through_root().eq([("src/a.rs", "d")]));
    }
}
