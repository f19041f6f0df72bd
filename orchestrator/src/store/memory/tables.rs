//! The hashes and sorted sets of one partition in memory. Nothing here can fail, waits or knows of owners.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use oarlock_engine::map::Map;

use crate::store::{Fields, Key, Range, Write};

/// What a partition holds. An empty hash or set is not kept.
#[derive(Clone, Default)]
pub(super) struct Tables {
    hashes: Map<Key, Map<String, Bytes>>,
    sorted: Map<Key, Sorted>,
}

/// A sorted set: each member once, found by name and by order.
#[derive(Clone, Default)]
struct Sorted {
    scores: Map<Arc<str>, i64>,
    order: BTreeSet<(i64, Arc<str>)>,
}

impl Tables {
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::HashSet { key, field, value } => self.hash_set(key, field, value),
            Write::HashDelete { key, field } => self.hash_delete(key, field),
            Write::SortedSet { key, member, score } => self.sorted_set(key, member, *score),
            Write::SortedRemove { key, member } => self.sorted_remove(key, member),
            Write::Delete { key } => {
                self.hashes.remove(key);
                self.sorted.remove(key);
            }
        }
    }

    pub(super) fn read_hash(&self, key: &Key, fields: Fields) -> Vec<(String, Bytes)> {
        let Some(hash) = self.hashes.get(key) else { return Vec::new() };
        match fields {
            Fields::All => hash.iter().map(|(field, value)| (field.clone(), value.clone())).collect(),
            Fields::Named(names) => {
                let found = |name: String| hash.get(&name).cloned().map(|value| (name, value));
                names.into_iter().filter_map(found).collect()
            }
        }
    }

    pub(super) fn read_sorted(&self, key: &Key, range: &Range) -> Vec<(String, i64)> {
        let Some(set) = self.sorted.get(key) else { return Vec::new() };
        let row = |(score, member): &(i64, Arc<str>)| (member.to_string(), *score);
        if range.descending {
            let rows = set.order.range((Bound::Unbounded, last_bound(range))).rev();
            rows.take_while(|(score, _)| *score >= range.from).take(range.limit).map(row).collect()
        } else {
            let rows = set.order.range((first_bound(range), Bound::Unbounded));
            rows.take_while(|(score, _)| *score <= range.to).take(range.limit).map(row).collect()
        }
    }

    fn hash_set(&mut self, key: &Key, field: &str, value: &Bytes) {
        let hash = match self.hashes.get_mut(key) {
            Some(hash) => hash,
            None => self.hashes.entry(key.clone()).or_default(),
        };
        match hash.get_mut(field) {
            Some(standing) => *standing = value.clone(),
            None => drop(hash.insert(field.to_owned(), value.clone())),
        }
    }

    fn hash_delete(&mut self, key: &Key, field: &str) {
        let Some(hash) = self.hashes.get_mut(key) else { return };
        hash.remove(field);
        if hash.is_empty() {
            self.hashes.remove(key);
        }
    }

    fn sorted_set(&mut self, key: &Key, member: &str, score: i64) {
        let set = match self.sorted.get_mut(key) {
            Some(set) => set,
            None => self.sorted.entry(key.clone()).or_default(),
        };
        set.remove(member);
        let member: Arc<str> = Arc::from(member);
        set.scores.insert(Arc::clone(&member), score);
        set.order.insert((score, member));
    }

    fn sorted_remove(&mut self, key: &Key, member: &str) {
        let Some(set) = self.sorted.get_mut(key) else { return };
        set.remove(member);
        if set.scores.is_empty() {
            self.sorted.remove(key);
        }
    }
}

impl Sorted {
    fn remove(&mut self, member: &str) {
        if let Some((member, score)) = self.scores.remove_entry(member) {
            self.order.remove(&(score, member));
        }
    }
}

/// Where an ascending range begins.
fn first_bound(range: &Range) -> Bound<(i64, Arc<str>)> {
    match &range.after {
        Some((score, member)) if *score >= range.from => {
            Bound::Excluded((*score, Arc::from(member.as_str())))
        }
        _ => Bound::Included((range.from, Arc::from(""))),
    }
}

/// Where a descending range begins.
fn last_bound(range: &Range) -> Bound<(i64, Arc<str>)> {
    match (&range.after, range.to.checked_add(1)) {
        (Some((score, member)), _) if *score <= range.to => {
            Bound::Excluded((*score, Arc::from(member.as_str())))
        }
        (_, Some(beyond)) => Bound::Excluded((beyond, Arc::from(""))),
        (_, None) => Bound::Unbounded,
    }
}
