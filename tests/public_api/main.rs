//! Checks the public interface of the published crates, as rustdoc describes it: whose types it names, and which of its own types
//! can get no more fields or variants. And it is recorded in `recorded/`, so that a change of it is seen.

mod record;
mod types;

use std::{
    collections::BTreeSet, env, fs, os::unix::fs::PermissionsExt, path::Path, process::Command,
};

use serde_json::Value;

/// The crates, and those whose types they name besides the standard library's. A later major version of one of these is a breaking
/// change: the reasons are in `docs/architecture.md`.
const CRATES: [(&str, &[&str]); 6] = [
    (
        "etcd_http",
        &[
            "bytes",
            "etcd_transport",
            "futures_core",
            "futures_io",
            "http",
            "serde_core",
        ],
    ),
    ("etcd_transport", &["bytes", "http", "http_body"]),
    ("etcd_transport_hyper", &["etcd_transport", "rustls"]),
    ("etcd_transport_isahc", &["etcd_transport", "isahc"]),
    ("etcd_transport_reqwest", &["etcd_transport", "reqwest"]),
    (
        "etcd_transport_tower",
        &["etcd_transport", "http", "http_body", "tower_service"],
    ),
];

/// The published crates beside these, whose interface is recorded as well. Their users are tests.
const FOR_TESTS: [&str; 3] = [
    "etcd_http_fake",
    "etcd_server",
    "etcd_transport_conformance",
];

/// Types with public fields or variants that will have no others, each for the reason in its documentation.
const EXHAUSTIVE: [&str; 4] = [
    "etcd_http: CacheChange",
    "etcd_http: MirrorChange",
    "etcd_http: SrvRecord",
    "etcd_http: WatchUpdate",
];

/// Not part of the interface: hidden from the documentation, and named by hidden methods only.
const HIDDEN: [&str; 2] = ["Found", "Wire"];

#[test]
fn the_public_interface_names_the_types_of_listed_crates_only() {
    let interfaces = interfaces();
    let mut found = Vec::new();
    let mut expected = Vec::new();
    for (interface, (name, allowed)) in interfaces.iter().zip(CRATES) {
        println!("{name}: {} public items", interface.len());
        found.push((name, interface.foreign_crates()));
        expected.push((name, allowed.iter().map(|&it| it.to_owned()).collect()));
    }
    assert_eq!(found, expected);
    let exhaustive: BTreeSet<_> = interfaces
        .iter()
        .zip(CRATES)
        .flat_map(|(interface, (name, _))| {
            let types = interface.exhaustive_types().into_iter();
            types.map(move |it| format!("{name}: {it}"))
        })
        .collect();
    let decided: BTreeSet<_> = EXHAUSTIVE.iter().map(|&it| it.to_owned()).collect();
    assert_eq!(
        exhaustive, decided,
        "add #[non_exhaustive], or say in the documentation why not"
    );
    assert_recorded();
}

/// A change of the interface is a decision: below 1.0, one that breaks what compiled needs a new minor version.
fn assert_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut changes = String::new();
    for name in CRATES.map(|(name, _)| name).into_iter().chain(FOR_TESTS) {
        let path = root.join(format!("tests/public_api/recorded/{name}.txt"));
        let lines = record::lines(&description(name));
        if env::var_os(RECORD).is_some() {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            fs::write(&path, text).unwrap();
        }
        let recorded = fs::read_to_string(&path).unwrap_or_default();
        let recorded: BTreeSet<String> = recorded.lines().map(str::to_owned).collect();
        let gone = recorded
            .difference(&lines)
            .map(|line| format!("- {line}\n"));
        let new = lines
            .difference(&recorded)
            .map(|line| format!("+ {line}\n"));
        changes.extend(gone.chain(new));
    }
    assert!(
        changes.is_empty(),
        "the public interface has changed:\n{changes}If it is meant to, run the test with {RECORD}=1, and commit the change of the \
         record with the line in CHANGELOG.md"
    );
}

/// If it is set, the interface is recorded as it is.
const RECORD: &str = "ETCD_HTTP_RECORD_API";

/// Lets rustdoc describe the crates as JSON, which only an unstable option does, and reads it.
fn interfaces() -> Vec<Interface> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let rustdoc = target.join("rustdoc-json");
    // Set for rustdoc alone: build scripts that see it would be run again.
    let script = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";
    fs::write(&rustdoc, script).unwrap();
    fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "doc",
            "--quiet",
            "--workspace",
            "--all-features",
            "--no-deps",
            "--lib",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUSTDOC", &rustdoc)
        .env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let interfaces = CRATES.iter().map(|(name, _)| Interface(description(name)));
    interfaces.collect()
}

/// What rustdoc has written of a crate.
fn description(name: &str) -> Value {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let json = fs::read(target.join(format!("../doc/{name}.json"))).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// What rustdoc says of a crate.
struct Interface(Value);

impl Interface {
    /// The items of this crate, with their kinds.
    fn items(&self) -> impl Iterator<Item = (&Value, &str, &Value)> {
        let items = self.0["index"].as_object().unwrap().values();
        items
            .filter(|item| item["crate_id"] == 0)
            .filter_map(|item| {
                let (kind, inner) = item["inner"].as_object()?.iter().next()?;
                Some((item, kind.as_str(), inner))
            })
    }

    /// The number of public items: modules, types, traits, fields, variants, functions, constants.
    fn len(&self) -> usize {
        let of_traits: BTreeSet<_> = self
            .items()
            .filter(|(_, kind, inner)| *kind == "impl" && !inner["trait"].is_null())
            .flat_map(|(_, _, inner)| inner["items"].as_array().into_iter().flatten())
            .filter_map(Value::as_u64)
            .collect();
        self.items()
            .filter(|(item, kind, _)| {
                let id = item["id"].as_u64().unwrap_or_default();
                !matches!(*kind, "impl" | "use") && !of_traits.contains(&id)
            })
            .count()
    }

    /// The crates, other than those of the standard library, whose types and traits the items name.
    fn foreign_crates(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for (_, kind, inner) in self.items() {
            let is_automatic = inner["is_synthetic"] == true || !inner["blanket_impl"].is_null();
            let is_left_out = match kind {
                "impl" => is_automatic,
                kind => matches!(kind, "module" | "use"),
            };
            if !is_left_out {
                named(inner, &mut ids);
            }
        }
        let crates = ids.iter().filter_map(|id| {
            let number = self.0["paths"].get(id.to_string())?["crate_id"].as_u64()?;
            let known = self.0["external_crates"].get(number.to_string())?;
            known["name"].as_str().map(str::to_owned)
        });
        let is_of_std = |name: &String| matches!(name.as_str(), "alloc" | "core" | "std");
        crates.filter(|name| !is_of_std(name)).collect()
    }

    /// The types whose users could not go on after another field or variant.
    fn exhaustive_types(&self) -> BTreeSet<String> {
        let found = self.items().filter(|(item, kind, inner)| {
            let can_be_made = match *kind {
                "enum" => true,
                "struct" => {
                    let fields = &inner["kind"]["plain"];
                    let has_fields = fields["fields"].as_array().is_some_and(|it| !it.is_empty());
                    has_fields && fields["has_stripped_fields"] == false
                }
                _ => false,
            };
            can_be_made && !item["attrs"].to_string().contains("non_exhaustive")
        });
        found
            .filter_map(|(item, ..)| item["name"].as_str())
            .filter(|name| !HIDDEN.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

/// Collects the ids of the types and traits that a description names.
fn named(description: &Value, ids: &mut BTreeSet<u64>) {
    match description {
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(name.as_str(), "resolved_path" | "trait") {
                    ids.extend(value["id"].as_u64());
                }
                named(value, ids);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|it| named(it, ids)),
        _ => {}
    }
}
