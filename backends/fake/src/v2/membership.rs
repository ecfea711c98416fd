//! What the members write about themselves into the v2 store, below `/0`.

use super::store::{
    Store,
    event::Text,
    write::{Ttl, Write},
};
use crate::{
    cluster::{
        membership::{Member, MembershipRecord},
        state::Moment,
    },
    go::json::{push_string, push_strings},
    profile::Profile,
};

impl Store {
    /// Writes what a new cluster of these members leaves behind.
    pub(crate) fn found(&mut self, members: &[Member], at: Moment) {
        for member in members {
            self.publish_peers(member, at);
        }
        for member in members {
            self.publish_member(member, at);
        }
        let version = at.profile.cluster_version();
        self.set_own("/0/version".to_owned(), version.as_bytes().into(), at);
        // A server looks for members once before there are any.
        self.stats.gets.count(false);
    }

    /// Writes what a change of the members leaves behind.
    pub(crate) fn record(&mut self, record: &MembershipRecord, at: Moment) {
        match record {
            MembershipRecord::Published(member) => self.publish_member(member, at),
            MembershipRecord::Checked { any_removed } => {
                // The list of removed members is missing until one was removed.
                self.stats.gets.count(true);
                self.stats.gets.count(*any_removed);
            }
            MembershipRecord::Added(member) => self.publish_peers(member, at),
            MembershipRecord::Removed(id) => {
                let delete = Write::Delete {
                    path: format!("/0/members/{id:x}").into_bytes(),
                    dir: true,
                    recursive: true,
                };
                self.write_own(delete, at);
                let tombstone = format!("/0/removed_members/{id:x}");
                self.create_own(tombstone, Text::from(&b""[..]), at);
            }
            MembershipRecord::Updated { id, peer_urls } => {
                let update = Write::Update {
                    path: peers_path(*id).into_bytes(),
                    value: peers(peer_urls, at.profile),
                    ttl: Ttl::default(),
                };
                self.write_own(update, at);
            }
        }
    }

    /// Writes a new member's peer URLs.
    fn publish_peers(&mut self, member: &Member, at: Moment) {
        let peers = peers(&member.peer_urls, at.profile);
        self.create_own(peers_path(member.id), peers, at);
    }

    /// Writes a member's name and client URLs.
    fn publish_member(&mut self, member: &Member, at: Moment) {
        let mut value = b"{\"name\":".to_vec();
        push_string(&mut value, member.name.as_bytes(), at.profile);
        value.extend_from_slice(b",\"clientURLs\":");
        push_strings(&mut value, &member.client_urls, at.profile);
        value.push(b'}');
        let path = format!("/0/members/{:x}/attributes", member.id);
        self.set_own(path, value.into(), at);
    }

    fn create_own(&mut self, path: String, value: Text, at: Moment) {
        let create = Write::Create {
            path: path.into_bytes(),
            dir: false,
            value,
            expires: None,
        };
        self.write_own(create, at);
    }

    fn set_own(&mut self, path: String, value: Text, at: Moment) {
        let set = Write::Set {
            path: path.into_bytes(),
            dir: false,
            value,
            ttl: Ttl::default(),
        };
        self.write_own(set, at);
    }

    fn write_own(&mut self, write: Write, at: Moment) {
        // It cannot fail: there are no other writers below `/0`, and ids are unique.
        let _ = self.apply(write, at.now, at.profile);
    }
}

fn peers_path(id: u64) -> String {
    format!("/0/members/{id:x}/raftAttributes")
}

fn peers(peer_urls: &[String], profile: Profile) -> Text {
    let mut value = b"{\"peerURLs\":".to_vec();
    push_strings(&mut value, peer_urls, profile);
    value.push(b'}');
    value.into()
}
