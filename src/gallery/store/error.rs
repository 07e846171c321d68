//! What can go wrong with a gallery's file, in words that say what to do.

use crate::embed::ModelTag;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why a gallery's file could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no gallery {}; `rostro gallery enrol` makes one", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The folder or the file cannot be written.
    #[error(
        "cannot {action} the gallery {}: {reason}; give this user the right to write there, or choose another \
         gallery.path", path.display()
    )]
    NotWritable {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// No space left.
    #[error("cannot {action} the gallery {}: the disk is full; nothing was changed, free some space and try again", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Another program holds it.
    #[error(
        "cannot {action} the gallery {}: another program keeps it locked; nothing was changed, try again when it is \
         done", path.display()
    )]
    Busy {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Not a gallery at all.
    #[error("{} is not a gallery of rostro; choose another gallery.path", path.display())]
    NotAGallery {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error(
        "the gallery {} was written by a newer rostro (schema {found}, this one knows {known}); update rostro, or choose \
         another gallery.path", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Looks of another network.
    #[error(
        "the gallery {} holds looks made by {found}, the embedder in use is {wanted}, and the two cannot be compared; set \
         identity.model to {}, or choose another gallery.path and enrol again", path.display(), name_of(found)
    )]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Whose looks it holds.
        found: String,
        /// Whose looks are made here.
        wanted: ModelTag,
    },
    /// Part of it cannot be read.
    #[error(
        "the gallery {} is damaged: {reason}; keep a copy of it, then put back a backup, or move it away and import the \
         exports you have", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Bytes of somebody forgotten are still in a file.
    #[error(
        "the person is forgotten, but bytes of them may be left in {}, until the last program that uses it has closed it: \
         {reason}", path.display()
    )]
    TracesLeft {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Anything else.
    #[error("cannot {action} the gallery {}: {reason}", path.display())]
    Other {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}

/// `name` of `name@hash8`.
fn name_of(tag: &str) -> &str {
    tag.split('@').next().unwrap_or(tag)
}

impl StoreError {
    /// What SQLite said, in our words.
    pub(super) fn from_sqlite(action: &'static str, path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAGallery { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            Some(ErrorCode::DiskFull) => Self::DiskFull { action, path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { action, path },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable { action, path, reason }
            }
            _ => Self::Other { action, path, reason },
        }
    }

    /// What the system said, in our words.
    pub(super) fn from_io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { action, path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::NotWritable { action, path, reason },
            _ => Self::Other { action, path, reason },
        }
    }
}

/// Turns the errors of a step into [`StoreError`].
pub(super) trait Failed<T> {
    /// With what was tried, and on which file.
    fn failed(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> Failed<T> for rusqlite::Result<T> {
    fn failed(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::from_sqlite(action, path, &error))
    }
}

impl<T> Failed<T> for std::io::Result<T> {
    fn failed(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::from_io(action, path, &error))
    }
}
