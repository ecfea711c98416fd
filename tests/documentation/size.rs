//! Source files are at most 500 lines long. The `.proto` files in `tests/peers/proto` are exempt: they are etcd's schema, message by
//! message in etcd's files, and are compared with those; a split one would be another schema.

use std::collections::BTreeSet;

use crate::sources::{assert_only, with_extension};

const MAX_LINES: usize = 500;

#[test]
fn no_source_has_more_than_500_lines() {
    let mut sources = with_extension("rs");
    sources.retain(|source| source.text.lines().count() > MAX_LINES);
    let longer: BTreeSet<_> = sources.into_iter().map(|source| source.path).collect();
    assert_only("more than 500 lines", &longer, &[]);
}
