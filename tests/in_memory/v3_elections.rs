//! Elections and their fences.

use std::time::Duration;

use etcd_http::{
    fake::FakeEtcd,
    v3::{Compare, Put, Txn},
};

use crate::support::{block_on, client};

#[test]
fn a_leader_that_resigned_is_fenced_though_its_key_exists_again() {
    let etcd = FakeEtcd::new();
    let client = client(&etcd);
    block_on(async {
        let v3 = client.v3();
        let lease = v3.leases().grant(Duration::from_secs(60)).await.unwrap().id;
        let first = v3
            .elections()
            .campaign("e", lease, "1")
            .await
            .unwrap()
            .leader;
        let write = |fence: Compare| v3.kv().txn(Txn::new().when(fence).then(Put::new("k", "")));
        assert!(write(first.still_leads()).await.unwrap().succeeded);

        v3.elections().resign(first.clone()).await.unwrap();
        assert!(!write(first.still_leads()).await.unwrap().succeeded);

        // The same lease makes the same key.
        let second = v3
            .elections()
            .campaign("e", lease, "2")
            .await
            .unwrap()
            .leader;
        assert_eq!(first.key, second.key);
        assert!(write(Compare::exists(&first.key)).await.unwrap().succeeded);
        assert!(!write(first.still_leads()).await.unwrap().succeeded);
        assert!(write(second.still_leads()).await.unwrap().succeeded);

        // In a namespace, too.
        let tenant = v3.namespace("t/");
        let leader = tenant
            .elections()
            .campaign("e", lease, "")
            .await
            .unwrap()
            .leader;
        let put = Txn::new()
            .when(leader.still_leads())
            .then(Put::new("k", ""));
        assert!(tenant.kv().txn(put).await.unwrap().succeeded);
    });
}
