use etcd_http::{Client, hyper::HyperTransport, v3::KeyRange};

#[tokio::main]
async fn main() -> Result<(), etcd_http::Error> {
    let endpoints = ["http://127.0.0.1:2379"];
    let client = Client::<HyperTransport>::connect(endpoints)?;
    let kv = client.v3().kv();

    kv.put("config/color", "green").await?;
    kv.put("config/size", "7").await?;
    for pair in kv.range(KeyRange::prefix("config/")).await?.kvs {
        println!("{:?} = {:?}", pair.key, pair.value);
    }
    kv.delete(KeyRange::prefix("config/")).await?;
    Ok(())
}
