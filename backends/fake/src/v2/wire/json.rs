//! The keys endpoint's responses: nodes, events and errors.

use std::sync::Arc;

use crate::{
    go::{
        date::push_rfc3339,
        json::{push_string, push_u64},
    },
    profile::Profile,
    rng::Rng,
    v2::store::{
        KEYS,
        error::StoreError,
        event::{Event, Expiry, NodeView},
        tree::{NodeId, Tree, push_segment},
    },
};

/// Writes an error of the keys endpoint.
pub(crate) fn push_error(out: &mut Vec<u8>, error: &StoreError, profile: Profile) {
    out.extend_from_slice(b"{\"errorCode\":");
    push_u64(out, error.code.number().into());
    out.extend_from_slice(b",\"message\":");
    push_string(out, error.code.message().as_bytes(), profile);
    let cause = key(&error.cause);
    if !cause.is_empty() {
        out.extend_from_slice(b",\"cause\":");
        push_string(out, cause, profile);
    }
    out.extend_from_slice(b",\"index\":");
    push_u64(out, error.index);
    out.extend_from_slice(b"}\n");
}

/// Writes an event. `brief` omits its nodes.
pub(crate) fn push_event(out: &mut Vec<u8>, event: &Event, brief: bool, profile: Profile) {
    out.extend_from_slice(b"{\"action\":\"");
    out.extend_from_slice(event.action.name().as_bytes());
    out.push(b'"');
    if !brief {
        out.extend_from_slice(b",\"node\":");
        push_view(out, &event.node, profile);
        if let Some(prev) = &event.prev {
            out.extend_from_slice(b",\"prevNode\":");
            push_view(out, prev, profile);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// How a listing is written.
pub(crate) struct Listing<'a> {
    pub(crate) recursive: bool,
    pub(crate) sorted: bool,
    pub(crate) now: i64,
    pub(crate) profile: Profile,
    /// Chooses the order of a listing that is not sorted.
    pub(crate) rng: &'a mut Rng,
}

/// Writes the response to a get of the node at a path.
pub(crate) fn push_get(
    out: &mut Vec<u8>,
    tree: &Tree,
    id: NodeId,
    path: &[u8],
    mut listing: Listing<'_>,
) {
    out.extend_from_slice(b"{\"action\":\"get\",\"node\":");
    push_opening(out, tree, id, path, &listing);
    if tree.is_dir(id) {
        push_children(out, tree, id, path, &mut listing);
    } else {
        push_indexes(out, tree.modified(id), tree.created(id));
    }
    out.extend_from_slice(b"}\n");
}

/// Writes the rest of a directory, which has begun.
fn push_children(
    out: &mut Vec<u8>,
    tree: &Tree,
    id: NodeId,
    path: &[u8],
    listing: &mut Listing<'_>,
) {
    let mut path = path.to_vec();
    let mut open = vec![OpenDir::new(out, tree, id, listing)];
    while let Some(dir) = open.last_mut() {
        if let Some(child) = dir.rest.pop() {
            if dir.begun {
                out.push(b',');
            }
            dir.begun = true;
            let length = path.len();
            push_segment(&mut path, tree.name(child));
            push_opening(out, tree, child, &path, listing);
            if listing.recursive && tree.is_dir(child) {
                open.push(OpenDir::new(out, tree, child, listing));
            } else {
                path.truncate(length);
                push_indexes(out, tree.modified(child), tree.created(child));
            }
        } else {
            if dir.begun {
                out.push(b']');
            }
            push_indexes(out, tree.modified(dir.id), tree.created(dir.id));
            path.truncate(path.len() - tree.name(dir.id).len() - 1);
            open.pop();
        }
    }
}

/// A node whose children are being written.
struct OpenDir {
    id: NodeId,
    /// The children that are not written yet, in reverse order.
    rest: Vec<NodeId>,
    begun: bool,
}

impl OpenDir {
    /// Begins the list of a node's visible children, if it has any.
    fn new(out: &mut Vec<u8>, tree: &Tree, id: NodeId, listing: &mut Listing<'_>) -> Self {
        let children = tree.children(id).iter().copied();
        let mut rest: Vec<NodeId> = children.filter(|&child| !tree.is_hidden(child)).collect();
        if listing.sorted {
            rest.sort_unstable_by(|&a, &b| tree.name(b).cmp(tree.name(a)));
        } else {
            listing.rng.shuffle(&mut rest);
        }
        if !rest.is_empty() {
            out.extend_from_slice(b",\"nodes\":[");
        }
        Self {
            id,
            rest,
            begun: false,
        }
    }
}

/// Writes what comes before a node's children.
fn push_opening(out: &mut Vec<u8>, tree: &Tree, id: NodeId, path: &[u8], listing: &Listing<'_>) {
    let value = tree.value(id).map(Arc::as_ref);
    let expiry = tree.expiry(id).map(|at| Expiry::seen(at, listing.now));
    push_fields(out, path, value, value.is_none(), expiry, listing.profile);
}

fn push_view(out: &mut Vec<u8>, node: &NodeView, profile: Profile) {
    let value = node.value.as_deref();
    push_fields(out, &node.path, value, node.dir, node.expiry, profile);
    push_indexes(out, node.modified, node.created);
}

/// Begins a node with the fields that come before `nodes`.
fn push_fields(
    out: &mut Vec<u8>,
    path: &[u8],
    value: Option<&[u8]>,
    dir: bool,
    expiry: Option<Expiry>,
    profile: Profile,
) {
    out.push(b'{');
    let key = key(path);
    if !key.is_empty() {
        out.extend_from_slice(b"\"key\":");
        push_string(out, key, profile);
    }
    // Only the root has no key, and it is a directory.
    let comma: &[u8] = if key.is_empty() { b"" } else { b"," };
    if let Some(value) = value {
        out.extend_from_slice(comma);
        out.extend_from_slice(b"\"value\":");
        push_string(out, value, profile);
    }
    if dir {
        out.extend_from_slice(comma);
        out.extend_from_slice(b"\"dir\":true");
    }
    if let Some(expiry) = expiry {
        out.extend_from_slice(b",\"expiration\":\"");
        push_rfc3339(out, expiry.at);
        out.push(b'"');
        if expiry.ttl != 0 {
            out.extend_from_slice(b",\"ttl\":");
            if expiry.ttl < 0 {
                out.push(b'-');
            }
            push_u64(out, expiry.ttl.unsigned_abs());
        }
    }
}

/// Ends a node.
fn push_indexes(out: &mut Vec<u8>, modified: u64, created: u64) {
    for (name, index) in [("modifiedIndex", modified), ("createdIndex", created)] {
        if index != 0 {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            push_u64(out, index);
        }
    }
    out.push(b'}');
}

/// The key of a path in the store: without the namespace.
fn key(path: &[u8]) -> &[u8] {
    path.strip_prefix(KEYS).unwrap_or(path)
}
