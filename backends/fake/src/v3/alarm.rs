//! Alarms: a member without space, or with data that differ from the others'.

use std::collections::BTreeSet;

use super::{
    error::V3Error,
    message::{
        kv::{RequestOp, TxnRequest},
        maintenance::{AlarmAction, AlarmMember, AlarmRequest, AlarmType},
    },
};
use crate::profile::Profile;

/// What a key costs besides its bytes.
const KEY_OVERHEAD: usize = 256;

/// The active alarms, and what they forbid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarms {
    active: BTreeSet<(i32, u64)>,
    limit: Limit,
}

/// What alarms forbid. The last one to be activated decides, and the first one to be deactivated lifts all limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Limit {
    #[default]
    Nothing,
    Growth,
    Writing,
}

impl Alarms {
    /// Does what a request asks; returns the alarms that it concerns. 3.4 stores alarms of no kind, too.
    pub(crate) fn request(&mut self, request: &AlarmRequest, profile: Profile) -> Vec<AlarmMember> {
        let alarm = (request.alarm.0, request.member_id);
        match request.action {
            AlarmAction::ACTIVATE
                if request.alarm != AlarmType::NONE || profile == Profile::V3_4 =>
            {
                let is_first = self.active_of(request.alarm).is_empty();
                self.active.insert(alarm);
                if is_first {
                    self.limit = match request.alarm {
                        AlarmType::NOSPACE => Limit::Growth,
                        AlarmType::CORRUPT => Limit::Writing,
                        _ => self.limit,
                    };
                }
                vec![member(alarm)]
            }
            AlarmAction::DEACTIVATE => {
                if !self.active.remove(&alarm) {
                    return Vec::new();
                }
                let is_limit = matches!(request.alarm, AlarmType::NOSPACE | AlarmType::CORRUPT);
                if is_limit && self.active_of(request.alarm).is_empty() {
                    self.limit = Limit::Nothing;
                }
                vec![member(alarm)]
            }
            AlarmAction::GET => self.active_of(request.alarm),
            _ => Vec::new(),
        }
    }

    /// The active alarms of a type, or of all types.
    pub(crate) fn active_of(&self, alarm: AlarmType) -> Vec<AlarmMember> {
        let wanted = |kind: i32| alarm == AlarmType::NONE || alarm.0 == kind;
        let active = self.active.iter().copied();
        active
            .filter(|&(kind, _)| wanted(kind))
            .map(member)
            .collect()
    }

    /// Whether an alarm is in force. etcd does not ask who may write then.
    pub(crate) fn is_limited(&self) -> bool {
        self.limit != Limit::Nothing
    }

    /// Whether something may be added.
    pub(crate) fn check_growth(&self) -> Result<(), V3Error> {
        match self.limit {
            Limit::Nothing => Ok(()),
            Limit::Growth => Err(V3Error::NO_SPACE),
            Limit::Writing => Err(V3Error::CORRUPT),
        }
    }

    /// Whether something may be changed or removed.
    pub(crate) fn check_write(&self) -> Result<(), V3Error> {
        match self.limit {
            Limit::Nothing | Limit::Growth => Ok(()),
            Limit::Writing => Err(V3Error::CORRUPT),
        }
    }
}

fn member((kind, member_id): (i32, u64)) -> AlarmMember {
    let alarm = AlarmType(kind);
    AlarmMember { member_id, alarm }
}

/// How much a put needs, at most.
pub(crate) fn cost_of_put(key: &[u8], value: &[u8]) -> usize {
    KEY_OVERHEAD + key.len() + value.len()
}

/// How much a transaction needs, at most. etcd does not count transactions inside it.
pub(crate) fn cost_of_txn(request: &TxnRequest) -> usize {
    let cost = |ops: &[RequestOp]| -> usize {
        let puts = ops.iter().filter_map(|op| op.request_put.as_ref());
        puts.map(|put| cost_of_put(&put.key, &put.value)).sum()
    };
    cost(&request.success).max(cost(&request.failure))
}
