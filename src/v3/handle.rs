mod admin;
mod keys;

use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v3::{
    Changes, KeyRange, Mirror, Namespace, Watch, WatchSet, WatchSetItem, namespace::Keys,
};
use crate::{client::Client, error::Result};

/// The v3 API of a [`Client`]: a short form of every operation, by family.
///
/// Each sends or opens the operation that it names, with its defaults, and fails as that documents. For options, send the
/// operation itself: `client.send(Range::new("key").revision(7))`, `client.open(Watch::new("key").prev_kv(true))`.
///
/// Its futures borrow the client alone, so they can be kept, joined and raced.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let kv = client.v3().kv();
/// let (color, size) = futures::try_join!(kv.get("color"), kv.get("size"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct V3<'a, T> {
    client: &'a Client<T>,
}

impl<'a, T: Transport> V3<'a, T> {
    pub(crate) fn new(client: &'a Client<T>) -> Self {
        Self { client }
    }

    fn client(self) -> &'a Client<T> {
        self.client
    }

    /// What happens to keys from now on, revision by revision: [`Watch`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::KeyRange;
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let mut changes = client.v3().watch(KeyRange::prefix("config/"));
    /// while let Some(changes) = changes.try_next().await? {
    ///     for event in &changes.events {
    ///         println!("{} {:?} {:?}", changes.revision, event.kind, event.key());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(self, range: impl Into<KeyRange>) -> BoxStream<'static, Result<Changes>> {
        self.client.open(Watch::new(range))
    }

    /// What happens to the keys of several watches, over one request: [`WatchSet`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::{KeyRange, Watch};
    /// use futures::TryStreamExt;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let watches = [Watch::new("leader"), Watch::new(KeyRange::prefix("jobs/"))];
    /// let mut items = client.v3().watch_set(watches);
    /// while let Some(item) = items.try_next().await? {
    ///     println!("watch {}: {:?}", item.watch, item.changes?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_set(
        self,
        watches: impl IntoIterator<Item = Watch>,
    ) -> BoxStream<'static, Result<WatchSetItem>> {
        self.client.open(WatchSet::new(watches))
    }

    /// A copy of a range in memory that stays equal to it: [`Mirror`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::KeyRange;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let mut config = client.v3().mirror(KeyRange::prefix("config/"));
    /// config.next().await?; // The first listing.
    /// println!("{:?}", config.get("config/level"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn mirror(self, range: impl Into<KeyRange>) -> Mirror<T> {
        Mirror::new(self.client, range)
    }

    /// The keys with this prefix, as if there were no others.
    pub fn namespace(self, prefix: impl Into<Vec<u8>>) -> Namespace<T> {
        Namespace::new(self.client, prefix)
    }
}

/// # Short forms
impl<T: Transport> Namespace<T> {
    /// Its keys and values.
    pub fn kv(&self) -> Kv<'_, T> {
        Kv { by: self.keys() }
    }

    /// Its elections.
    pub fn elections(&self) -> Elections<'_, T> {
        Elections { by: self.keys() }
    }

    /// What happens to keys from now on, revision by revision: [`Watch`].
    pub fn watch(&self, range: impl Into<KeyRange>) -> BoxStream<'static, Result<Changes>> {
        self.open(Watch::new(range))
    }

    /// What happens to the keys of several watches, over one request: [`WatchSet`].
    pub fn watch_set(
        &self,
        watches: impl IntoIterator<Item = Watch>,
    ) -> BoxStream<'static, Result<WatchSetItem>> {
        self.open(WatchSet::new(watches))
    }

    /// A copy of a range in memory that stays equal to it: [`Mirror`].
    ///
    /// ```
    /// # use etcd_http::{Client, Error, transport::Transport};
    /// use etcd_http::v3::KeyRange;
    ///
    /// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    /// let mut tenant = client.v3().namespace("tenants/7/").mirror(KeyRange::all());
    /// tenant.next().await?;
    /// println!("{:?}", tenant.get("color")); // tenants/7/color
    /// # Ok(())
    /// # }
    /// ```
    pub fn mirror(&self, range: impl Into<KeyRange>) -> Mirror<T> {
        Mirror::within(self.clone(), range.into())
    }
}

/// Declares families of operations, each a handle of its own, and what carries them out.
macro_rules! families {
    ($by:ident: $($(#[$doc:meta])* $method:ident -> $family:ident;)+) => {
        impl<'a, T: Transport> V3<'a, T> {$(
            $(#[$doc])*
            pub fn $method(self) -> $family<'a, T> {
                $family { by: self.client.into() }
            }
        )+}

        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $family<'a, T> {
                by: $by<'a, T>,
            }

            impl<T> Clone for $family<'_, T> {
                fn clone(&self) -> Self {
                    *self
                }
            }

            impl<T> Copy for $family<'_, T> {}
        )+
    };
}

// Of all keys, or of those in a namespace.
families! {
    Keys:

    /// Keys and values.
    kv -> Kv;
    /// Elections.
    elections -> Elections;
}

families! {
    Whole:

    /// Leases.
    leases -> Leases;
    /// Users, roles, and whether they count.
    auth -> Auth;
    /// The members of the cluster.
    cluster -> Cluster;
    /// Looking after a member, and the cluster.
    maintenance -> Maintenance;
}

type Whole<'a, T> = &'a Client<T>;

impl<T> Clone for V3<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for V3<'_, T> {}

/// Declares methods that send an operation made of their arguments.
macro_rules! short_forms {
    ($family:ident: $(
        $(#[$doc:meta])*
        $method:ident($($argument:ident: $type:ty),*) -> $output:ty = $operation:expr;
    )+) => {
        impl<T: Transport> $family<'_, T> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// As the operation documents; see [`Error`](crate::Error).
                pub async fn $method(self, $($argument: $type),*) -> Result<$output> {
                    self.by.send($operation).await
                }
            )+
        }
    };
}

use short_forms;
