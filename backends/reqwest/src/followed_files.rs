use std::{
    path::PathBuf,
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_transport::FileStamps;

/// Files that clients are built from, and when they were looked at.
///
/// reqwest does not tell when it makes a connection, so the files are looked at before a request, at most four times a second; and
/// again after a connection that could not be made.
pub(crate) struct FollowedFiles {
    seen: Mutex<Seen>,
    is_urgent: AtomicBool,
}

struct Seen {
    /// How the files were when clients were last built from them.
    stamps: FileStamps,
    looked: Instant,
}

/// A look takes a few microseconds for each file.
const INTERVAL: Duration = Duration::from_millis(250);

impl FollowedFiles {
    /// The files as they are now. Clients are built from them afterwards.
    pub(crate) fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            seen: Mutex::new(Seen {
                stamps: FileStamps::of(files),
                looked: Instant::now(),
            }),
            is_urgent: AtomicBool::new(false),
        }
    }

    /// Looks at the files when the next request comes.
    pub(crate) fn look_soon(&self) {
        self.is_urgent.store(true, Relaxed);
    }

    /// Calls `rebuild` if a file has changed, and again later unless that returns whether it succeeded. It blocks for as long as it
    /// takes to read a few small files.
    pub(crate) fn follow(&self, rebuild: impl FnOnce() -> bool) {
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(seen)) => seen.into_inner(),
            // Another request looks.
            Err(TryLockError::WouldBlock) => return,
        };
        if !self.is_urgent.swap(false, Relaxed) && seen.looked.elapsed() < INTERVAL {
            return;
        }
        seen.looked = Instant::now();
        if let Some(stamps) = seen.stamps.changed()
            && rebuild()
        {
            seen.stamps = stamps;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    #[test]
    fn files_are_looked_at_again_after_a_while_or_a_failure_until_clients_are_built() {
        let path = env::temp_dir().join(format!("followed-files-{}", process::id()));
        fs::write(&path, "one").unwrap();
        let files = FollowedFiles::new([path.clone()]);
        let built = |succeeds| {
            let mut is_built = false;
            files.follow(|| {
                is_built = true;
                succeeds
            });
            is_built
        };
        fs::write(&path, "another").unwrap();
        assert!(!built(true), "it was looked at a moment ago");
        files.look_soon();
        assert!(built(false));
        // It failed, and is tried again.
        files.look_soon();
        assert!(built(true));
        files.look_soon();
        assert!(!built(true), "nothing has changed");
        fs::remove_file(&path).unwrap();
        assert!(!built(true));
        files.seen.lock().unwrap().looked -= INTERVAL;
        assert!(built(true));
    }
}
