use crate::{
    error::{Error, Result},
    v3::protocol::message::{self, Encode, Fields},
};

message::names! {
    /// The kind of alarm.
    pub enum AlarmKind {
        /// No alarm. For [`lift_alarm`](crate::v3::Maintenance::lift_alarm), all of them.
        None = 0 "NONE",
        /// The database has reached its quota: puts are rejected.
        NoSpace = 1 "NOSPACE",
        /// The members' data differ: reads and writes are rejected.
        Corrupt = 2 "CORRUPT",
    }
    else {
        /// An alarm that a later etcd has. It can be neither raised nor lifted.
        Unknown
    }
}

message::names! {
    enum Action {
        Get = 0 "GET",
        Activate = 1 "ACTIVATE",
        Deactivate = 2 "DEACTIVATE",
    }
}

message::empty! {
    /// Lists the alarms of all members: `POST /v3/maintenance/alarm`.
    ListAlarms;
}

/// Raises or lifts an alarm: `POST /v3/maintenance/alarm`. Returns the alarms that were raised or lifted.
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

    /// Sets the member, by its id. etcd lifts an alarm of the member that has it, and nothing without one:
    /// [`lift_alarm`](crate::v3::Maintenance::lift_alarm) lifts an alarm of all members.
    pub fn member(mut self, id: u64) -> Self {
        self.member = id;
        self
    }
}

impl Encode for SetAlarm {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.kind == AlarmKind::Unknown {
            let reason = "an unknown alarm can be neither raised nor lifted";
            return Err(Error::invalid(operation, reason));
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "action", &self.action)
            .put(2, "memberID", &self.member)
            .put(3, "alarm", &self.kind);
    }
}

crate::v3::protocol::operation!(
    ListAlarms => Vec<RaisedAlarm>, in Alarms,
    "v3.maintenance.alarm_list",
    ALARM, Always
);
crate::v3::protocol::operation!(
    SetAlarm => Vec<RaisedAlarm>, in Alarms,
    "v3.maintenance.alarm_set",
    ALARM, Always
);

/// An alarm of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RaisedAlarm {
    /// The member's id; 0 if the alarm is not about a particular one.
    pub member_id: u64,
    /// The kind of alarm.
    pub kind: AlarmKind,
}

message::decode!(RaisedAlarm {
    1 "memberID" => member_id,
    2 "alarm" => kind,
});

message::list!(Alarms { 2 "alarms" => Vec<RaisedAlarm> });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    #[test]
    fn the_requests_are_as_documented() {
        let call = ListAlarms::new().request().unwrap();
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
    fn v3_19_responses_are_read_with_and_without_a_header() {
        for json in [
            r#"{"alarms":[{"memberID":"7","alarm":"NOSPACE"}]}"#,
            r#"{"header":{"cluster_id":"7","revision":"7"}, "alarms":[{"memberID":"7", "alarm":"NOSPACE"}]}"#,
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
            assert!(set.request().is_err());
        }
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        for alarm in [AlarmKind::NoSpace, AlarmKind::Corrupt] {
            Requests::of("etcdserverpb.AlarmRequest")
                .send(&SetAlarm::raise(alarm).member(7))
                .send(&SetAlarm::lift(alarm))
                .send(&ListAlarms::new())
                .all_fields_but(&[]);
        }
        response::<Alarms>("etcdserverpb.AlarmResponse", &["header"]);
    }
}
