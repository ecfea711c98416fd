//! The public interface as text: a line for each item, such as `fn etcd_http::v3::Put::lease(self, id: impl Into<LeaseId>) -> Self`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::types::{bounds, generics, signature, text, trait_path, type_, where_clause};

/// Returns the lines of a crate, sorted.
pub(crate) fn lines(description: &Value) -> BTreeSet<String> {
    let mut record = Record {
        index: &description["index"],
        lines: BTreeSet::new(),
    };
    let root = record.item(&description["root"]);
    let name = text(&root["name"]).to_owned();
    record.module(root, &name, 0);
    record.lines
}

struct Record<'a> {
    index: &'a Value,
    lines: BTreeSet<String>,
}

/// A module that exports itself has no end.
const MAX_DEPTH: u32 = 8;

impl<'a> Record<'a> {
    fn item(&self, id: &Value) -> &'a Value {
        &self.index[id.to_string()]
    }

    fn add(&mut self, line: String) {
        self.lines.insert(line);
    }

    fn module(&mut self, module: &'a Value, path: &str, depth: u32) {
        for id in ids(&module["inner"]["module"]["items"]) {
            let item = self.item(id);
            if item["visibility"] == "public" && depth < MAX_DEPTH {
                self.exported(item, path, depth);
            }
        }
    }

    /// An item of a module, under its own name or under the one that it is exported by.
    fn exported(&mut self, item: &'a Value, path: &str, depth: u32) {
        let used = &item["inner"]["use"];
        if used.is_null() {
            let name = text(&item["name"]);
            self.named(item, &format!("{path}::{name}"), depth);
            return;
        }
        let target = self.item(&used["id"]);
        if target.is_null() {
            // Of another crate, which has a record of its own, or is listed in docs/architecture.md.
            let source = text(&used["source"]);
            self.add(format!("use {path}::{} = {source}", text(&used["name"])));
        } else if used["is_glob"] == true {
            self.module(target, path, depth + 1);
        } else {
            self.named(target, &format!("{path}::{}", text(&used["name"])), depth);
        }
    }

    fn named(&mut self, item: &'a Value, path: &str, depth: u32) {
        let Some((kind, inner)) = item["inner"].as_object().and_then(|it| it.iter().next()) else {
            return;
        };
        let line = |what: &str| {
            let parameters = generics(&inner["generics"]);
            let clause = where_clause(&inner["generics"]);
            format!("{what} {path}{parameters}{clause}")
        };
        match kind.as_str() {
            "module" => {
                self.add(format!("mod {path}"));
                self.module(item, path, depth + 1);
            }
            "struct" => {
                self.add(line("struct"));
                let kind = &inner["kind"];
                self.fields(ids(&kind["plain"]["fields"]), path);
                self.fields(ids(&kind["tuple"]), path);
                self.impls(inner, path);
            }
            "enum" => {
                self.add(line("enum"));
                for id in ids(&inner["variants"]) {
                    let variant = self.item(id);
                    let path = format!("{path}::{}", text(&variant["name"]));
                    self.add(format!("variant {path}"));
                    let kind = &variant["inner"]["variant"]["kind"];
                    self.fields(ids(&kind["struct"]["fields"]), &path);
                    self.fields(ids(&kind["tuple"]), &path);
                }
                self.impls(inner, path);
            }
            "trait" => {
                let supertraits = bounds(&inner["bounds"]);
                self.add(format!("{}: {supertraits}", line("trait")));
                self.members(ids(&inner["items"]), path);
            }
            "type_alias" => self.add(format!("{} = {}", line("type"), type_(&inner["type"]))),
            "constant" => self.add(format!("const {path}: {}", type_(&inner["type"]))),
            "static" => self.add(format!("static {path}: {}", type_(&inner["type"]))),
            "function" => self.add(format!("fn {path}{}", signature(inner))),
            other => self.add(format!("{other} {path}")),
        }
    }

    fn fields<'i>(&mut self, fields: impl Iterator<Item = &'i Value>, path: &str) {
        for id in fields {
            let field = self.item(id);
            let inner = &field["inner"]["struct_field"];
            if field["visibility"] != "crate" && !inner.is_null() {
                let name = text(&field["name"]);
                self.add(format!("field {path}.{name}: {}", type_(inner)));
            }
        }
    }

    /// What a type's own `impl` blocks have, and the traits that it implements.
    fn impls(&mut self, inner: &'a Value, path: &str) {
        for id in ids(&inner["impls"]) {
            let block = &self.item(id)["inner"]["impl"];
            if block["is_synthetic"] == true || !block["blanket_impl"].is_null() {
                continue;
            }
            if block["trait"].is_null() {
                // The parameters matter where a method is there for some of them only.
                let own = type_(&block["for"]);
                let parameters = own.find('<').map_or("", |start| &own[start..]);
                self.members(ids(&block["items"]), &format!("{path}{parameters}"));
            } else {
                let parameters = generics(&block["generics"]);
                let clause = where_clause(&block["generics"]);
                let implemented = trait_path(&block["trait"]);
                let of = type_(&block["for"]);
                self.add(format!(
                    "impl{parameters} {implemented} for {of}{clause} ({path})"
                ));
            }
        }
    }

    fn members<'i>(&mut self, members: impl Iterator<Item = &'i Value>, path: &str) {
        for id in members {
            let member = self.item(id);
            let is_hidden = member["visibility"] != "public" && member["visibility"] != "default";
            let Some((kind, inner)) = member["inner"].as_object().and_then(|it| it.iter().next())
            else {
                continue;
            };
            if is_hidden {
                continue;
            }
            let path = format!("{path}::{}", text(&member["name"]));
            self.add(match kind.as_str() {
                "function" => format!("fn {path}{}", signature(inner)),
                "assoc_const" => format!("const {path}: {}", type_(&inner["type"])),
                "assoc_type" => format!("type {path}: {}", bounds(&inner["bounds"])),
                other => format!("{other} {path}"),
            });
        }
    }
}

/// The ids of a list; none if there is no list. What is private is null in it.
fn ids(list: &Value) -> impl Iterator<Item = &Value> {
    let ids = list.as_array().into_iter().flatten();
    ids.filter(|id| !id.is_null())
}
