use std::{error::Error, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::snapshot_v3;
use crate::{
    cluster::{
        core::{Core, Shared},
        request_log::RequestLog,
    },
    fake::FakeEtcd,
    go::{json::push_string, path},
    profile::Profile,
    v2::store::{event::Text, record::NodeRecord},
};

/// Reading, saving, restoring and copying the data.
impl FakeEtcd {
    /// The store's index, as the header `X-Etcd-Index` has it.
    pub fn index(&self) -> u64 {
        self.shared.with(|core| core.cluster.state.v2.index())
    }

    /// The value of a key; `None` for a directory or a missing key. The read is neither counted nor logged.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let path = path::clean(format!("/1/{key}").as_bytes());
        self.shared.with(|core| {
            let tree = &core.cluster.state.v2.tree;
            let id = tree.lookup(&path).ok()?;
            tree.value(id).map(|value| value.to_vec())
        })
    }

    /// All keys, sorted, including hidden ones and directories. A directory ends in `/`.
    pub fn keys(&self) -> Vec<String> {
        let records = self.shared.with(|core| core.cluster.state.v2.export());
        let mut keys: Vec<String> = records.iter().map(NodeRecord::shown_key).collect();
        keys.sort_unstable();
        keys
    }

    /// Copies the fake: the same data, clock, members and endpoints, but no watches, no faults and an empty log. The two are
    /// independent from then on.
    pub fn fork(&self) -> Self {
        let core = self.shared.with(|core| {
            let log = RequestLog::new(core.log.capacity());
            let (cluster, time) = (core.cluster.fork(), core.time.fork());
            Core::new(cluster, time, core.endpoints.clone(), log)
        });
        Self {
            shared: Shared::new(core),
        }
    }

    /// The data of both stores as text: one JSON object per line. The index of the v2 store is first, then its keys, parents
    /// before their children; then come the revision of the v3 store, its leases, and all its changes that are not compacted.
    ///
    /// What is not UTF-8 is base64 in fields like `bytes`. Users, roles and alarms are left out.
    pub fn dump(&self) -> String {
        let (index, records, lines) = self.shared.with(|core| {
            let stores = &core.cluster.state;
            let lines = snapshot_v3::dump(&stores.v3);
            (stores.v2.index(), stores.v2.export(), lines)
        });
        let mut out = format!("{{\"index\":{index}}}\n").into_bytes();
        for record in &records {
            push_record(&mut out, record);
        }
        for line in lines {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Replaces the data of both stores by those of a [`dump`](Self::dump), as restoring a server does: open watches break off, and
    /// the history of v2 events is empty.
    ///
    /// # Errors
    /// When the text is not a dump. Nothing has changed then.
    pub fn load(&self, dump: &str) -> Result<(), LoadError> {
        let mut index = None;
        let mut records = Vec::new();
        let mut lines = Vec::new();
        for (position, line) in dump.lines().enumerate() {
            let error = |message: &str| LoadError {
                line: position + 1,
                message: message.to_owned(),
            };
            let value: Value = serde_json::from_str(line).map_err(|e| error(&e.to_string()))?;
            if index.is_none() {
                let number = value.get("index").and_then(Value::as_u64);
                index = Some(number.ok_or_else(|| error("the first line has no index"))?);
            } else if let Some(record) = record(&value) {
                records.push(record);
            } else {
                let line = snapshot_v3::parse(&value);
                lines.push(line.ok_or_else(|| error("not a key, a lease or a change"))?);
            }
        }
        let index = index.ok_or_else(|| LoadError {
            line: 1,
            message: "the dump is empty".to_owned(),
        })?;
        self.shared.with(|core| {
            core.stop_servers();
            core.cluster.restore(|stores| {
                stores.v2.import(index, &records);
                stores.v3 = stores.v3.without_data();
                snapshot_v3::load(&mut stores.v3, lines);
            });
        });
        Ok(())
    }
}

/// Why a text is not a dump of an etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    line: usize,
    message: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the dump: {}", self.line, self.message)
    }
}

impl Error for LoadError {}

fn push_record(out: &mut Vec<u8>, record: &NodeRecord) {
    // The profiles differ only in two escapes, and both spellings mean the same.
    let profile = Profile::V3_5;
    let key = String::from_utf8_lossy(record.key());
    out.extend_from_slice(b"{\"key\":");
    push_string(out, key.as_bytes(), profile);
    if key.as_bytes() != record.key() {
        let bytes = STANDARD.encode(record.key());
        out.extend_from_slice(format!(",\"keyBytes\":\"{bytes}\"").as_bytes());
    }
    match &record.value {
        None => out.extend_from_slice(b",\"dir\":true"),
        Some(value) => match std::str::from_utf8(value) {
            Ok(text) => {
                out.extend_from_slice(b",\"value\":");
                push_string(out, text.as_bytes(), profile);
            }
            Err(_) => {
                let bytes = STANDARD.encode(value);
                out.extend_from_slice(format!(",\"bytes\":\"{bytes}\"").as_bytes());
            }
        },
    }
    let (created, modified) = (record.created, record.modified);
    let indexes = format!(",\"created\":{created},\"modified\":{modified}");
    out.extend_from_slice(indexes.as_bytes());
    if let Some(at) = record.expires {
        out.extend_from_slice(format!(",\"expires\":{at}").as_bytes());
    }
    out.extend_from_slice(b"}\n");
}

fn record(value: &Value) -> Option<NodeRecord> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text(name).and_then(|text| STANDARD.decode(text).ok());
    let key = bytes("keyBytes").or_else(|| text("key").map(|key| key.as_bytes().to_vec()))?;
    if !key.starts_with(b"/") || path::clean(&key) != key {
        return None;
    }
    let is_dir = value
        .get("dir")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let content = match (is_dir, bytes("bytes"), text("value")) {
        (true, _, _) => None,
        (false, Some(bytes), _) => Some(Text::from(bytes)),
        (false, None, Some(text)) => Some(Text::from(text.as_bytes())),
        (false, None, None) => return None,
    };
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    Some(NodeRecord {
        path: [b"/1", &key[..]].concat(),
        value: content,
        created: number("created")?,
        modified: number("modified")?,
        expires: value.get("expires").and_then(Value::as_i64),
    })
}
