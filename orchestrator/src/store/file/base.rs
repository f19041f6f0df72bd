//! The database file: opened, checked, opened again after a failure, read.
//!
//! [`super::writer`] writes through it and [`super::File`] reads. It decides nothing about owners.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::{FILE, fault, rows};
use crate::store::Error;
use crate::store::lease::{Lease, no_such_partition};

/// The layout of the rows; a release that changes it writes a greater number.
const FORMAT: u64 = 1;
/// Pages of the file kept in memory: the working set of a single machine, and a bound.
const CACHE_BYTES: usize = 256 * 1024 * 1024;

/// The file and what is fixed about it.
pub(super) struct Base {
    path: PathBuf,
    /// Absent while it is closed.
    database: RwLock<Option<Database>>,
    partitions: OnceLock<u32>,
}

/// What the writer knows of each partition, by number.
pub(super) type Books = Vec<Lease>;

impl Base {
    /// Opens or makes the file in the folder `dir`.
    pub(super) fn open(dir: &Path) -> Result<(Self, Books), Error> {
        std::fs::create_dir_all(dir).map_err(|error| fault::folder(dir, &error))?;
        let path = dir.join(FILE);
        let opened = open_database(&path).map_err(|error| fault::opening(&path, &error))?;
        let Opened { database, partitions, books } = opened?;
        // A new file is only safe from a power failure once its folder is.
        let synced = std::fs::File::open(dir).and_then(|folder| folder.sync_all());
        synced.map_err(|error| fault::folder(dir, &error))?;
        let fixed = OnceLock::new();
        if let Some(count) = partitions {
            fixed.get_or_init(|| count);
        }
        Ok((Self { path, database: RwLock::new(Some(database)), partitions: fixed }, books))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many partitions there are, once that is fixed.
    pub(super) fn partitions(&self) -> Option<u32> {
        self.partitions.get().copied()
    }

    /// Notes that the number of partitions is on disk.
    pub(super) fn fix_partitions(&self, count: usize) {
        if let (Ok(count), true) = (u32::try_from(count), count > 0) {
            self.partitions.get_or_init(|| count);
        }
    }

    /// Reads in one transaction.
    pub(super) fn read<T>(
        &self,
        partition: u32,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let count = self.partitions();
        if count.is_none_or(|count| partition >= count) {
            return Err(no_such_partition(partition, count));
        }
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| fault::closed(&self.path))?;
        let read =
            database.begin_read().map_err(redb::Error::from).and_then(|transaction| work(&transaction));
        read.map_err(|error| fault::working(&self.path, &error))
    }

    /// Lets `work` write, in one transaction that is durable when this returns `Ok` and undone where it does not.
    /// Where `work` answers that there is nothing to keep, nothing is written.
    pub(super) fn write(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<bool, redb::Error>,
    ) -> Result<(), Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| fault::closed(&self.path))?;
        let written = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            if work(&transaction)? { Ok(transaction.commit()?) } else { Ok(transaction.abort()?) }
        };
        written().map_err(|error| fault::working(&self.path, &error))
    }

    /// Opens the file again: after a failure the database refuses everything, though the file itself is whole.
    pub(super) fn reopen(&self, books: &mut Books) -> Result<(), Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file is locked as long as it is open.
        *database = None;
        let opened = open_database(&self.path).map_err(|error| fault::working(&self.path, &error))??;
        if let Some(count) = opened.partitions {
            self.partitions.get_or_init(|| count);
        }
        books.resize_with(opened.books.len(), Lease::default);
        for (lease, stored) in books.iter_mut().zip(&opened.books) {
            lease.reload(stored);
        }
        *database = Some(opened.database);
        Ok(())
    }

    /// Closes the file when the last read is done.
    pub(super) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The file, just opened, and what the writer needs to know of it.
struct Opened {
    database: Database,
    partitions: Option<u32>,
    books: Books,
}

/// Opens the file, makes it where it is missing, and checks its format.
fn open_database(path: &Path) -> Result<Result<Opened, Error>, redb::Error> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    let transaction = database.begin_write()?;
    rows::make_tables(&transaction)?;
    match rows::format(&transaction)? {
        Some(format) if format > FORMAT => return Ok(Err(fault::newer(path, format, FORMAT))),
        // Nothing is written where nothing is new, so that a full disk can be opened.
        Some(_) => transaction.abort()?,
        None => {
            rows::set_format(&transaction, FORMAT)?;
            transaction.commit()?;
        }
    }
    let read = database.begin_read()?;
    let partitions = rows::read_partitions(&read)?;
    let owners = rows::read_owners(&read, partitions.unwrap_or(0))?;
    let books = owners.into_iter().map(|(epoch, seq)| Lease::stored(epoch, seq)).collect();
    Ok(Ok(Opened { database, partitions, books }))
}
