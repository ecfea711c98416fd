use std::{fmt, time::Duration};

/// How far a run of a [`Migration`](super::Migration) has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of keys that are decided about: those of v2, and copies whose v2 key is gone.
    pub total: usize,
    /// How many of them are as they should be, or in the report.
    pub done: usize,
    /// How many keys were written.
    pub written: u64,
}

/// What a run of a [`Migration`](super::Migration) did, and what it could not carry over. `Display` says all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Keys that were written.
    pub written: u64,
    /// Keys that were as they should be.
    pub unchanged: u64,
    /// Copies that were deleted, since their v2 key was gone.
    pub deleted: u64,
    /// Files of v2 whose time to live had passed.
    pub expired: u64,
    /// The index of v2: changes up to it are in the copy, and those after it may be. Watches of v2 go on after it.
    pub source_index: u64,
    /// What was not carried over as it is, in the order of the paths.
    pub notes: Vec<Note>,
}

/// A path of v2 that was not carried over as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The path in v2.
    pub path: String,
    /// What about it.
    pub kind: NoteKind,
}

/// What was not carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteKind {
    /// A directory without files, or with hidden ones only: v3 has no directories.
    EmptyDirectory,
    /// A directory with a time to live: the keys that are below now expire with it, and later ones will not.
    DirectoryTtl {
        /// The remaining time.
        left: Duration,
    },
    /// A file whose name, or a directory of which the name, is not UTF-8, and which v2 does not show: it was not copied.
    UnreadableName,
    /// A file whose value is not UTF-8, or has the character U+FFFD: v2 shows both alike, and it was copied as shown.
    UncertainValue,
    /// A value that is larger than the v3 server takes: it was not copied.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The v3 key has another value or lease, and another client has written it: it was left as it is.
    ChangedInTarget,
    /// Another client has deleted the copy: it was not written again.
    DeletedInTarget,
    /// The file is gone, and its copy is still there.
    RemovedFromSource,
}

impl Report {
    /// Returns whether each v2 key that can be read is in v3 with its value: no [note](Self::notes) says otherwise.
    pub fn is_complete(&self) -> bool {
        self.notes.iter().all(|note| note.kind.is_harmless())
    }
}

impl Note {
    /// A note about a path. For your own tests.
    pub fn new(path: impl Into<String>, kind: NoteKind) -> Self {
        let path = path.into();
        Self { path, kind }
    }
}

impl NoteKind {
    fn is_harmless(self) -> bool {
        match self {
            Self::EmptyDirectory | Self::DirectoryTtl { .. } => true,
            Self::UnreadableName
            | Self::UncertainValue
            | Self::TooLarge { .. }
            | Self::ChangedInTarget
            | Self::DeletedInTarget
            | Self::RemovedFromSource => false,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            written,
            unchanged,
            deleted,
            expired,
            source_index,
            notes,
        } = self;
        write!(
            f,
            "{written} keys written, {unchanged} unchanged, {deleted} deleted, {expired} expired; \
             up to the index {source_index} of v2; hidden keys only where they are named"
        )?;
        for note in notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.path, self.kind)
    }
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyDirectory => f.write_str("an empty directory has no equivalent"),
            Self::DirectoryTtl { left } => write!(
                f,
                "the directory expires in {left:?}, and so do the present keys below, but not later ones"
            ),
            Self::UnreadableName => f.write_str("not copied: its name is not UTF-8"),
            Self::UncertainValue => {
                f.write_str("copied as v2 shows it: parts of its value may not have been UTF-8")
            }
            Self::TooLarge { bytes } => {
                write!(f, "not copied: the server does not take {bytes} bytes")
            }
            Self::ChangedInTarget => f.write_str("not copied: another client has written the key"),
            Self::DeletedInTarget => f.write_str("not copied: another client has deleted the key"),
            Self::RemovedFromSource => f.write_str("its copy is still there, though it is gone"),
        }
    }
}
