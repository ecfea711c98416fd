mod admin;
mod keys;

use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::v3::{
    Changes, Key, KeyRange, Mirror, Namespace, Watch, WatchSet, WatchSetItem, namespace::Keys,
};
use crate::{client::Client, error::Result};

/// The v3 API of a [`Client`]: a short form of every operation, by family.
///
/// Each method sends or opens the operation that it names, with its defaults and its errors. For options, send the
/// operation itself: `client.send(Range::new("key").revision(7))`, `client.open(Watch::new("key").prev_kv(true))`.
///
/// The futures borrow only the client, so they can be stored, joined and raced.
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

impl<T: Transport> Client<T> {
    /// Returns the v3 API: keys and values, watches, leases, locks, elections, auth, cluster, maintenance. etcd 3.4 and
    /// later have it.
    pub fn v3(&self) -> V3<'_, T> {
        V3 { client: self }
    }
}

impl<'a, T: Transport> V3<'a, T> {
    fn client(self) -> &'a Client<T> {
        self.client
    }

    /// Delivers the changes of keys from now on, revision by revision: [`Watch`].
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

    /// Delivers the changes of the keys of several watches over one request: [`WatchSet`].
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

    /// Creates a copy of a range in memory that follows its changes: [`Mirror`].
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

    /// Returns the namespace of the keys with this prefix: [`Namespace`].
    pub fn namespace(self, prefix: impl Into<Key>) -> Namespace<T> {
        Namespace::new(self.client, prefix)
    }
}

/// The namespace of all keys.
impl<T: Transport> From<V3<'_, T>> for Namespace<T> {
    fn from(v3: V3<'_, T>) -> Self {
        Self::all(v3.client)
    }
}

/// # Short forms
impl<T: Transport> Namespace<T> {
    /// Keys and values.
    pub fn kv(&self) -> Kv<'_, T> {
        Kv { by: self.keys() }
    }

    /// Elections.
    pub fn elections(&self) -> Elections<'_, T> {
        Elections { by: self.keys() }
    }

    /// Delivers the changes of keys from now on, revision by revision: [`Watch`].
    pub fn watch(&self, range: impl Into<KeyRange>) -> BoxStream<'static, Result<Changes>> {
        self.open(Watch::new(range))
    }

    /// Delivers the changes of the keys of several watches over one request: [`WatchSet`].
    pub fn watch_set(
        &self,
        watches: impl IntoIterator<Item = Watch>,
    ) -> BoxStream<'static, Result<WatchSetItem>> {
        self.open(WatchSet::new(watches))
    }

    /// Creates a copy of a range in memory that follows its changes: [`Mirror`].
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

/// Declares families of operations, each with a handle of its own, and what executes them.
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
    /// Users, roles, and whether authentication is enabled.
    auth -> Auth;
    /// The members of the cluster.
    cluster -> Cluster;
    /// Maintenance of members and the cluster.
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
                /// See the operation, and [`Error`](crate::Error).
                pub async fn $method(self, $($argument: $type),*) -> Result<$output> {
                    self.by.send($operation).await
                }
            )+
        }
    };
}

use short_forms;
