//! Failures of the file in words: what happened, where, and what to do about it.

use std::io;
use std::path::Path;

use redb::Error as Fault;

use crate::store::Error;

/// The folder cannot be used.
pub(super) fn folder(dir: &Path, error: &io::Error) -> Error {
    let dir = dir.display();
    Error::Unusable(format!(
        "the folder {dir} cannot be made or read: {error}; name a folder this user may write to"
    ))
}

/// The file cannot be opened.
pub(super) fn opening(path: &Path, fault: &Fault) -> Error {
    let path = path.display();
    Error::Unusable(match fault {
        Fault::DatabaseAlreadyOpen => {
            format!("{path} is in use by another process: stop that one, or name another folder")
        }
        Fault::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            format!("{path} is no database of this program: move it away, or name another folder")
        }
        Fault::Io(error) if is_full(error) => {
            format!("there is no room for {path}: {error}; free some space")
        }
        Fault::Io(error) => {
            format!("{path} cannot be opened: {error}; name a folder this user may write to")
        }
        Fault::UpgradeRequired(version) => format!(
            "{path} has the file format {version} of another release of its database: open it with the release that wrote it"
        ),
        Fault::Corrupted(why) => {
            format!("{path} is damaged ({why}): put back a copy, or move it away to begin anew")
        }
        other => format!("{path} cannot be opened: {other}"),
    })
}

/// A transaction failed. What was answered before stands.
pub(super) fn working(path: &Path, fault: &Fault) -> Error {
    let path = path.display();
    match fault {
        Fault::Io(error) if is_full(error) => Error::Unavailable(format!(
            "no room to write {path}: {error}; free some space, nothing is lost meanwhile"
        )),
        Fault::Corrupted(why) => Error::Unusable(format!(
            "{path} is damaged ({why}): put back a copy, or move it away to begin anew"
        )),
        other => Error::Unavailable(format!("{path}: {other}")),
    }
}

/// The file could not be opened again after a failure.
pub(super) fn closed(path: &Path) -> Error {
    Error::Unavailable(format!("{} is closed after a failure; the next write opens it again", path.display()))
}

/// A later release wrote the file.
pub(super) fn newer(path: &Path, found: u64, known: u64) -> Error {
    let path = path.display();
    Error::Unusable(format!(
        "{path} has format {found} and this release knows {known}: a newer release wrote it, use that or a later one"
    ))
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
