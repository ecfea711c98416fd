//! What a version of etcd lacks is said so, and not taken for something that is not there.

use etcd_http::{Error, Outcome, transport::Transport, v3::Downgrade};

use crate::harness::Etcd;

cases! {
    Shared {
        v3_2_what_3_4_lacks_is_unsupported,
        livez_and_readyz_are_unsupported_where_v2_is_on,
    }
}

#[track_caller]
fn assert_unsupported<O: std::fmt::Debug>(result: Result<O, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Rejected);
}

async fn v3_2_what_3_4_lacks_is_unsupported<T: Transport>(etcd: Etcd<T>) {
    let v3 = etcd.v3();
    if etcd.is_3_5() {
        v3.auth().status().await.unwrap();
        v3.maintenance().hash_kv().await.unwrap();
        v3.maintenance()
            .downgrade(Downgrade::validate("3.4.0"))
            .await
            .unwrap();
        return;
    }
    assert_unsupported(v3.auth().status().await);
    assert_unsupported(v3.maintenance().hash_kv().await);
    assert_unsupported(v3.maintenance().downgrade(Downgrade::cancel()).await);
}

async fn livez_and_readyz_are_unsupported_where_v2_is_on<T: Transport>(etcd: Etcd<T>) {
    assert_unsupported(etcd.livez().await);
    assert_unsupported(etcd.readyz().await);
}
