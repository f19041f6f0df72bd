//! The tables of the file, and what is written to and read from them. [`super::keys`] spells the rows' keys.
//!
//! ```text
//! hashes  partition kind key… │ field          -> value
//! scores  partition kind key… │ member         -> score
//! order   partition kind key… │ score │ member -> ()
//! owners  partition                            -> epoch, seq
//! facts   name                                 -> number
//! ```

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::keys::{self, with};
use crate::store::{Fields, Range, Write};

const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
/// The number of the layout.
const FORMAT_FACT: &str = "format";
/// How many partitions there are.
const PARTITIONS_FACT: &str = "partitions";

const HASHES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("hashes");
const SCORES: TableDefinition<'_, &[u8], i64> = TableDefinition::new("scores");
const ORDER: TableDefinition<'_, &[u8], ()> = TableDefinition::new("order");
const OWNERS: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("owners");

/// The tables of one transaction that writes.
pub(super) struct Tables<'txn> {
    hashes: Table<'txn, &'static [u8], &'static [u8]>,
    scores: Table<'txn, &'static [u8], i64>,
    order: Table<'txn, &'static [u8], ()>,
    owners: Table<'txn, u32, (u64, u64)>,
    facts: Table<'txn, &'static str, u64>,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            hashes: transaction.open_table(HASHES)?,
            scores: transaction.open_table(SCORES)?,
            order: transaction.open_table(ORDER)?,
            owners: transaction.open_table(OWNERS)?,
            facts: transaction.open_table(FACTS)?,
        })
    }

    pub(super) fn set_partitions(&mut self, count: u32) -> Result<(), redb::Error> {
        self.facts.insert(PARTITIONS_FACT, u64::from(count))?;
        Ok(())
    }

    pub(super) fn set_owner(&mut self, partition: u32, epoch: u64, seq: u64) -> Result<(), redb::Error> {
        self.owners.insert(partition, (epoch, seq))?;
        Ok(())
    }

    pub(super) fn apply(&mut self, partition: u32, write: &Write) -> Result<(), redb::Error> {
        match write {
            Write::HashSet { key, field, value } => {
                let row = with(keys::prefix(partition, key), field.as_bytes());
                self.hashes.insert(row.as_slice(), value.as_ref())?;
            }
            Write::HashDelete { key, field } => {
                self.hashes.remove(with(keys::prefix(partition, key), field.as_bytes()).as_slice())?;
            }
            Write::SortedSet { key, member, score } => {
                self.remove_member(&keys::prefix(partition, key), member)?;
                self.insert_member(keys::prefix(partition, key), member, *score)?;
            }
            Write::SortedRemove { key, member } => {
                self.remove_member(&keys::prefix(partition, key), member)?
            }
            Write::Delete { key } => self.delete(&keys::prefix(partition, key))?,
        }
        Ok(())
    }

    fn insert_member(&mut self, prefix: Vec<u8>, member: &str, score: i64) -> Result<(), redb::Error> {
        self.order.insert(keys::place(&prefix, score, member).as_slice(), ())?;
        self.scores.insert(with(prefix, member.as_bytes()).as_slice(), score)?;
        Ok(())
    }

    fn remove_member(&mut self, prefix: &[u8], member: &str) -> Result<(), redb::Error> {
        let row = with(prefix.to_vec(), member.as_bytes());
        let score = self.scores.remove(row.as_slice())?.map(|stored| stored.value());
        if let Some(score) = score {
            self.order.remove(keys::place(prefix, score, member).as_slice())?;
        }
        Ok(())
    }

    fn delete(&mut self, prefix: &[u8]) -> Result<(), redb::Error> {
        let end = keys::behind(prefix);
        let rows = || prefix..end.as_slice();
        self.hashes.retain_in(rows(), |_, _| false)?;
        self.scores.retain_in(rows(), |_, _| false)?;
        self.order.retain_in(rows(), |_, _| false)?;
        Ok(())
    }
}

/// Makes every table, so that a read never finds one missing.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    Tables::open(transaction).map(drop)
}

/// The number of the file's layout; none in a new file.
pub(super) fn format(transaction: &WriteTransaction) -> Result<Option<u64>, redb::Error> {
    Ok(transaction.open_table(FACTS)?.get(FORMAT_FACT)?.map(|stored| stored.value()))
}

pub(super) fn set_format(transaction: &WriteTransaction, format: u64) -> Result<(), redb::Error> {
    transaction.open_table(FACTS)?.insert(FORMAT_FACT, format)?;
    Ok(())
}

/// How many partitions there are, once that is fixed.
pub(super) fn read_partitions(transaction: &ReadTransaction) -> Result<Option<u32>, redb::Error> {
    let stored = transaction.open_table(FACTS)?.get(PARTITIONS_FACT)?;
    Ok(stored.and_then(|stored| u32::try_from(stored.value()).ok()))
}

/// The (epoch, seq) of each of `count` partitions in order; zeroes where nobody ever owned it.
pub(super) fn read_owners(transaction: &ReadTransaction, count: u32) -> Result<Vec<(u64, u64)>, redb::Error> {
    let owners = transaction.open_table(OWNERS)?;
    let owner = |partition| Ok(owners.get(partition)?.map(|row| row.value()).unwrap_or_default());
    (0..count).map(owner).collect()
}

/// Reads fields of the hash whose rows begin with `prefix`.
pub(super) fn read_hash(
    transaction: &ReadTransaction,
    prefix: &[u8],
    fields: Fields,
) -> Result<Vec<(String, Bytes)>, redb::Error> {
    let hashes = transaction.open_table(HASHES)?;
    let mut found = Vec::new();
    match fields {
        Fields::All => {
            for row in hashes.range(prefix..keys::behind(prefix).as_slice())? {
                let (key, value) = row?;
                found.push((keys::tail(key.value(), prefix.len()), Bytes::copy_from_slice(value.value())));
            }
        }
        Fields::Named(names) => {
            for name in names {
                if let Some(value) = hashes.get(with(prefix.to_vec(), name.as_bytes()).as_slice())? {
                    found.push((name, Bytes::copy_from_slice(value.value())));
                }
            }
        }
    }
    Ok(found)
}

/// Reads members of the sorted set whose rows begin with `prefix`.
pub(super) fn read_sorted(
    transaction: &ReadTransaction,
    prefix: &[u8],
    range: &Range,
) -> Result<Vec<(String, i64)>, redb::Error> {
    if range.from > range.to {
        return Ok(Vec::new());
    }
    let order = transaction.open_table(ORDER)?;
    let (first, last) = keys::bounds(prefix, range);
    let (first, last) = (first.as_ref().map(Vec::as_slice), last.as_ref().map(Vec::as_slice));
    let rows = order.range::<&[u8]>((first, last))?;
    let row = |row: Result<(redb::AccessGuard<'_, &[u8]>, _), redb::StorageError>| {
        row.map(|(key, _)| keys::member_of(key.value(), prefix.len())).map_err(redb::Error::from)
    };
    if range.descending {
        rows.rev().take(range.limit).map(row).collect()
    } else {
        rows.take(range.limit).map(row).collect()
    }
}

/// About how many bytes a write takes.
pub(super) fn size(write: &Write) -> usize {
    match write {
        Write::HashSet { field, value, .. } => field.len() + value.len(),
        Write::HashDelete { field, .. } => field.len(),
        Write::SortedSet { member, .. } | Write::SortedRemove { member, .. } => member.len(),
        Write::Delete { .. } => 0,
    }
}
