use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::protocol::gateway::{self, Encode, Fields},
};

gateway::names! {
    /// What is wrong.
    pub enum AlarmKind {
        /// Nothing; and where alarms are lifted, each of them.
        None = "NONE",
        /// The database has reached its quota: nothing can be put.
        NoSpace = "NOSPACE",
        /// The members' data differ: nothing can be read or written.
        Corrupt = "CORRUPT",
    }
    else {
        /// Something that only a later etcd knows. It can be neither raised nor lifted.
        Unknown
    }
}

gateway::names! {
    enum Action {
        Get = "GET",
        Activate = "ACTIVATE",
        Deactivate = "DEACTIVATE",
    }
}

gateway::empty! {
    /// Lists the alarms of all members: `POST /v3/maintenance/alarm`.
    ListAlarms;
}

/// Raises or lifts an alarm: `POST /v3/maintenance/alarm`. Answers the alarms that were raised or lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct SetAlarm {
    action: Action,
    kind: AlarmKind,
    member: u64,
}

impl SetAlarm {
    /// Raises this alarm.
    pub fn raise(kind: AlarmKind) -> Self {
        Self {
            action: Action::Activate,
            kind,
            member: 0,
        }
    }

    /// Lifts this alarm.
    #[doc(alias = "disarm")]
    pub fn lift(kind: AlarmKind) -> Self {
        Self {
            action: Action::Deactivate,
            kind,
            member: 0,
        }
    }

    /// Of this member.
    pub fn member(mut self, id: u64) -> Self {
        self.member = id;
        self
    }
}

impl Encode for SetAlarm {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.kind == AlarmKind::Unknown {
            let reason = "an alarm that is not known can be neither raised nor lifted";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("action", &self.action)
            .put("memberID", &self.member)
            .put("alarm", &self.kind);
    }
}

gateway::operation!(
    ListAlarms => Vec<RaisedAlarm>, in Alarms,
    "v3.maintenance.alarm_list",
    "/v3/maintenance/alarm",
    |_| Repeat::Always
);
gateway::operation!(
    SetAlarm => Vec<RaisedAlarm>, in Alarms,
    "v3.maintenance.alarm_set",
    "/v3/maintenance/alarm",
    |_| Repeat::Always
);

/// An alarm of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RaisedAlarm {
    /// Whose; 0 where it was raised for no certain one.
    pub member_id: u64,
    /// What is wrong.
    pub kind: AlarmKind,
}

gateway::decode!(RaisedAlarm {
    "memberID" => member_id,
    "alarm" => kind,
});

gateway::list!(Alarms { "alarms" => Vec<RaisedAlarm> });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_requests_are_as_documented() {
        let call = ListAlarms::new().encode().unwrap();
        assert_eq!(
            (call.target(), call.body_bytes()),
            ("/v3/maintenance/alarm", &b"{}"[..])
        );
        assert_eq!(
            body(&SetAlarm::raise(AlarmKind::NoSpace).member(7)),
            r#"{"action":"ACTIVATE","memberID":"7","alarm":"NOSPACE"}"#
        );
        assert_eq!(
            body(&SetAlarm::lift(AlarmKind::Corrupt)),
            r#"{"action":"DEACTIVATE","alarm":"CORRUPT"}"#
        );
    }

    #[test]
    fn v3_19_answers_are_read_with_and_without_a_header() {
        for json in [
            r#"{"alarms":[{"memberID":"7","alarm":"NOSPACE"}]}"#,
            r#"{"header":{"revision":"7"}, "alarms":[{"memberID":"7", "alarm":"NOSPACE"}]}"#,
        ] {
            let alarms = decoded(&ListAlarms::new(), 200, json).unwrap();
            assert_eq!(
                (alarms[0].member_id, alarms[0].kind),
                (7, AlarmKind::NoSpace)
            );
        }
        assert!(decoded(&ListAlarms::new(), 200, "{}").unwrap().is_empty());
    }

    #[test]
    fn an_alarm_that_only_a_later_etcd_knows_is_listed_and_not_touched() {
        let json = r#"{"alarms":[{"memberID":"7","alarm":"QUORUM"},{"memberID":"8","alarm":3}]}"#;
        let alarms = decoded(&ListAlarms::new(), 200, json).unwrap();
        assert!(alarms.iter().all(|alarm| alarm.kind == AlarmKind::Unknown));
        for set in [
            SetAlarm::raise(AlarmKind::Unknown),
            SetAlarm::lift(AlarmKind::Unknown),
        ] {
            assert!(set.encode().is_err());
        }
    }
}
