//! Properties of the types that need no request.

use std::{sync::Arc, time::Duration};

use etcd_http::{
    Client, Error, Health, ServerVersion,
    recipes::{Election, RecipeError, Session, Stm, v2},
    transport::Transport,
    v2::{
        Action, ClusterInfo, Counts, Event, FollowerStats, Get, Latency, LeaderInfo, LeaderStats,
        Member, Node, Permissions, Role, SelfStats, StoreStats, User, UserDetails, Watch,
    },
    v3::{Changes, Header, HeldLease, KeyValue, LeaseId, LeaseKeeper, Mirror, Put, RangeResponse},
};
use futures::Stream;
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, file, keys},
};

fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

fn is_spawned<T: Send>(_: &T) {}

#[test]
fn a_client_is_shared_by_clones_and_its_futures_and_streams_can_be_spawned() {
    let client = Client::new(ScriptedTransport::new([]), ["http://a"]).unwrap();
    is_shared(&client);
    is_spawned(&client.send(Get::new("x")));
    is_spawned(&client.v2().set("x", "y"));
    is_spawned(&client.open(Watch::new("x")));
    is_spawned(&client.v3().kv().get("x"));
}

/// What is returned borrows nothing, so each can be returned from where its client is created, and spawned.
#[test]
fn futures_and_iterators_capture_no_lifetime_that_they_do_not_need() {
    fn keeper<T: Transport>(
        client: Client<T>,
    ) -> (LeaseKeeper<T>, impl Future<Output = ()> + Send + 'static) {
        LeaseKeeper::new(&client)
    }

    fn short_keeper<T: Transport>(
        client: Client<T>,
    ) -> (LeaseKeeper<T>, impl Future<Output = ()> + Send + 'static) {
        client.v3().leases().keeper()
    }

    fn loss<T: Transport>(lease: HeldLease<T>) -> impl Future + Send + 'static {
        lease.lost()
    }

    fn early_loss<T: Transport>(lease: &HeldLease<T>) -> impl Future + Send + 'static + use<T> {
        lease.lost_before(Duration::from_secs(1))
    }

    fn synced<T: Transport>(client: Client<T>) -> impl Future + Send + 'static {
        client.keep_synced(Duration::from_secs(60))
    }

    fn watch<T: Transport>(client: Client<T>) -> impl Stream + Send + 'static {
        client.v3().watch("a")
    }

    fn copied<T: Transport>(mirror: Mirror<T>) -> impl Iterator<Item = KeyValue> {
        mirror.iter()
    }

    fn read<T: Transport>(mirror: &Mirror<T>) -> impl Iterator<Item = KeyValue> + use<T> {
        let reader = mirror.reader();
        reader.iter()
    }

    let client = Client::new(ScriptedTransport::new([]), ["http://a"]).unwrap();
    is_spawned(&keeper(client.clone()).1);
    is_spawned(&short_keeper(client.clone()).1);
    let _ = (loss::<ScriptedTransport>, early_loss::<ScriptedTransport>);
    is_spawned(&synced(client.clone()));
    is_spawned(&watch(client.clone()));
    let mirror = client.v3().mirror("a");
    assert_eq!(read(&mirror).count() + copied(mirror).count(), 0);
    // A short form borrows the client, and not the handle that it is called on.
    let lock = client.v3().lock("name", 7);
    let unlock = client.v3().unlock("name/7");
    let get = client.v3().kv().get("a");
    let set = client.v2().set("a", "b");
    is_spawned(&(lock, unlock, get, set));
}

#[test]
fn a_transport_can_be_chosen_at_run_time() {
    let script = ScriptedTransport::new([keys(200, 7, file("get", "/x", 7))]);
    let transport: Arc<dyn Transport> = Arc::new(script);
    let client = Client::new(transport, ["http://a"]).unwrap();
    assert_eq!(block_on(client.v2().get("x")).unwrap().index(), 7);
}

/// Work that is given as an async closure, over a client without a type parameter.
#[test]
fn recipes_can_be_spawned_over_any_transport() {
    async fn lead(client: Client) -> Result<(), RecipeError> {
        let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
        let election = Election::new(&session, "election");
        let work = async {
            let led = election.run_while_leader("here", async |leader| {
                leader.proclaim("still here").await?;
                client
                    .send(Put::new("a", "b").lease(leader.lease()))
                    .await?;
                Ok::<_, RecipeError>(())
            });
            led.await?
        };
        session.run(driver, work).await
    }
    async fn transfer(client: Client) -> Result<(), RecipeError> {
        let stm = Stm::new(client.v3());
        let swap = stm.run(async |txn| {
            let value = txn.get("a").await?;
            txn.put("b", value.unwrap_or_default());
            Ok(())
        });
        swap.await.map(drop)
    }
    async fn hold(client: Client) -> Result<(), RecipeError> {
        let mutex = v2::Mutex::new(&client, "lock", Duration::from_secs(10));
        let held =
            mutex.run(async |held| client.v2().set("a", format!("{held:?}")).await.map(drop));
        Ok(held.await??)
    }
    let client = Client::new(ScriptedTransport::new([]), ["http://a"]).unwrap();
    let client = client.into_dyn();
    is_spawned(&lead(client.clone()));
    is_spawned(&transfer(client.clone()));
    is_spawned(&hold(client));
}

#[test]
fn an_error_is_small() {
    assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
}

/// Implemented twice for what serde can decode, so that naming it does not compile for that.
trait NotDecodable<A> {
    const IT_IS: () = ();
}

struct Decodable;

impl<T> NotDecodable<()> for T {}

impl<T: serde::de::DeserializeOwned> NotDecodable<Decodable> for T {}

/// A later major release of serde is not to be a breaking change of this crate.
#[test]
fn decoded_types_do_not_implement_deserialize() {
    macro_rules! none_of_serdes {
        ($($type:ty),+) => { $(let () = <$type as NotDecodable<_>>::IT_IS;)+ };
    }
    none_of_serdes!(Action, Event, Node, ClusterInfo, Permissions, Role, User);
    none_of_serdes!(UserDetails, Member, SelfStats, StoreStats, LeaderStats);
    none_of_serdes!(
        FollowerStats,
        Latency,
        Counts,
        LeaderInfo,
        ServerVersion,
        Health
    );
    none_of_serdes!(KeyValue, RangeResponse, Changes, Header, LeaseId);
}
