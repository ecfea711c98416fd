//! One test for each rule and each subject: the fake as 3.4 and as 3.5, and real servers.

use etcd_http_fake::FakeEtcd;
#[doc(no_inline)]
pub use etcd_http_fake::Profile;

use super::{
    Fake, Subject,
    real::{Real, binaries},
};

/// Declares a test for each subject of each rule. The crate's `SERVER_FLAGS` are the real servers'.
#[allow(
    clippy::crate_in_macro_def,
    reason = "the flags are those of the crate that has the rules"
)]
#[macro_export]
macro_rules! rules {
    ($($(#[$attribute:meta])* fn $name:ident($subject:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every rule needs all of its file's helpers")]
            use super::*;

            $(#[$attribute])*
            fn rule($subject: &mut dyn $crate::Subject) $body

            #[test]
            fn fake_3_4() {
                rule(&mut $crate::rules::fake($crate::rules::Profile::V3_4));
            }

            #[test]
            fn fake_3_5() {
                rule(&mut $crate::rules::fake($crate::rules::Profile::V3_5));
            }

            #[test]
            fn real() {
                $crate::rules::each_real(&crate::SERVER_FLAGS, rule);
            }
        }
    )*};
}

/// A fake that responds as this release.
pub fn fake(profile: Profile) -> Fake {
    Fake(FakeEtcd::builder().profile(profile).build())
}

/// Runs a rule on a new server of each binary, one after the other.
pub fn each_real(flags: &[&str], rule: impl Fn(&mut dyn Subject)) {
    for binary in binaries() {
        rule(&mut Real::start_with(&binary, flags));
    }
}
