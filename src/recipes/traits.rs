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

pub(super) use clone_and_debug;
