use etcd_http::{Client, Error, fake::Explore};

#[test]
fn a_write_is_read_whatever_happens() {
    let explored = Explore::new().runs(100).run(async |etcd| {
        let client = Client::new(etcd.clone(), etcd.endpoints())?;
        if client.v3().kv().put("color", "red").await.is_ok() {
            assert_eq!(etcd.get("color").unwrap().value, "red");
        }
        Ok::<(), Error>(())
    });
    explored.unwrap();
}
