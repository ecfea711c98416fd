//! The downgrade of a cluster, which 3.5 prepares.

use super::{Answered, Call};
use crate::v3::{
    SetDowngrade,
    error::{Code, V3Error},
    message::maintenance::{DowngradeAction, DowngradeRequest, DowngradeResponse},
};

const WRONG_FORMAT: V3Error = V3Error::new(
    Code::InvalidArgument,
    "etcdserver: wrong downgrade target version format",
);
const INVALID_TARGET: V3Error = V3Error::new(
    Code::InvalidArgument,
    "etcdserver: invalid downgrade target version",
);
const IN_PROGRESS: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: cluster has a downgrade job in progress",
);
const NOT_IN_PROGRESS: V3Error = V3Error::new(
    Code::FailedPrecondition,
    "etcdserver: no inflight downgrade job",
);
const UNKNOWN_METHOD: V3Error = V3Error::new(Code::Unknown, "etcdserver: unknown method");

/// The only release that 3.5 can be downgraded to.
const TARGET: (u64, u64) = (3, 4);

impl Call<'_> {
    /// Begins or ends a downgrade, or tells whether it could begin.
    ///
    /// 3.5.16 applies what it is asked for, waits for a result that never comes, and responds that it has timed out.
    pub(crate) fn downgrade(&mut self, request: &DowngradeRequest) -> Answered<DowngradeResponse> {
        match request.action {
            DowngradeAction::VALIDATE => {
                self.check_downgrade(&request.version)?;
                let version = self.profile().cluster_version().to_owned();
                let header = None;
                let mut response = DowngradeResponse { header, version };
                self.fill(&mut response.header);
                Ok(response)
            }
            DowngradeAction::ENABLE => {
                self.check_downgrade(&request.version)?;
                let is_enabled = true;
                self.propose(SetDowngrade { is_enabled })?;
                Err(V3Error::UNANSWERED.into())
            }
            DowngradeAction::CANCEL => {
                self.confirm_read()?;
                if !self.is_downgrading() {
                    return Err(NOT_IN_PROGRESS.into());
                }
                let is_enabled = false;
                self.propose(SetDowngrade { is_enabled })?;
                Err(V3Error::UNANSWERED.into())
            }
            _ => Err(UNKNOWN_METHOD.into()),
        }
    }

    fn check_downgrade(&mut self, version: &str) -> Answered<()> {
        let target = parse(version).ok_or(WRONG_FORMAT)?;
        self.confirm_read()?;
        if target != TARGET {
            return Err(INVALID_TARGET.into());
        }
        if self.is_downgrading() {
            return Err(IN_PROGRESS.into());
        }
        Ok(())
    }

    fn is_downgrading(&mut self) -> bool {
        self.cluster.local(self.endpoint).v3.is_downgrading
    }
}

/// The first two numbers of a version that has two or three.
fn parse(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.');
    let mut number = || parts.next()?.parse().ok();
    let (major, minor) = (number()?, number()?);
    let is_complete = match parts.next() {
        None => true,
        Some(patch) => parts.next().is_none() && patch.parse::<u64>().is_ok(),
    };
    is_complete.then_some((major, minor))
}
