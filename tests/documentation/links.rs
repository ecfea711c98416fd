//! Links within the repository lead somewhere: files, headings, and items that docs.rs will have.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Source, assert_only, exists, with_extension};

/// Where the repository's files are shown.
const REPOSITORY: &str = "https://github.com/etcd-http/etcd-http/";

/// Where items of these crates are shown.
const DOCS: &str = "https://docs.rs/";

#[test]
fn every_internal_link_leads_somewhere() {
    let pages = with_extension("md");
    let sources = with_extension("rs");
    let anchors: BTreeMap<&str, BTreeSet<String>> = pages
        .iter()
        .map(|page| (page.path.as_str(), anchors(&page.text)))
        .collect();
    let mut broken = BTreeSet::new();
    let mut count = 0;
    for page in &pages {
        for link in links(&page.text) {
            count += 1;
            if let Some(target) = target(&page.path, link)
                && !leads_somewhere(&target, &anchors)
            {
                broken.insert(format!("{}: {link}", page.path));
            }
            // rustdoc knows the path of an item; who reads the page in the repository does not.
            if link.contains("::") {
                broken.insert(format!("{}: {link}", page.path));
            }
            if let Some(item) = item(link)
                && !is_declared(item, &sources)
            {
                broken.insert(format!("{}: {link}", page.path));
            }
        }
    }
    for source in sources.iter().filter(|it| !it.path.starts_with("tests/")) {
        for link in of_the_repository(&source.text) {
            count += 1;
            let target = target(&source.path, link).unwrap_or_default();
            if !leads_somewhere(&target, &anchors) {
                broken.insert(format!("{}: {link}", source.path));
            }
        }
    }
    assert!(count > 100, "{count} links were found");
    assert_only("leads nowhere", &broken, &[]);
}

#[test]
fn every_reference_has_its_link() {
    let mut missing = BTreeSet::new();
    for page in with_extension("md") {
        let defined =
            prose(&page.text).filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
        let defined: BTreeSet<String> = defined.map(|(label, _)| label.to_lowercase()).collect();
        let undefined = references(&page.text);
        let undefined = undefined.iter().filter(|label| !defined.contains(*label));
        missing.extend(undefined.map(|label| format!("{}: [{label}]", page.path)));
    }
    assert_only("has no link", &missing, &[]);
}

/// The labels of the links whose target is elsewhere on the page, in lower case.
fn references(text: &str) -> Vec<String> {
    let text = prose(text).collect::<Vec<_>>().join("\n");
    let labels = text.match_indices('[').filter_map(|(start, _)| {
        let is_code = text[..start].matches('`').count() % 2 == 1;
        let (label, after) = text[start + 1..].split_once(']')?;
        // Of `[text][label]`, the label follows.
        let is_other = label.contains('[') || after.starts_with(['(', '[', ':']);
        (!is_code && !is_other).then(|| label.replace('\n', " ").to_lowercase())
    });
    labels.collect()
}

/// The file of the repository, and the anchor, that a link of this page names; `None` if it is elsewhere.
fn target(page: &str, link: &str) -> Option<String> {
    if let Some(path) = link.strip_prefix(REPOSITORY) {
        let path = path.strip_prefix("blob/").or(path.strip_prefix("tree/"));
        return Some(path?.strip_prefix("main/")?.to_owned());
    }
    let is_path = link.contains('/') || link.contains(".md") || link.starts_with('#');
    if link.contains("://") || link.contains("::") || !is_path {
        return None;
    }
    if link.starts_with('#') {
        return Some(format!("{page}{link}"));
    }
    let mut segments: Vec<&str> = page.split('/').collect();
    segments.pop();
    for segment in link.split('/') {
        match segment {
            "." | "" => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    Some(segments.join("/"))
}

fn leads_somewhere(target: &str, anchors: &BTreeMap<&str, BTreeSet<String>>) -> bool {
    match target.split_once('#') {
        None => exists(target),
        Some((path, anchor)) => anchors
            .get(path)
            .is_some_and(|known| known.contains(anchor)),
    }
}

/// The links of a page, outside of its code.
fn links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    for line in prose(text) {
        for (start, _) in line.match_indices("](") {
            let rest = &line[start + 2..];
            links.extend(rest.split([')', ' ']).next());
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            links.push(target.trim());
        }
    }
    links
}

/// The addresses of this repository's files in a source.
fn of_the_repository(text: &str) -> Vec<&str> {
    let found = text.match_indices(REPOSITORY);
    let links = found.map(|(start, _)| {
        let is_end = |it: char| it.is_whitespace() || matches!(it, ')' | '"' | '`' | '>' | '<');
        text[start..].split(is_end).next().unwrap_or_default()
    });
    links.filter(|link| link.contains("/main/")).collect()
}

/// The lines outside of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of a page: those of its headings, as GitHub makes them, and its own.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| {
        let title = line.trim_start_matches('#');
        line.starts_with('#').then(|| slug(title.trim()))
    });
    let own = text.split("<a id=\"").skip(1);
    let own = own.filter_map(|rest| rest.split('"').next());
    headings.chain(own.map(str::to_owned)).collect()
}

fn slug(title: &str) -> String {
    let kept = title.chars().filter_map(|it| match it {
        ' ' => Some('-'),
        '-' | '_' => Some(it),
        it if it.is_alphanumeric() => Some(it.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The kind and the name of the item that a link to docs.rs shows, as of `…/struct.Put.html`.
fn item(link: &str) -> Option<(&str, &str)> {
    let page = link.strip_prefix(DOCS)?.split('#').next()?;
    let (kind, rest) = page.rsplit('/').next()?.split_once('.')?;
    Some((kind, rest.strip_suffix(".html")?))
}

fn is_declared((kind, name): (&str, &str), sources: &[Source]) -> bool {
    let declaration = format!("pub {kind} {name}");
    let mut own = sources
        .iter()
        .filter(|it| it.path.starts_with("src/") || it.path.contains("/src/"));
    own.any(|source| {
        source.text.match_indices(&declaration).any(|(start, _)| {
            let after = source.text[start + declaration.len()..].chars().next();
            !after.is_some_and(|it| it.is_alphanumeric() || it == '_')
        })
    })
}

#[test]
fn links_are_found_and_resolved() {
    let text = "# A `b` of c's\n[x](../a.md#b-c) and [y](#z)\n```\n[no](no.md)\n```\n[w]: https://docs.rs/a/latest/a/struct.B.html#c\n";
    let found = links(text);
    let referring = "[A\nb], [c][`D`], `x[0]`, [e](f) and [G].\n\n[g]: h\n";
    assert_eq!(references(referring), ["a b", "`d`", "g"]);
    assert_eq!(
        found,
        [
            "../a.md#b-c",
            "#z",
            "https://docs.rs/a/latest/a/struct.B.html#c"
        ]
    );
    assert_eq!(item(found[2]), Some(("struct", "B")));
    assert_eq!(target("docs/x.md", found[0]), Some("a.md#b-c".to_owned()));
    assert_eq!(
        target("docs/x.md", found[1]),
        Some("docs/x.md#z".to_owned())
    );
    assert_eq!(target("docs/x.md", "Client::send"), None);
    let ours = format!("{REPOSITORY}blob/main/docs/a.md");
    assert_eq!(target("README.md", &ours), Some("docs/a.md".to_owned()));
    assert_eq!(anchors(text), BTreeSet::from(["a-b-of-cs".to_owned()]));
    let source = Source {
        path: "src/a.rs".to_owned(),
        text: "pub struct Bc; pub struct B<T>(T);".to_owned(),
    };
    assert!(is_declared(("struct", "B"), &[source]));
}
