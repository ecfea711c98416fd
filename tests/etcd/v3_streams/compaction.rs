//! History that is compacted at every point around a delete.

use std::pin::pin;

use etcd_http::{
    transport::Transport,
    v3::{Compact, DeleteRange, Put, Watch},
};
use futures::{
    StreamExt,
    future::{Either, select},
};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    any {
        Alone {
            a_watch_that_resumes_misses_no_delete_wherever_history_is_compacted,
        }
    }
}

async fn a_watch_that_resumes_misses_no_delete_wherever_history_is_compacted<T: Transport>(
    etcd: Etcd<T>,
) {
    for compacted in 0..=2 {
        let seen = etcd
            .client(|builder| builder)
            .send(Put::new(etcd.key("k"), "1"))
            .await;
        let seen = seen.unwrap().header.revision;
        let mut changes = etcd.open(Watch::new(etcd.key("k")).from_revision(seen));
        assert_eq!(changes.next().await.unwrap().unwrap().revision, seen);
        etcd.meanwhile(|server| server.restart()).await;
        // The watch resumes when it is polled again.
        let writer = etcd.client(|builder| builder);
        let delete = DeleteRange::new(etcd.key("k"));
        let deleted = writer.send(delete).await.unwrap().header.revision;
        let put = Put::new(etcd.key("other"), "x");
        writer.send(put).await.unwrap();
        assert_eq!(deleted, seen + 1);
        let compact = Compact::new(seen + compacted).physical(true);
        writer.send(compact).await.unwrap();
        let limit = etcd.sleep(60_000);
        match select(pin!(changes.next()), pin!(limit)).await {
            Either::Left((Some(Ok(changes)), _)) => {
                assert_eq!((changes.revision, compacted), (deleted, 0));
                assert!(changes.events[0].is_delete());
            }
            Either::Left((Some(Err(error)), _)) => {
                assert!(
                    compacted > 0 && error.is_compacted(),
                    "{compacted}: {error}"
                );
            }
            _ => panic!("the delete is missing: {compacted}"),
        }
        // A start that the caller gave may be the compacted revision.
        let given = Watch::new(etcd.key("other")).from_revision(seen + compacted);
        let mut given = writer.open(given);
        assert_eq!(given.next().await.unwrap().unwrap().events[0].kv.value, "x");
    }
}
