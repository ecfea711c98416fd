//! The traits that every recipe has, whatever its transport.

/// Implements `Clone`, which shares the session, and `Debug`, which shows the first field.
macro_rules! clone_and_debug {
    ($recipe:ident { $shown:ident, $($field:ident),* }) => {
        impl<T> Clone for $recipe<T> {
            fn clone(&self) -> Self {
                Self {
                    $shown: self.$shown.clone(),
                    $($field: self.$field.clone(),)*
                }
            }
        }

        impl<T> std::fmt::Debug for $recipe<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($recipe))
                    .field(stringify!($shown), &self.$shown)
                    .finish_non_exhaustive()
            }
        }
    };
}

/// Implements `Future`, by the boxed one within, and `Debug`.
macro_rules! driver {
    ($driver:ident) => {
        impl Future for $driver {
            type Output = ();

            fn poll(
                mut self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<()> {
                futures::FutureExt::poll_unpin(&mut self.0, context)
            }
        }

        impl std::fmt::Debug for $driver {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($driver)).finish_non_exhaustive()
            }
        }
    };
}

pub(super) use {clone_and_debug, driver};
