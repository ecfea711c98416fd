use std::collections::BTreeSet;

use http::HeaderValue;

use crate::rng::Rng;

/// The ids that etcd computes for a cluster of one at `http://localhost:2380`, and for its member.
const DEFAULT_CLUSTER_ID: u64 = 0xcdf8_1819_4e3a_8c32;
const DEFAULT_MEMBER_ID: u64 = 0x8e9e_05c5_2164_694d;

/// The members of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) id: u64,
    /// The cluster's id in hexadecimal digits, as a header has it.
    pub(crate) cluster_id: HeaderValue,
    pub(crate) members: Vec<Member>,
    removed: BTreeSet<u64>,
}

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: u64,
    /// Empty until the member has started.
    pub(crate) name: String,
    pub(crate) peer_urls: Vec<String>,
    pub(crate) client_urls: Vec<String>,
    /// Has no vote.
    pub(crate) is_learner: bool,
}

/// Why a change of the members was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MembershipError {
    PeerUrlExists,
    IdNotFound,
    IdRemoved,
    /// The change would lose the quorum.
    NotEnoughStarted,
    TooManyLearners,
    NotLearner,
    /// A learner that has not started, or is behind.
    LearnerNotReady,
}

/// What the members write into their stores about themselves.
#[derive(Clone, Debug)]
pub(crate) enum MembershipRecord {
    /// A member has started, and published its name and client URLs.
    Published(Member),
    /// The members were read to check a change.
    Checked {
        any_removed: bool,
    },
    Added(Member),
    Removed(u64),
    Updated {
        id: u64,
        peer_urls: Vec<String>,
    },
}

impl Membership {
    /// Members with these names and client URLs, of which one may be a learner.
    pub(crate) fn new(members: Vec<(String, String)>, learner: Option<usize>, seed: u64) -> Self {
        let mut ids = Rng::new(seed ^ 0x6d65_6d62_6572_7321);
        let is_alone = members.len() == 1;
        let members: Vec<Member> = members
            .into_iter()
            .enumerate()
            .map(|(position, (name, url))| Member {
                id: if is_alone {
                    DEFAULT_MEMBER_ID
                } else {
                    ids.next()
                },
                name,
                peer_urls: vec![peer_url(position, is_alone)],
                client_urls: vec![url],
                is_learner: learner == Some(position),
            })
            .collect();
        let id = if is_alone {
            DEFAULT_CLUSTER_ID
        } else {
            ids.next()
        };
        Self {
            id,
            cluster_id: shown_id(id),
            members,
            removed: BTreeSet::new(),
        }
    }

    pub(crate) fn set_id(&mut self, id: u64) {
        self.id = id;
        self.cluster_id = shown_id(id);
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members that have a vote.
    pub(crate) fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_learner)
    }

    pub(crate) fn first_voter(&self) -> Option<u64> {
        self.voters().next().map(|member| member.id)
    }

    /// The members in etcd's order: by their ids.
    pub(crate) fn sorted(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by_key(|member| member.id);
        members
    }

    /// The client URLs of all members, sorted.
    pub(crate) fn client_urls(&self) -> Vec<&str> {
        let urls = self.members.iter().flat_map(|member| &member.client_urls);
        let mut urls: Vec<&str> = urls.map(String::as_str).collect();
        urls.sort_unstable();
        urls
    }

    pub(crate) fn any_removed(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Whether enough members have started to add one more.
    pub(crate) fn can_grow(&self) -> bool {
        let started = self.started_without(None);
        let members = self.voters().count() + 1;
        // A cluster of one may always take a second member: that is how data are restored.
        started > members / 2 || (started == 1 && members == 2)
    }

    /// Whether enough members have started to remove this one.
    pub(crate) fn can_lose(&self, id: u64) -> bool {
        if self.get(id).is_some_and(|member| member.is_learner) {
            return true;
        }
        let others = self.voters().filter(|member| member.id != id).count();
        self.started_without(Some(id)) > others / 2
    }

    /// Whether enough members have started to give a learner, which has, a vote.
    pub(crate) fn can_promote(&self) -> bool {
        self.started_without(None) >= self.voters().count().div_ceil(2)
    }

    pub(crate) fn add(&mut self, member: Member) -> Result<(), MembershipError> {
        if self.has_peer_url(&member.peer_urls, None) {
            return Err(MembershipError::PeerUrlExists);
        }
        if member.is_learner && self.members.iter().any(|other| other.is_learner) {
            return Err(MembershipError::TooManyLearners);
        }
        self.members.push(member);
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: u64) -> Result<(), MembershipError> {
        self.check_id(id)?;
        self.members.retain(|member| member.id != id);
        self.removed.insert(id);
        Ok(())
    }

    pub(crate) fn update(&mut self, id: u64, peer_urls: &[String]) -> Result<(), MembershipError> {
        self.check_id(id)?;
        if self.has_peer_url(peer_urls, Some(id)) {
            return Err(MembershipError::PeerUrlExists);
        }
        for member in &mut self.members {
            if member.id == id {
                member.peer_urls = peer_urls.to_vec();
                // etcd takes a member without the mark for a voter.
                member.is_learner = false;
            }
        }
        Ok(())
    }

    /// Gives a learner a vote; returns its peer URLs.
    pub(crate) fn promote(&mut self, id: u64) -> Result<Vec<String>, MembershipError> {
        let found = self.members.iter_mut().find(|member| member.id == id);
        let member = found.ok_or(MembershipError::IdNotFound)?;
        if !member.is_learner {
            return Err(MembershipError::NotLearner);
        }
        member.is_learner = false;
        Ok(member.peer_urls.clone())
    }

    fn check_id(&self, id: u64) -> Result<(), MembershipError> {
        if self.removed.contains(&id) {
            return Err(MembershipError::IdRemoved);
        }
        self.get(id).map(|_| ()).ok_or(MembershipError::IdNotFound)
    }

    /// How many members have started, one of them not counted.
    fn started_without(&self, id: Option<u64>) -> usize {
        let others = self.voters().filter(|member| Some(member.id) != id);
        others.filter(|member| !member.name.is_empty()).count()
    }

    fn has_peer_url(&self, urls: &[String], except: Option<u64>) -> bool {
        let others = self.members.iter();
        let others = others.filter(|member| Some(member.id) != except);
        let mut taken = others.flat_map(|member| &member.peer_urls);
        taken.any(|url| urls.contains(url))
    }
}

/// An id in hexadecimal digits, which are valid in a header.
fn shown_id(id: u64) -> HeaderValue {
    let shown = HeaderValue::try_from(format!("{id:x}"));
    shown.unwrap_or(HeaderValue::from_static("0"))
}

fn peer_url(position: usize, is_alone: bool) -> String {
    if is_alone {
        "http://localhost:2380".to_owned()
    } else {
        format!("http://127.0.0.1:{}2380", position + 1)
    }
}
