use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How files are at a time, to tell later whether one of them has changed: for a backend that reads certificates again.
///
/// A file counts as changed if it was written at another time, or has another length; one that appears or disappears has
/// changed, too. A symbolic link is followed.
///
/// ```
/// use etcd_transport::FileStamps;
///
/// # let file = std::env::temp_dir().join(format!("file-stamps-{}", std::process::id()));
/// # let _ = std::fs::remove_file(&file);
/// let before = FileStamps::of([&file]);
/// std::fs::write(&file, "a certificate")?;
/// assert_ne!(FileStamps::of([&file]), before);
/// # std::fs::remove_file(&file)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStamps(Vec<(PathBuf, Stamp)>);

/// When a file was written, and its length. `None` if there is none.
type Stamp = Option<(SystemTime, u64)>;

impl FileStamps {
    /// Looks at these files. It blocks for as long as the system takes to tell about them: a few microseconds for a file.
    ///
    /// Look before the files are read: a change in between is noticed the next time.
    pub fn of<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Self {
        let stamped = files.into_iter().map(|path| {
            let path = path.as_ref();
            (path.to_owned(), stamp(path))
        });
        Self(stamped.collect())
    }

    /// Looks at the same files again, and returns how they are now if one has changed.
    pub fn changed(&self) -> Option<Self> {
        let is_same = self.0.iter().all(|(path, before)| stamp(path) == *before);
        (!is_same).then(|| Self::of(self.0.iter().map(|(path, _)| path)))
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
