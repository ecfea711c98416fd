//! Messages that etcd splits: while a watch catches up, one has up to a thousand revisions.

use etcd_http::{
    transport::Transport,
    v3::{KeyRange, Put, Watch, WatchSet},
};
use futures::StreamExt;
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    any {
        Shared {
            v3_82_a_history_larger_than_a_response_may_be_arrives,
            v3_82_a_watch_that_catches_up_leaves_the_others_of_its_set_open,
        }
    }
}

/// More than a fragment, which is larger by a third in JSON.
const LIMIT: usize = 4 << 20;

/// Writes revisions of 8 MiB together, and returns the first.
async fn write_history<T: Transport>(etcd: &Etcd<T>) -> i64 {
    let value = "x".repeat(400 << 10);
    let mut first = None;
    for number in 0..COUNT {
        let key = etcd.key(format!("big/{}", number % 3));
        let put = etcd.send(Put::new(key, value.as_str())).await.unwrap();
        first.get_or_insert(put.header.revision);
    }
    first.unwrap()
}

const COUNT: usize = 20;

fn history<T: Transport>(etcd: &Etcd<T>, first: i64) -> Watch {
    Watch::new(KeyRange::prefix(etcd.key("big/"))).from_revision(first)
}

async fn v3_82_a_history_larger_than_a_response_may_be_arrives<T: Transport>(etcd: Etcd<T>) {
    let first = write_history(&etcd).await;
    let client = etcd.client(|builder| builder.max_response_size(LIMIT));
    let changes = client.open(history(&etcd, first)).take(COUNT);
    let changes: Vec<_> = changes.map(Result::unwrap).collect().await;
    assert!(changes.iter().all(|changes| changes.events.len() == 1));
    assert!(changes.is_sorted_by(|one, next| one.revision < next.revision));
    assert_eq!(changes.len(), COUNT);
}

async fn v3_82_a_watch_that_catches_up_leaves_the_others_of_its_set_open<T: Transport>(
    etcd: Etcd<T>,
) {
    let first = write_history(&etcd).await;
    let client = etcd.client(|builder| builder.max_response_size(LIMIT));
    let quiet = Watch::new(etcd.key("quiet")).from_revision(first);
    let mut items = client.open(WatchSet::new([history(&etcd, first), quiet]));
    for _ in 0..COUNT {
        let item = items.next().await.unwrap().unwrap();
        assert_eq!((item.watch, item.changes.is_ok()), (0, true));
    }
    let put = etcd.send(Put::new(etcd.key("quiet"), "")).await.unwrap();
    let item = items.next().await.unwrap().unwrap();
    let revision = item.changes.unwrap().revision;
    assert_eq!((item.watch, revision), (1, put.header.revision));
}
