//! How a case becomes tests: one for each backend, in a module that is named after the backend.

/// Makes a test of each case for each backend whose features are on.
///
/// Cases are grouped by what they [start](crate::backend::Start). `cases! { Shared { a, b } Alone { c } }` runs them on real
/// servers only. `cases! { any { Shared { a } } http { Shared { b } } }` runs those under `any` on the fake as well, as etcd
/// 3.4 and as 3.5.
///
/// Another dimension, such as the protocol of v3, is another [`Backend`](crate::backend::Backend) and another line here.
#[macro_export]
macro_rules! cases {
    ($(any { $($any:tt)* })? $(http { $($http:tt)* })?) => {
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_4, $crate::fake::Fake34: $($($any)*)?);
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_5, $crate::fake::Fake35: $($($any)*)?);
        $crate::cases!($($($any)*)? $($($http)*)?);
    };
    ($($cases:tt)*) => {
        #[cfg(all(feature = "reqwest", feature = "server"))]
        $crate::stamp!(
            reqwest,
            $crate::real::Real<::etcd_http::reqwest::ReqwestTransport, $crate::real::Tokio>: $($cases)*
        );
        #[cfg(all(feature = "hyper", feature = "server"))]
        $crate::stamp!(
            hyper,
            $crate::real::Real<::etcd_http::hyper::HyperTransport, $crate::real::Tokio>: $($cases)*
        );
        #[cfg(all(feature = "isahc", feature = "server"))]
        $crate::stamp!(
            isahc,
            $crate::real::Real<::etcd_http::isahc::IsahcTransport, $crate::real::NoRuntime>: $($cases)*
        );
    };
}

/// As [`cases!`](crate::cases), and again over gRPC.
#[macro_export]
macro_rules! cases_and_grpc {
    (any { $($any:tt)* } $(http { $($http:tt)* })?) => {
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_4, $crate::fake::Fake34: $($any)*);
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_5, $crate::fake::Fake35: $($any)*);
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_4_grpc, $crate::backend::Grpc<$crate::fake::Fake34>: $($any)*);
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_5_grpc, $crate::backend::Grpc<$crate::fake::Fake35>: $($any)*);
        $crate::cases_and_grpc!($($any)* $($($http)*)?);
    };
    ($($cases:tt)*) => {
        $crate::cases!($($cases)*);
        #[cfg(all(feature = "reqwest", feature = "server"))]
        $crate::stamp!(
            reqwest_grpc,
            $crate::backend::Grpc<$crate::real::Real<::etcd_http::reqwest::ReqwestTransport, $crate::real::Tokio>>:
                $($cases)*
        );
        #[cfg(all(feature = "hyper", feature = "server"))]
        $crate::stamp!(
            hyper_grpc,
            $crate::backend::Grpc<$crate::real::Real<::etcd_http::hyper::HyperTransport, $crate::real::Tokio>>:
                $($cases)*
        );
    };
}

/// Makes a test of each case for each backend whose client finds out the protocol. Cases under `any` run on the fake, too.
#[macro_export]
macro_rules! cases_auto {
    (any { $($any:tt)* }) => {
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_4_auto, $crate::backend::Auto<$crate::fake::Fake34>: $($any)*);
        #[cfg(feature = "fake")]
        $crate::stamp!(fake_3_5_auto, $crate::backend::Auto<$crate::fake::Fake35>: $($any)*);
        $crate::cases_auto!($($any)*);
    };
    ($($cases:tt)*) => {
        #[cfg(all(feature = "reqwest", feature = "server"))]
        $crate::stamp!(
            reqwest_auto,
            $crate::backend::Auto<$crate::real::Real<::etcd_http::reqwest::ReqwestTransport, $crate::real::Tokio>>:
                $($cases)*
        );
        #[cfg(all(feature = "hyper", feature = "server"))]
        $crate::stamp!(
            hyper_auto,
            $crate::backend::Auto<$crate::real::Real<::etcd_http::hyper::HyperTransport, $crate::real::Tokio>>:
                $($cases)*
        );
        #[cfg(all(feature = "isahc", feature = "server"))]
        $crate::stamp!(
            isahc_auto,
            $crate::backend::Auto<$crate::real::Real<::etcd_http::isahc::IsahcTransport, $crate::real::NoRuntime>>:
                $($cases)*
        );
    };
}

/// Makes a test of each case for one backend.
#[macro_export]
macro_rules! stamp {
    ($module:ident, $backend:ty: $($start:ident { $($case:ident),+ $(,)? })*) => {
        mod $module {
            $($(
                #[test]
                fn $case() {
                    let start = $crate::backend::Start::$start;
                    $crate::case::run::<$backend, _>(stringify!($case), start, super::$case);
                }
            )+)*
        }
    };
}
