//! Maintenance.

use std::time::Duration;

use etcd_http::{
    EtcdErrorKind, Outcome,
    transport::Transport,
    v3::{AlarmKind, Downgrade, GetHashKv},
};
use harness::{case::Etcd, cases_and_grpc};

use crate::refused;

cases_and_grpc! {
    Alone {
        v3_124_an_alarm_for_space_stops_writes_that_take_room,
        v3_124_an_alarm_for_corruption_stops_everything,
        v3_125_a_hash_depends_on_the_data,
        v3_125_a_database_is_defragmented,
        v3_125_a_downgrade_is_validated_and_enabled_once,
        metrics_are_text,
    }
    WithoutV2 {
        livez_and_readyz_say_ok,
    }
}

async fn v3_124_an_alarm_for_space_stops_writes_that_take_room<T: Transport>(etcd: Etcd<T>) {
    let (v3, kv) = (etcd.v3(), etcd.v3().kv());
    kv.put("a", "").await.unwrap();
    assert!(v3.maintenance().list_alarms().await.unwrap().is_empty());
    let raised = v3
        .maintenance()
        .raise_alarm(AlarmKind::NoSpace)
        .await
        .unwrap();
    assert_eq!(raised[0].kind, AlarmKind::NoSpace);
    assert_eq!(v3.maintenance().list_alarms().await.unwrap(), raised);
    let full = kv.put("a", "").await.unwrap_err();
    assert!(
        full.is_no_space() && full.outcome() == Outcome::Rejected,
        "{full}"
    );
    let minute = Duration::from_secs(60);
    assert_eq!(
        refused(v3.leases().grant(minute).await),
        EtcdErrorKind::NoSpace
    );
    let status = v3.maintenance().get_status().await.unwrap();
    assert!(status.errors[0].contains("NOSPACE"), "{status:?}");
    kv.get("a").await.unwrap();
    kv.delete("a").await.unwrap();
    v3.maintenance()
        .lift_alarm(AlarmKind::NoSpace)
        .await
        .unwrap();
    kv.put("a", "").await.unwrap();
}

async fn v3_124_an_alarm_for_corruption_stops_everything<T: Transport>(etcd: Etcd<T>) {
    let maintenance = etcd.v3().maintenance();
    maintenance.raise_alarm(AlarmKind::Corrupt).await.unwrap();
    assert_eq!(
        refused(etcd.v3().kv().put("a", "").await),
        EtcdErrorKind::Corrupt
    );
    maintenance.lift_alarm(AlarmKind::Corrupt).await.unwrap();
    etcd.v3().kv().put("a", "").await.unwrap();
}

async fn v3_125_a_hash_depends_on_the_data<T: Transport>(etcd: Etcd<T>) {
    let maintenance = etcd.v3().maintenance();
    let revision = etcd.v3().kv().put("a", "").await.unwrap().header.revision;
    let empty = maintenance.get_hash().await.unwrap();
    assert_ne!(empty.hash, 0);
    if !etcd.is_3_5() {
        return;
    }
    let then = maintenance.get_hash_kv().await.unwrap();
    assert_eq!(then.compact_revision, -1);
    etcd.v3().kv().put("a", "other").await.unwrap();
    assert_ne!(maintenance.get_hash_kv().await.unwrap().hash, then.hash);
    let at = etcd
        .send(GetHashKv::new().revision(revision))
        .await
        .unwrap();
    assert_eq!(at.hash, then.hash);
    let future = etcd.send(GetHashKv::new().revision(1000)).await;
    assert_eq!(refused(future), EtcdErrorKind::FutureRevision);
}

async fn v3_125_a_database_is_defragmented<T: Transport>(etcd: Etcd<T>) {
    etcd.v3().kv().put("a", vec![0; 1_000_000]).await.unwrap();
    etcd.v3().kv().delete("a").await.unwrap();
    etcd.v3().kv().compact(3).await.unwrap();
    let before = etcd.v3().maintenance().get_status().await.unwrap();
    etcd.v3().maintenance().defragment().await.unwrap();
    let after = etcd.v3().maintenance().get_status().await.unwrap();
    assert!(after.db_size <= before.db_size);
    assert!(etcd.v3().kv().get("a").await.unwrap().is_none());
}

async fn v3_125_a_downgrade_is_validated_and_enabled_once<T: Transport>(etcd: Etcd<T>) {
    if !etcd.is_3_5() {
        return;
    }
    let maintenance = etcd.v3().maintenance();
    let fine = maintenance
        .downgrade(Downgrade::validate("3.4.0"))
        .await
        .unwrap();
    assert!(fine.version.starts_with("3.5"));
    let far = maintenance.downgrade(Downgrade::validate("3.2.0")).await;
    assert_eq!(refused(far), EtcdErrorKind::InvalidDowngradeTarget);
    let nonsense = maintenance.downgrade(Downgrade::validate("x")).await;
    assert_eq!(refused(nonsense), EtcdErrorKind::InvalidDowngradeTarget);
    let none = maintenance.downgrade(Downgrade::cancel()).await;
    assert_eq!(refused(none), EtcdErrorKind::NoDowngradeInProgress);
    // etcd 3.5 applies it, and lets its response time out.
    if let Err(late) = maintenance.downgrade(Downgrade::enable("3.4.0")).await {
        assert_eq!(late.outcome(), Outcome::Unknown, "{late}");
    }
    let twice = maintenance.downgrade(Downgrade::enable("3.4.0")).await;
    assert_eq!(refused(twice), EtcdErrorKind::DowngradeInProgress);
}

async fn metrics_are_text<T: Transport>(etcd: Etcd<T>) {
    let metrics = etcd.metrics().await.unwrap();
    assert!(metrics.contains("etcd_server_has_leader 1"));
}

async fn livez_and_readyz_say_ok<T: Transport>(etcd: Etcd<T>) {
    if !etcd.is_3_5() {
        return;
    }
    assert!(etcd.livez().await.unwrap().healthy);
    assert!(etcd.readyz().await.unwrap().healthy);
}
