//! The streams of the v3 API, asked of a real etcd through every backend: one named test for each case and backend.
//!
//! As in the suite `behaviour`, a case is `async fn name<T: Transport>(etcd: Etcd<T>)`, and `v3_77_…` names the rule of
//! etcd's behaviour that it shows. `ETCD_BIN` chooses another etcd.

/// Stamps the cases of a family for every backend. They stand by what they start: see [`Start`](harness::Start).
macro_rules! cases {
    ($($cases:tt)*) => {
        #[cfg(feature = "reqwest")]
        stamp!(reqwest, $crate::harness::Reqwest: $($cases)*);
        #[cfg(feature = "isahc")]
        stamp!(isahc, $crate::harness::Isahc: $($cases)*);
    };
}

macro_rules! stamp {
    ($module:ident, $backend:ty: $($start:ident { $($case:ident),+ $(,)? })+) => {
        mod $module {
            $($(
                #[test]
                fn $case() {
                    let start = $crate::harness::Start::$start;
                    $crate::harness::run::<$backend, _>(stringify!($case), start, super::$case);
                }
            )+)+
        }
    };
}

#[path = "../behaviour/harness/mod.rs"]
#[allow(dead_code, unused_imports)] // What only the suite of v2 needs.
mod harness;
mod history;
mod leases;
#[path = "../fire/machine.rs"]
#[allow(dead_code)] // What only the fire needs.
mod machine;
mod mirrors;
mod namespaces;
mod nine;
mod observers;
#[path = "../behaviour/scripted.rs"]
#[allow(dead_code)] // The harness needs it.
mod scripted;
mod snapshots;
mod watches;
