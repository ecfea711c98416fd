use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    base::budget,
    error::Result,
    json::{Decode, decoded},
    pipeline::api::{Advertised, MemberSource},
    pipeline::{
        answer::Answer,
        exchange::{Encoded, Mapped},
    },
    v2::{
        operation::{bare_operation, operation},
        protocol,
    },
};

decoded! {
    /// A member of the cluster. <https://etcd.io/docs/v2.3/members_api/>
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    #[serde(rename_all = "camelCase")]
    pub struct Member {
        /// The id: up to 16 hexadecimal digits: etcd writes no leading zeros.
        pub id: String,
        /// The name. Empty until the member has started.
        pub name: String,
        /// The URLs for other members.
        #[serde(rename = "peerURLs", deserialize_with = "Decode::decode")]
        pub peer_urls: Vec<String>,
        /// The URLs for clients, as the member advertises them. Empty until the member has started.
        #[serde(rename = "clientURLs", deserialize_with = "Decode::decode")]
        pub client_urls: Vec<String>,
    }
}

bare_operation! {
    /// Lists the members: `GET /v2/members`. The contacted member responds from its own data, which may be stale.
    ListMembers {} -> Vec<Member>;
    "v2.members.list", GET "/v2/members", read,
    |answer: Box<Answer>| answer.json().map(|Members { members }| members)
}

bare_operation! {
    /// Returns the leader: `GET /v2/members/leader`. Any member can respond.
    ///
    /// # Errors
    /// [`EtcdErrorKind::DuringLeaderElection`](crate::EtcdErrorKind::DuringLeaderElection) if there is none.
    GetLeader {} -> Member;
    "v2.members.leader", GET "/v2/members/leader", read, Answer::decode
}

bare_operation! {
    /// Removes the member with this id permanently: `DELETE /v2/members/ID`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Gone`](crate::EtcdErrorKind::Gone) if it was
    /// removed before.
    RemoveMember { id: "member id" } -> ();
    "v2.members.remove", DELETE "/v2/members/", write, protocol::empty
}

bare_operation! {
    /// Lists the client URLs of all members: `GET /v2/machines`, which is older than the members API.
    ListMachines {} -> Vec<String>;
    "v2.machines", GET "/v2/machines", read, urls
}

#[derive(Deserialize)]
struct Members {
    #[serde(deserialize_with = "Decode::decode")]
    members: Vec<Member>,
}

/// Decodes a list of URLs, separated by commas.
fn urls(answer: Box<Answer>) -> Result<Vec<String>> {
    let answer = answer.success()?;
    let what = "the response is not a list of URLs";
    answer.decode_within(what, || {
        let text = str::from_utf8(&answer.reply.body)?;
        let mut urls = Vec::new();
        for url in text.split(',').map(str::trim) {
            match url {
                "" => {}
                url if url.contains("://") => budget::push(&mut urls, url.to_owned())?,
                _ => return Err("not a URL".into()),
            }
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(urls)
    })
}

/// Adds a member, which can then be started: `POST /v2/members`.
///
/// # Errors
/// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) if a member has one of the URLs,
/// [`BadRequest`](crate::EtcdErrorKind::BadRequest) if one is not a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct AddMember {
    peer_urls: Vec<String>,
}

impl AddMember {
    /// Adds a member with these peer URLs.
    pub fn new<U: AsRef<str>>(peer_urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            peer_urls: peer_urls
                .into_iter()
                .map(|url| url.as_ref().to_owned())
                .collect(),
        }
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let peer_urls = &self.peer_urls;
        let body = PeerUrls { peer_urls };
        protocol::with_json(operation, Method::POST, "/v2/members".to_owned(), &body)
    }
}

operation!(AddMember => Member, "v2.members.add", OTHER.write, Answer::decode);

/// Changes the peer URLs of a member: `PUT /v2/members/ID`.
///
/// # Errors
/// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound), [`Conflict`](crate::EtcdErrorKind::Conflict),
/// [`BadRequest`](crate::EtcdErrorKind::BadRequest).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct UpdateMember {
    id: String,
    peer_urls: Vec<String>,
}

impl UpdateMember {
    /// Sets these peer URLs for the member with this id.
    pub fn new<U: AsRef<str>>(id: impl AsRef<str>, peer_urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            id: id.as_ref().to_owned(),
            peer_urls: peer_urls
                .into_iter()
                .map(|url| url.as_ref().to_owned())
                .collect(),
        }
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let id = protocol::segment(operation, "member id", &self.id)?;
        let peer_urls = &self.peer_urls;
        let body = PeerUrls { peer_urls };
        protocol::with_json(operation, Method::PUT, format!("/v2/members/{id}"), &body)
    }
}

operation!(UpdateMember => (), "v2.members.update", OTHER.write, protocol::empty);

fn advertised(
    Member {
        id, client_urls, ..
    }: Member,
) -> Advertised {
    Advertised { id, client_urls }
}

/// The body that etcd requires for the peer URLs of a member.
#[derive(Serialize)]
struct PeerUrls<'a> {
    #[serde(rename = "peerURLs")]
    peer_urls: &'a [String],
}

/// Lists the members for a sync.
pub(crate) fn member_source() -> MemberSource {
    MemberSource {
        members: Box::new(Mapped(ListMembers::new(), |members| {
            members.into_iter().map(advertised).collect()
        })),
        leader: Box::new(Mapped(GetLeader::new(), advertised)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::AsRequest;

    #[test]
    fn requests_are_as_documented() {
        let add = AddMember::new(["http://10.0.0.10:2380"]).request().unwrap();
        assert_eq!((add.method(), add.target()), (&Method::POST, "/v2/members"));
        assert_eq!(add.content_type(), Some("application/json"));
        assert_eq!(
            add.body_bytes(),
            br#"{"peerURLs":["http://10.0.0.10:2380"]}"#
        );
        let id = "272e204152";
        let update = UpdateMember::new(id, ["http://10.0.0.10:2380"])
            .request()
            .unwrap();
        assert_eq!(
            (update.method(), update.target()),
            (&Method::PUT, "/v2/members/272e204152")
        );
        assert_eq!(
            update.body_bytes(),
            br#"{"peerURLs":["http://10.0.0.10:2380"]}"#
        );
        let remove = RemoveMember::new(id).request().unwrap();
        assert_eq!(
            (remove.method(), remove.target()),
            (&Method::DELETE, "/v2/members/272e204152")
        );
    }

    #[test]
    fn an_id_that_would_lead_elsewhere_is_refused() {
        for id in ["", "..", "a/b"] {
            assert!(RemoveMember::new(id).request().is_err(), "{id:?}");
        }
    }
}
