//! Typed settings under a prefix.

mod document;
mod driver;
pub(super) mod invalid;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    FutureExt, StreamExt,
    channel::oneshot,
    stream::{self, BoxStream},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    recipes::{
        cache::Cache,
        error::RecipeError,
        published::{Published, Stage},
        session::name,
        wait::beside,
    },
    v3::{Key, KeyRange, Namespace},
};

pub use driver::ConfigDriver;
use driver::{State, Work};
pub use invalid::InvalidConfig;

/// Settings of a program, each a key under one prefix, that change while it runs.
///
/// [`get`](Self::get) returns the present settings, without a request or a lock. They are of one type, of which each field is a key:
/// with the prefix `config/web`, the field `port` is `config/web/port`, and a field of a struct in it is
/// `config/web/limits/rate`. A key that does not exist has its default. A clone has the same settings.
///
/// A constructor returns two things: the settings, and their [driver](ConfigDriver), a future that reads the keys and follows
/// them. Spawn the driver on any runtime, or poll it beside the work with [`run`](Self::run).
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::Config;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Settings {
///     greeting: String,
///     port: u16,
/// }
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let defaults = Settings { greeting: "hello".to_owned(), port: 80 };
/// let check = |settings: &Settings| match settings.port {
///     0 => Err("a port is not 0"),
///     _ => Ok(()),
/// };
/// let (config, driver) = Config::new(client.v3(), "config/web", defaults, check);
/// // With tokio, `tokio::spawn(driver)` does as well, and `run` is not needed.
/// config.run(driver, async {
///     let settings = config.ready().await?;
///     println!("{} at {}", settings.greeting, settings.port);
///     // Later, in a request: an `Arc`, at once.
///     println!("{}", config.get().greeting);
///     Ok(())
/// }).await
/// # }
/// ```
///
/// # Values
///
/// A value is JSON: `80`, `true`, `["a","b"]`. What is not JSON is a string, so that quotes can be left out; where the default is a
/// string, so is every value, such as `42`. A key may also set a whole group, as a JSON object; keys of single fields come after it.
/// Keys that the type does not know are ignored, unless it has `#[serde(deny_unknown_fields)]`.
///
/// # What is promised
///
/// - **One revision.** Settings that one transaction writes change together.
/// - **The last valid settings stay**, all of them, while a key does not fit its type or the check fails: [`rejected`](Self::rejected)
///   says so, with the key. Before there are any, the defaults are the settings.
/// - It survives what a [`Cache`] survives.
pub struct Config<V> {
    inner: Arc<Inner<V>>,
}

struct Inner<V> {
    published: Published<State<V>>,
    cache: Cache<Bytes>,
    /// Ends the driver when it is dropped.
    _alive: oneshot::Sender<()>,
}

/// A change of a [`Config`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigChange<V> {
    /// The settings have changed.
    Changed {
        /// What they were when the stream reported them last.
        old: Arc<V>,
        /// What they are now.
        new: Arc<V>,
    },
    /// The keys are not valid settings. The last valid ones stay.
    Rejected(Arc<InvalidConfig>),
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Config<V> {
    /// Creates the settings under a prefix, with their defaults and a check. Takes `client.v3()`, or a [`Namespace`]. Nothing is
    /// sent yet: the driver reads the keys.
    ///
    /// For no check: `|_: &Settings| Ok::<(), String>(())`.
    pub fn new<T: Transport, E>(
        within: impl Into<Namespace<T>>,
        prefix: impl Into<Key>,
        defaults: V,
        check: impl Fn(&V) -> Result<(), E> + Send + Sync + 'static,
    ) -> (Self, ConfigDriver)
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut prefix = name(prefix);
        if !prefix.is_empty() && !prefix.ends_with(b"/") {
            prefix = [&prefix[..], b"/"].concat().into();
        }
        let range = if prefix.is_empty() {
            KeyRange::all()
        } else {
            KeyRange::prefix(&prefix)
        };
        let (cache, following) = Cache::new(within, range, |kv| {
            Ok::<_, std::convert::Infallible>(kv.value.clone())
        });
        let defaults = Arc::new(defaults);
        let (published, publisher) = Published::new(State {
            revision: 0,
            settings: Arc::clone(&defaults),
            rejected: None,
        });
        let (alive, ending) = oneshot::channel();
        let work = Work {
            prefix,
            defaults,
            check: Box::new(move |settings| check(settings).map_err(Into::into)),
            updates: cache.changes(),
            publisher,
        };
        let inner = Inner {
            published,
            cache,
            _alive: alive,
        };
        let inner = Arc::new(inner);
        let driver = driver::drive(work, following, ending).boxed();
        (Self { inner }, ConfigDriver(driver))
    }
}

impl<V: Send + Sync + 'static> Config<V> {
    /// Returns the present settings: the defaults, before the keys have been read.
    pub fn get(&self) -> Arc<V> {
        Arc::clone(&self.state().value.settings)
    }

    /// Waits until the keys have been read, and returns the settings.
    ///
    /// # Errors
    /// [`RecipeError::InvalidConfig`] if they are not valid: [`get`](Self::get) returns the last valid ones, or the defaults.
    /// [`RecipeError::Client`] if etcd refused to list the keys: the driver has ended. [`RecipeError::DriverEnded`] if the driver was
    /// dropped.
    pub async fn ready(&self) -> Result<Arc<V>, RecipeError> {
        loop {
            let stage = self.state();
            let State {
                revision,
                settings,
                rejected,
            } = &stage.value;
            match rejected {
                Some(rejected) => return Err(RecipeError::InvalidConfig(Arc::clone(rejected))),
                None if *revision > 0 => return Ok(Arc::clone(settings)),
                None => {}
            }
            if stage.next().await.is_err() {
                self.inner.cache.ready().await?;
                return Err(RecipeError::DriverEnded);
            }
        }
    }

    /// Delivers what changes from now on. A stream that is polled late gets the present settings, and not those between.
    ///
    /// It keeps the settings as a handle does, and ends when the driver has ended.
    pub fn changes(&self) -> BoxStream<'static, ConfigChange<V>> {
        let config = self.clone();
        let stage = self.state();
        let seen = (
            Arc::clone(&stage.value.settings),
            stage.value.rejected.clone(),
        );
        stream::unfold(
            (config, seen),
            |(config, (settings, rejected))| async move {
                loop {
                    let stage = config.state();
                    let now = &stage.value;
                    if !Arc::ptr_eq(&settings, &now.settings) {
                        let new = Arc::clone(&now.settings);
                        let seen = (Arc::clone(&new), rejected);
                        let old = settings;
                        return Some((ConfigChange::Changed { old, new }, (config, seen)));
                    }
                    if let Some(error) = &now.rejected
                        && rejected.as_ref().is_none_or(|it| !Arc::ptr_eq(it, error))
                    {
                        let error = Arc::clone(error);
                        let seen = (settings, Some(Arc::clone(&error)));
                        return Some((ConfigChange::Rejected(error), (config, seen)));
                    }
                    stage.next().await.ok()?;
                }
            },
        )
        .boxed()
    }

    /// Polls the driver beside the work. Returns what the work returns. This is for programs that do not spawn.
    pub async fn run<O>(
        &self,
        driver: impl Future<Output = ()>,
        work: impl Future<Output = O>,
    ) -> O {
        beside(driver, work).await
    }
}

impl<V> Config<V> {
    /// Returns why the present keys are not valid settings, if they are not.
    pub fn rejected(&self) -> Option<Arc<InvalidConfig>> {
        self.state().value.rejected.clone()
    }

    /// Returns how long ago a server last confirmed the keys: [`Cache::last_heard`].
    pub fn last_heard(&self) -> Option<Duration> {
        self.inner.cache.last_heard()
    }

    /// Returns why the keys cannot be read at present: [`Cache::failure`].
    pub fn failure(&self) -> Option<Error> {
        self.inner.cache.failure()
    }

    fn state(&self) -> Arc<Stage<State<V>>> {
        self.inner.published.read()
    }
}

impl<V> Clone for Config<V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for Config<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.state();
        f.debug_struct("Config")
            .field("settings", &stage.value.settings)
            .field("rejected", &stage.value.rejected)
            .finish_non_exhaustive()
    }
}
