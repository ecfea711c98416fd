use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    budget,
    endpoints::{
        sync::{Advertised, MemberSource},
        wire::Wire,
    },
    error::Result,
    json::{Decode, decoded},
    operation::Operation,
    pipeline::{
        answer::Answer,
        call::Call,
        exchange::{Encoded, Exchange, Mapped, TypedExchange},
    },
    v2::protocol,
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

/// Lists the members: `GET /v2/members`. The contacted member responds from its own data, which may be stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ListMembers(());

impl ListMembers {
    /// Creates the operation.
    pub fn new() -> Self {
        Self(())
    }
}

impl Operation for ListMembers {
    type Output = Vec<Member>;
    const NAME: &'static str = "v2.members.list";
}

impl Exchange for ListMembers {
    fn call(&self) -> Call {
        protocol::OTHER.read(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Encoded::new(Self::NAME, Method::GET, "/v2/members".into())
    }
}

impl TypedExchange for ListMembers {
    type Decoded = Vec<Member>;

    fn decode(&self, answer: Answer) -> Result<Vec<Member>> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(deserialize_with = "Decode::decode")]
            members: Vec<Member>,
        }
        answer.json().map(|Body { members }| members)
    }
}

/// Returns the leader: `GET /v2/members/leader`. Any member can respond.
///
/// # Errors
/// [`EtcdErrorKind::DuringLeaderElection`](crate::EtcdErrorKind::DuringLeaderElection) if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct GetLeader(());

impl GetLeader {
    /// Creates the operation.
    pub fn new() -> Self {
        Self(())
    }
}

impl Operation for GetLeader {
    type Output = Member;
    const NAME: &'static str = "v2.members.leader";
}

impl Exchange for GetLeader {
    fn call(&self) -> Call {
        protocol::OTHER.read(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Encoded::new(Self::NAME, Method::GET, "/v2/members/leader".into())
    }
}

impl TypedExchange for GetLeader {
    type Decoded = Member;

    fn decode(&self, answer: Answer) -> Result<Member> {
        answer.decode()
    }
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
}

impl Operation for AddMember {
    type Output = Member;
    const NAME: &'static str = "v2.members.add";
}

impl Exchange for AddMember {
    fn call(&self) -> Call {
        protocol::OTHER.write(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        let path = "/v2/members".to_owned();
        Ok(Encoded::new(Self::NAME, Method::POST, path)?
            .body("application/json", peer_urls(Self::NAME, &self.peer_urls)?))
    }
}

impl TypedExchange for AddMember {
    type Decoded = Member;

    fn decode(&self, answer: Answer) -> Result<Member> {
        answer.decode()
    }
}

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
}

impl Operation for UpdateMember {
    type Output = ();
    const NAME: &'static str = "v2.members.update";
}

impl Exchange for UpdateMember {
    fn call(&self) -> Call {
        protocol::OTHER.write(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        let path = member_path(Self::NAME, &self.id)?;
        Ok(Encoded::new(Self::NAME, Method::PUT, path)?
            .body("application/json", peer_urls(Self::NAME, &self.peer_urls)?))
    }
}

impl TypedExchange for UpdateMember {
    type Decoded = ();

    fn decode(&self, answer: Answer) -> Result<()> {
        protocol::empty(answer)
    }
}

/// Removes a member permanently: `DELETE /v2/members/ID`.
///
/// # Errors
/// [`EtcdErrorKind::NotFound`](crate::EtcdErrorKind::NotFound); [`Gone`](crate::EtcdErrorKind::Gone) if it was removed
/// before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RemoveMember {
    id: String,
}

impl RemoveMember {
    /// Removes the member with this id.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self {
            id: id.as_ref().to_owned(),
        }
    }
}

impl Operation for RemoveMember {
    type Output = ();
    const NAME: &'static str = "v2.members.remove";
}

impl Exchange for RemoveMember {
    fn call(&self) -> Call {
        protocol::OTHER.write(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        let path = member_path(Self::NAME, &self.id)?;
        Encoded::new(Self::NAME, Method::DELETE, path)
    }
}

impl TypedExchange for RemoveMember {
    type Decoded = ();

    fn decode(&self, answer: Answer) -> Result<()> {
        protocol::empty(answer)
    }
}

/// Lists the client URLs of all members: `GET /v2/machines`, which is older than the members API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ListMachines(());

impl ListMachines {
    /// Creates the operation.
    pub fn new() -> Self {
        Self(())
    }
}

impl Operation for ListMachines {
    type Output = Vec<String>;
    const NAME: &'static str = "v2.machines";
}

impl Exchange for ListMachines {
    fn call(&self) -> Call {
        protocol::OTHER.read(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Encoded::new(Self::NAME, Method::GET, "/v2/machines".into())
    }
}

impl TypedExchange for ListMachines {
    type Decoded = Vec<String>;

    fn decode(&self, answer: Answer) -> Result<Vec<String>> {
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
}

fn advertised(
    Member {
        id, client_urls, ..
    }: Member,
) -> Advertised {
    Advertised { id, client_urls }
}

fn member_path(operation: &'static str, id: &str) -> Result<String> {
    Ok(format!(
        "/v2/members/{}",
        protocol::segment(operation, "member id", id)?
    ))
}

fn peer_urls(operation: &'static str, urls: &[String]) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "peerURLs")]
        peer_urls: &'a [String],
    }
    protocol::to_json(operation, &Body { peer_urls: urls })
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
