use super::{Answered, Call};
use crate::v3::message::auth::{AuthStatusRequest, AuthStatusResponse};

/// The revision of a store of users that nothing was written to.
const FIRST_REVISION: u64 = 1;

impl Call<'_> {
    /// Auth is off: the fake serves no call that could enable it.
    pub(crate) fn auth_status(&mut self, _: AuthStatusRequest) -> Answered<AuthStatusResponse> {
        self.confirm_read()?;
        let mut response = AuthStatusResponse {
            auth_revision: FIRST_REVISION,
            ..AuthStatusResponse::default()
        };
        self.fill(&mut response.header);
        Ok(response)
    }
}
