use std::collections::BTreeSet;

use http::HeaderValue;

use crate::Profile;
use crate::{
    rng::Rng,
    store::{Store, Text, Ttl, Write},
    wire::json,
};

/// The id that etcd gives to a cluster of one at `http://localhost:2380`, and that of its member.
const DEFAULT_CLUSTER_ID: u64 = 0xcdf8_1819_4e3a_8c32;
const DEFAULT_MEMBER_ID: u64 = 0x8e9e_05c5_2164_694d;

/// Who belongs to the cluster, and how it fares.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// 16 hexadecimal digits at most, as the header has it.
    pub(crate) id: HeaderValue,
    pub(crate) members: Vec<Member>,
    pub(crate) removed: BTreeSet<u64>,
    /// The member that leads; none during an election.
    pub(crate) leader: Option<u64>,
    /// Whether a majority can be reached: without one nothing is written.
    pub(crate) quorum: bool,
}

/// A member as `/v2/members` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) peer_urls: Vec<String>,
    pub(crate) client_urls: Vec<String>,
}

/// Why a change of the members was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MembershipError {
    PeerUrlExists,
    IdNotFound,
    IdRemoved,
    /// The change would lose the quorum.
    NotEnoughStarted,
}

impl Cluster {
    /// A cluster of these names and client URLs; the first member leads.
    pub(crate) fn new(members: &[(String, String)], seed: u64) -> Self {
        let mut ids = Rng::new(seed ^ 0x6d65_6d62_6572_7321);
        let is_alone = members.len() == 1;
        let members: Vec<Member> = members
            .iter()
            .enumerate()
            .map(|(place, (name, url))| Member {
                id: if is_alone {
                    DEFAULT_MEMBER_ID
                } else {
                    ids.next()
                },
                name: name.clone(),
                peer_urls: vec![peer_url(place, is_alone)],
                client_urls: vec![url.clone()],
            })
            .collect();
        let id = if is_alone {
            DEFAULT_CLUSTER_ID
        } else {
            ids.next()
        };
        // Digits are no trouble to a header.
        let id = HeaderValue::try_from(format!("{id:x}"));
        Self {
            id: id.unwrap_or(HeaderValue::from_static("0")),
            leader: members.first().map(|member| member.id),
            members,
            removed: BTreeSet::new(),
            quorum: true,
        }
    }

    pub(crate) fn member(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members in etcd's order: by their first peer URL.
    pub(crate) fn sorted(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by(|a, b| a.peer_urls.first().cmp(&b.peer_urls.first()));
        members
    }

    /// The client URLs of all members, sorted.
    pub(crate) fn client_urls(&self) -> Vec<&str> {
        let urls = self.members.iter().flat_map(|member| &member.client_urls);
        let mut urls: Vec<&str> = urls.map(String::as_str).collect();
        urls.sort_unstable();
        urls
    }

    /// Writes what a new cluster writes about itself: two events for each member and one for the version.
    pub(crate) fn found(&self, store: &mut Store, now: i64, profile: Profile) {
        for member in &self.members {
            save_raft_attributes(store, member, now, profile);
        }
        for member in &self.members {
            self.publish(store, member, now, profile);
        }
        let version = profile.cluster_version();
        set(store, "/0/version", version.as_bytes().into(), now, profile);
        // A server looks for members once before there are any.
        store.stats.gets.fail += 1;
    }

    /// Writes a member's name and client URLs, as it does at every start.
    pub(crate) fn publish(&self, store: &mut Store, member: &Member, now: i64, profile: Profile) {
        let mut value = b"{\"name\":".to_vec();
        json::push_string(&mut value, member.name.as_bytes(), profile);
        value.extend_from_slice(b",\"clientURLs\":");
        push_strings(&mut value, &member.client_urls, profile);
        value.push(b'}');
        let path = format!("/0/members/{:x}/attributes", member.id);
        set(store, &path, value.into(), now, profile);
    }

    pub(crate) fn add(
        &mut self,
        store: &mut Store,
        member: Member,
        now: i64,
        profile: Profile,
    ) -> Result<(), MembershipError> {
        let started = self.started(None);
        let members = self.members.len() + 1;
        // A cluster of one may always take a second member: that is how data are restored.
        if started < members / 2 + 1 && !(started == 1 && members == 2) {
            return Err(MembershipError::NotEnoughStarted);
        }
        self.count_validation(store);
        if self.has_peer_url(&member.peer_urls, None) {
            return Err(MembershipError::PeerUrlExists);
        }
        save_raft_attributes(store, &member, now, profile);
        self.members.push(member);
        Ok(())
    }

    pub(crate) fn remove(
        &mut self,
        store: &mut Store,
        id: u64,
        now: i64,
        profile: Profile,
    ) -> Result<(), MembershipError> {
        let others = self.members.iter().filter(|member| member.id != id).count();
        if self.started(Some(id)) < others / 2 + 1 {
            return Err(MembershipError::NotEnoughStarted);
        }
        self.count_validation(store);
        if self.removed.contains(&id) {
            return Err(MembershipError::IdRemoved);
        }
        if self.member(id).is_none() {
            return Err(MembershipError::IdNotFound);
        }
        self.members.retain(|member| member.id != id);
        self.removed.insert(id);
        if self.leader == Some(id) {
            self.leader = self.members.first().map(|member| member.id);
        }
        let delete = Write::Delete {
            path: format!("/0/members/{id:x}").into_bytes(),
            dir: true,
            recursive: true,
        };
        let tombstone = Write::Create {
            path: format!("/0/removed_members/{id:x}").into_bytes(),
            dir: false,
            value: Text::from(&b""[..]),
            expires: None,
        };
        for write in [delete, tombstone] {
            // The cluster's own directories are in order: nobody else writes there.
            let _ = store.apply(write, now, profile);
        }
        Ok(())
    }

    pub(crate) fn update(
        &mut self,
        store: &mut Store,
        id: u64,
        peer_urls: Vec<String>,
        now: i64,
        profile: Profile,
    ) -> Result<(), MembershipError> {
        self.count_validation(store);
        if self.removed.contains(&id) {
            return Err(MembershipError::IdRemoved);
        }
        if self.member(id).is_none() {
            return Err(MembershipError::IdNotFound);
        }
        if self.has_peer_url(&peer_urls, Some(id)) {
            return Err(MembershipError::PeerUrlExists);
        }
        let value = raft_attributes(&peer_urls, profile);
        let update = Write::Update {
            path: format!("/0/members/{id:x}/raftAttributes").into_bytes(),
            value,
            ttl: Ttl::default(),
        };
        // As above.
        let _ = store.apply(update, now, profile);
        for member in &mut self.members {
            if member.id == id {
                member.peer_urls.clone_from(&peer_urls);
            }
        }
        Ok(())
    }

    /// Before any change a server reads who belongs and who was removed; there is no such list until somebody was.
    fn count_validation(&self, store: &mut Store) {
        store.stats.gets.count(true);
        store.stats.gets.count(!self.removed.is_empty());
    }

    /// How many members have started, this one aside: a member has a name once it has.
    fn started(&self, aside: Option<u64>) -> usize {
        let others = self
            .members
            .iter()
            .filter(|member| Some(member.id) != aside);
        others.filter(|member| !member.name.is_empty()).count()
    }

    fn has_peer_url(&self, urls: &[String], aside: Option<u64>) -> bool {
        let others = self
            .members
            .iter()
            .filter(|member| Some(member.id) != aside);
        let mut taken = others.flat_map(|member| &member.peer_urls);
        taken.any(|url| urls.contains(url))
    }
}

/// Writes a list of strings.
pub(crate) fn push_strings<S: AsRef<str>>(out: &mut Vec<u8>, strings: &[S], profile: Profile) {
    out.push(b'[');
    for (place, string) in strings.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        json::push_string(out, string.as_ref().as_bytes(), profile);
    }
    out.push(b']');
}

fn peer_url(place: usize, is_alone: bool) -> String {
    if is_alone {
        "http://localhost:2380".to_owned()
    } else {
        format!("http://127.0.0.1:{}2380", place + 1)
    }
}

fn save_raft_attributes(store: &mut Store, member: &Member, now: i64, profile: Profile) {
    let create = Write::Create {
        path: format!("/0/members/{:x}/raftAttributes", member.id).into_bytes(),
        dir: false,
        value: raft_attributes(&member.peer_urls, profile),
        expires: None,
    };
    // The path is new: ids are not given twice.
    let _ = store.apply(create, now, profile);
}

fn raft_attributes(peer_urls: &[String], profile: Profile) -> Text {
    let mut value = b"{\"peerURLs\":".to_vec();
    push_strings(&mut value, peer_urls, profile);
    value.push(b'}');
    value.into()
}

fn set(store: &mut Store, path: &str, value: Text, now: i64, profile: Profile) {
    let set = Write::Set {
        path: path.as_bytes().to_vec(),
        dir: false,
        value,
        ttl: Ttl::default(),
    };
    // The path is the cluster's own, and a file.
    let _ = store.apply(set, now, profile);
}
