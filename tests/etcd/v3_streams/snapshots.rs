//! Snapshots.

use etcd_http::{
    transport::Transport,
    v3::{KeyRange, Put, RangeStream, Snapshot},
};
use futures::{StreamExt, TryStreamExt};
use harness::{case::Etcd, cases_and_grpc};

cases_and_grpc! {
    Shared {
        v3_126_a_snapshot_is_the_file_that_etcd_would_write,
        r_70_a_large_range_is_read_page_by_page_at_one_revision,
    }
}

async fn v3_126_a_snapshot_is_the_file_that_etcd_would_write<T: Transport>(etcd: Etcd<T>) {
    let value = "x".repeat(500_000);
    for number in 0..4 {
        etcd.send(Put::new(etcd.key(number.to_string()), &*value))
            .await
            .unwrap();
    }
    let mut file = Vec::new();
    let size = Snapshot::new().write_to(&etcd, &mut file).await.unwrap();
    assert_eq!(size, file.len() as u64);
    assert!(size > 2_000_000 && size % 512 == 32, "{size}");
    // bbolt's magic number, in its first page.
    assert_eq!(file[16..20], 0xED0C_DAED_u32.to_le_bytes());
}

async fn r_70_a_large_range_is_read_page_by_page_at_one_revision<T: Transport>(etcd: Etcd<T>) {
    for number in 0..25 {
        etcd.send(Put::new(etcd.key(format!("k{number:02}")), "old"))
            .await
            .unwrap();
    }
    let range = KeyRange::prefix(etcd.key(""));
    let mut stream = etcd.open(RangeStream::new(&range).page(10));
    let mut found = vec![stream.next().await.unwrap().unwrap()];
    // Concurrent writes belong to later revisions.
    etcd.send(Put::new(etcd.key("k20"), "new")).await.unwrap();
    etcd.send(Put::new(etcd.key("k99"), "new")).await.unwrap();
    found.extend(stream.try_collect::<Vec<_>>().await.unwrap());
    assert_eq!(found.len(), 25);
    assert!(found.iter().all(|kv| kv.value == "old"));
    assert!(found.is_sorted_by(|one, two| one.key < two.key));
}
