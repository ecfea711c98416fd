use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{
    pipeline::protocol::Origin,
    v3::{
        Header,
        protocol::json::read::{As, FieldName},
    },
};

/// Returns the server that this JSON comes from, by its header: a response, or a message of a stream, `{"result":{…}}`.
/// Nothing after the header is read.
pub(crate) fn origin(json: &[u8]) -> Origin {
    if let Some(header) = as_etcd_writes_it(json) {
        return header.origin();
    }
    let mut header = Header::default();
    // The visitor stops at the header, which serde reports as an error. Whether the rest is valid is checked elsewhere.
    let _ = Seek(&mut header).deserialize(&mut serde_json::Deserializer::from_slice(json));
    header.origin()
}

/// Reads a header that is where etcd writes it, and as etcd does: first, compact, with its known fields as strings. Nearly all
/// are, and are read in a tenth of the time that serde takes.
fn as_etcd_writes_it(json: &[u8]) -> Option<Header> {
    let message = json.strip_prefix(br#"{"result":"#).unwrap_or(json);
    let mut rest = message.strip_prefix(br#"{"header":{"#)?;
    let mut header = Header::default();
    loop {
        let (name, after) = string(rest)?;
        let (value, after) = string(after.strip_prefix(b":")?)?;
        match name {
            "cluster_id" => header.cluster_id = value.parse().ok()?,
            "member_id" => header.member_id = value.parse().ok()?,
            "revision" => header.revision = value.parse().ok()?,
            "raft_term" => header.raft_term = value.parse().ok()?,
            _ => return None,
        }
        match after {
            // etcd 3.5 may add a space.
            [b',', b' ', others @ ..] | [b',', others @ ..] => rest = others,
            [b'}', ..] => return Some(header),
            _ => return None,
        }
    }
}

/// Splits JSON after the string that it begins with. One with an escape is none that is looked for.
fn string(json: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = json.strip_prefix(b"\"")?.splitn(2, |&byte| byte == b'"');
    let text = str::from_utf8(parts.next()?).ok()?;
    Some((text, parts.next()?))
}

/// Looks for the header.
struct Seek<'a>(&'a mut Header);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(FieldName(name)) = map.next_key()? {
            match &*name {
                "header" => {
                    let As(header) = map.next_value()?;
                    *self.0 = header;
                    return Ok(());
                }
                "result" => return map.next_value_seed(self),
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_22_the_cluster_is_found_in_every_shape_of_a_message() {
        for json in [
            r#"{"header":{"cluster_id":"7","member_id":"8","revision":"9","raft_term":"2"},"kvs":[]}"#,
            r#"{"header":{"cluster_id":"7"}, "more": true}"#,
            r#"{"result":{"header":{"cluster_id":"7"},"created":true}}"#,
            r#"{"result":{"header":{"cluster_id":"7"},"ID":"5"}}{"result":{"header":{"cluster_id":"8"}}}"#,
            // An intermediary may have rewritten the string as a number.
            r#"{"kvs":[{"header":{"cluster_id":"8"}}],"header":{"revision":"9","cluster_id":7}}"#,
            // The rest is not read.
            r#"{"header":{"cluster_id":"7"},"kvs":[{"#,
        ] {
            assert_eq!(origin(json.as_bytes()).cluster, Some(7), "{json}");
        }
    }

    #[test]
    fn what_is_as_etcd_writes_it_is_read_as_by_serde() {
        let of_etcd = r#"{"header":{"cluster_id":"14841639068965178418","member_id":"8","revision":"9","raft_term":"2"},"kvs":[]}"#;
        let read = as_etcd_writes_it(of_etcd.as_bytes()).unwrap();
        assert_eq!(read.cluster_id, 14_841_639_068_965_178_418);
        assert_eq!((read.member_id, read.revision, read.raft_term), (8, 9, 2));
        assert_eq!(origin(of_etcd.as_bytes()), read.origin());
        let spaced = of_etcd.replace(',', ", ");
        assert_eq!(as_etcd_writes_it(spaced.as_bytes()), Some(read));
        for other in [
            r#"{"header":{}}"#,
            r#"{"header":{"cluster_id":7}}"#,
            r#"{"header":{"cluster_id":"18446744073709551616"}}"#,
            r#"{"header":{"cluster_id":"7" }}"#,
            r#"{"header":{"cluster\u005fid":"7"}}"#,
            r#"{"header":{"cluster_id":"7","new":"8"}}"#,
            r#"{"header":{"cluster_id":"7""#,
            r#"{"header":{"cluster_id":"7"#,
            r#"{"result":{"ID":"5","header":{"cluster_id":"7"}}}"#,
        ] {
            assert_eq!(as_etcd_writes_it(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_member_and_its_term_are_found_beside_the_cluster() {
        let json =
            r#"{"header":{"cluster_id":"7","member_id":"8","revision":"9","raft_term":"2"}}"#;
        let found = origin(json.as_bytes());
        assert_eq!((found.member, found.term), (Some(8), Some(2)));
    }

    #[test]
    fn what_does_not_say_its_cluster_has_none() {
        for json in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"header":{}}"#,
            r#"{"header":{"cluster_id":"x"}}"#,
            r#"{"result":{"blob":"AAAA"}}"#,
            r#"{"kvs":[{"header":{"cluster_id":"8"}}]}"#,
            r#"{"code":5,"message":"etcdserver: requested lease not found"}"#,
        ] {
            assert_eq!(origin(json.as_bytes()), Origin::default(), "{json}");
        }
    }
}
