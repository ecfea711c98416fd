//! How a case becomes tests.

/// Stamps the cases of a family for every backend. They stand by what they start: see [`Start`](harness::Start).
macro_rules! cases {
    ($($cases:tt)*) => {
        #[cfg(feature = "reqwest")]
        stamp!(reqwest, $crate::harness::Reqwest: $($cases)*);
        #[cfg(feature = "isahc")]
        stamp!(isahc, $crate::harness::Isahc: $($cases)*);
    };
}

/// Stamps cases for one backend.
macro_rules! stamp {
    ($module:ident, $backend:ty: $($start:ident { $($case:ident),+ $(,)? })*) => {
        mod $module {
            $($(
                #[test]
                fn $case() {
                    let start = $crate::harness::Start::$start;
                    $crate::harness::run::<$backend, _>(stringify!($case), start, super::$case);
                }
            )+)*
        }
    };
}
