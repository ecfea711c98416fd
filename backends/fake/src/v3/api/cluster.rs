use super::{Answered, Call, fill_ids};
use crate::{
    profile::Profile,
    v3::message::cluster::{Member, MemberListRequest, MemberListResponse},
};

impl Call<'_> {
    /// The members. Their header has no revision.
    pub(crate) fn member_list(
        &mut self,
        request: &MemberListRequest,
    ) -> Answered<MemberListResponse> {
        // 3.4 does not know the field.
        if request.linearizable && self.profile() == Profile::V3_5 {
            self.confirm_read()?;
        }
        let members = self.cluster.membership.sorted();
        let members = members.into_iter().map(|member| Member {
            id: member.id,
            name: member.name.clone(),
            peer_urls: member.peer_urls.clone(),
            client_urls: member.client_urls.clone(),
            is_learner: false,
        });
        let mut response = MemberListResponse {
            members: members.collect(),
            ..MemberListResponse::default()
        };
        fill_ids(
            self.cluster,
            self.endpoint,
            response.header.get_or_insert_default(),
        );
        Ok(response)
    }
}
