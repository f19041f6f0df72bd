//! What a directory needs beside `object_store`: to know it is the one that was opened, and to lose whole folders.

use std::io;
use std::path::PathBuf;

use object_store::path::Path;

use crate::Error;

/// Lies in the directory of a store. Without it, it is not the store: an empty mount point looks just like a store that has
/// lost everything.
const MARK: &str = "oarlock-payloads";
/// What stands in the mark, for people.
const MARK_TEXT: &str =
    "Payloads of Oarlock: <tenant>/<run>/<sha256>. Runs refer to them; each goes with its run.\n";

/// The directory of a store.
#[derive(Clone, Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Takes an existing directory, and marks it where it is not marked yet.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mark = path.join(MARK);
        if !mark.is_file() {
            std::fs::write(mark, MARK_TEXT)?;
        }
        Ok(Self(path))
    }

    /// Whether the directory is there.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let mark = self.0.join(MARK);
        match tokio::task::spawn_blocking(move || mark.metadata()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::Unavailable(format!(
                "the directory {} is not there, or lost the file {MARK}: {error}",
                self.0.display()
            ))),
            Err(error) => Err(Error::Unavailable(error.to_string())),
        }
    }

    /// Removes a folder, with what a writer that died left there.
    pub(super) async fn remove(&self, folder: &Path) -> Result<(), Error> {
        let folder = self.0.join(folder.as_ref());
        let removed = tokio::task::spawn_blocking(move || {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            // The tenant's folder goes with its last run; one that is not empty stays.
            if let Some(parent) = folder.parent() {
                std::fs::remove_dir(parent).ok();
            }
            Ok(())
        });
        match removed.await {
            Ok(removed) => removed.map_err(|error| Error::Unavailable(error.to_string())),
            Err(error) => Err(Error::Unavailable(error.to_string())),
        }
    }
}
