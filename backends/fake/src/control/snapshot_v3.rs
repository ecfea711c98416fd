//! The v3 store in a dump: its revisions, its leases, and every change that is not compacted.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::v3::{
    Store,
    message::kv::KeyValue,
    mvcc::{Change, Revision},
};

/// A line of a dump that is about the v3 store.
#[derive(Debug)]
pub(super) enum Line {
    Revisions {
        current: i64,
        compacted: i64,
    },
    Lease {
        id: i64,
        ttl: i64,
        /// Nanoseconds since the Unix epoch.
        expires: i128,
    },
    Change(Revision, Change),
}

/// The lines of a store, none if it is new.
pub(super) fn dump(store: &Store) -> Vec<String> {
    let mvcc = &store.mvcc;
    let leases: Vec<i64> = store.leases.ids().collect();
    if mvcc.revision() == 1 && leases.is_empty() {
        return Vec::new();
    }
    let revisions = json!({"revision": mvcc.revision(), "compacted": mvcc.compacted()});
    let mut lines = vec![json!({"v3": revisions})];
    for (id, lease) in leases
        .into_iter()
        .filter_map(|id| Some((id, store.leases.get(id)?)))
    {
        // The end of the longest lease does not fit into a number of JSON.
        let expires = lease.expires().to_string();
        lines.push(json!({"lease": id, "ttl": lease.ttl, "expires": expires}));
    }
    for (revision, change) in mvcc.changes_from(0) {
        let kv = &change.kv;
        let mut line = json!({"revision": [revision.main, revision.sub]});
        push_bytes(
            &mut line,
            if change.is_delete { "delete" } else { "put" },
            &kv.key,
        );
        if !change.is_delete {
            push_bytes(&mut line, "value", &kv.value);
            line["created"] = kv.create_revision.into();
            line["version"] = kv.version.into();
            line["lease"] = kv.lease.into();
        }
        lines.push(line);
    }
    lines.iter().map(Value::to_string).collect()
}

/// Reads a line; `None` if it is not one of the v3 store.
pub(super) fn parse(line: &Value) -> Option<Line> {
    let number = |name: &str| line.get(name).and_then(Value::as_i64);
    if let Some(v3) = line.get("v3") {
        return Some(Line::Revisions {
            current: v3.get("revision")?.as_i64()?,
            compacted: v3.get("compacted")?.as_i64()?,
        });
    }
    let Some(revision) = line.get("revision") else {
        return Some(Line::Lease {
            id: number("lease")?,
            ttl: number("ttl")?,
            expires: line.get("expires")?.as_str()?.parse().ok()?,
        });
    };
    let part = |place: usize| revision.get(place).and_then(Value::as_i64);
    let revision = Revision {
        main: part(0)?,
        sub: part(1)?,
    };
    let mod_revision = revision.main;
    let deleted = bytes(line, "delete");
    let is_delete = deleted.is_some();
    let kv = match deleted {
        Some(key) => KeyValue {
            key,
            mod_revision,
            ..KeyValue::default()
        },
        None => KeyValue {
            key: bytes(line, "put")?,
            value: bytes(line, "value")?,
            create_revision: number("created")?,
            mod_revision,
            version: number("version")?,
            lease: number("lease")?,
        },
    };
    let kv = Arc::new(kv);
    Some(Line::Change(revision, Change { kv, is_delete }))
}

/// Fills a new store with what the lines say.
pub(super) fn load(store: &mut Store, lines: Vec<Line>) {
    let mut changes = Vec::new();
    for line in lines {
        match line {
            Line::Revisions { current, compacted } => store.mvcc.set_revisions(current, compacted),
            Line::Lease { id, ttl, expires } => store.leases.import(id, ttl, expires),
            Line::Change(revision, change) => changes.push((revision, change)),
        }
    }
    // A dump that was edited may have them in another order.
    changes.sort_by_key(|(revision, _)| *revision);
    for (revision, change) in changes {
        store.mvcc.record(revision, change);
    }
    let attached: Vec<(i64, Bytes)> = store
        .mvcc
        .live_from(b"")
        .filter(|kv| kv.lease != 0)
        .map(|kv| (kv.lease, kv.key.clone()))
        .collect();
    for (lease, key) in attached {
        store.leases.attach(lease, key);
    }
}

/// Adds bytes as text, or in base64 under a longer name.
fn push_bytes(line: &mut Value, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => line[name] = text.into(),
        Err(_) => line[format!("{name}Bytes")] = STANDARD.encode(bytes).into(),
    }
}

fn bytes(line: &Value, name: &str) -> Option<Bytes> {
    if let Some(text) = line.get(name).and_then(Value::as_str) {
        return Some(text.to_owned().into());
    }
    let encoded = line.get(format!("{name}Bytes"))?.as_str()?;
    STANDARD.decode(encoded).ok().map(Bytes::from)
}
