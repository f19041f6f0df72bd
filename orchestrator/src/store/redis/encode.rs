//! Turns the writes of a commit into the arguments of its script: few calls, whose order no longer matters.
//!
//! Writes of different keys do not touch each other, so they are gathered by key; within a key only the last write of a name
//! counts. What is left is for each key at most one removal, the sets and the deletions.

use std::collections::hash_map::Entry;

use bytes::Bytes;
use oarlock_engine::map::Map;

use crate::store::{Key, Write};

/// The most arguments of one call within the script: Lua's `unpack` fails beyond about 8,000.
const MOST_ARGUMENTS: usize = 2_000;

/// One call of the script.
pub(super) struct Call<'a> {
    pub(super) command: &'static str,
    /// Which of the keys, counted from 0.
    pub(super) key: usize,
    pub(super) arguments: Vec<Argument<'a>>,
}

/// One argument of a call.
pub(super) enum Argument<'a> {
    Text(&'a str),
    Bytes(&'a Bytes),
    Number(i64),
}

/// What a commit does to one key.
#[derive(Default)]
struct Changes<'a> {
    removed: bool,
    /// The writes since, in their order.
    writes: Vec<Change<'a>>,
    mixed: bool,
}

#[derive(Clone, Copy)]
enum Change<'a> {
    Set(&'a str, &'a Bytes),
    Unset(&'a str),
    Score(&'a str, i64),
    Unscore(&'a str),
}

/// The keys that are written, and the calls that write them.
pub(super) fn encode(writes: &[Write]) -> (Vec<&Key>, Vec<Call<'_>>) {
    let mut keys: Vec<&Key> = Vec::new();
    let mut changes: Vec<Changes<'_>> = Vec::new();
    let mut places: Map<&Key, usize> = Map::default();
    for write in writes {
        let (key, change) = split(write);
        // Writes of one run stand together, so the last key is often the same.
        let place = match keys.last() {
            Some(last) if *last == key => keys.len() - 1,
            _ => match places.entry(key) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    entry.insert(keys.len());
                    keys.push(key);
                    changes.push(Changes::default());
                    keys.len() - 1
                }
            },
        };
        if let Some(found) = changes.get_mut(place) {
            found.add(change);
        }
    }
    let mut calls = Vec::new();
    for (key, changes) in changes.into_iter().enumerate() {
        changes.calls(key, &mut calls);
    }
    (keys, calls)
}

/// How many bytes the writes carry.
pub(super) fn size(writes: &[Write]) -> usize {
    let size = |write: &Write| match write {
        Write::HashSet { field, value, .. } => field.len() + value.len(),
        Write::HashDelete { field, .. } => field.len(),
        Write::SortedSet { member, .. } | Write::SortedRemove { member, .. } => member.len() + 8,
        Write::Delete { .. } => 0,
    };
    writes.iter().map(size).sum()
}

fn split(write: &Write) -> (&Key, Option<Change<'_>>) {
    match write {
        Write::HashSet { key, field, value } => (key, Some(Change::Set(field, value))),
        Write::HashDelete { key, field } => (key, Some(Change::Unset(field))),
        Write::SortedSet { key, member, score } => (key, Some(Change::Score(member, *score))),
        Write::SortedRemove { key, member } => (key, Some(Change::Unscore(member))),
        Write::Delete { key } => (key, None),
    }
}

impl<'a> Change<'a> {
    fn name(&self) -> &'a str {
        match self {
            Self::Set(name, _) | Self::Unset(name) | Self::Score(name, _) | Self::Unscore(name) => name,
        }
    }

    fn command(&self) -> &'static str {
        match self {
            Self::Set(..) => "HSET",
            Self::Unset(_) => "HDEL",
            Self::Score(..) => "ZADD",
            Self::Unscore(_) => "ZREM",
        }
    }

    fn arguments(&self, into: &mut Vec<Argument<'a>>) {
        match self {
            Self::Set(name, value) => into.extend([Argument::Text(name), Argument::Bytes(value)]),
            Self::Unset(name) | Self::Unscore(name) => into.push(Argument::Text(name)),
            Self::Score(name, score) => into.extend([Argument::Number(*score), Argument::Text(name)]),
        }
    }
}

impl<'a> Changes<'a> {
    /// Adds a write; none removes the key.
    fn add(&mut self, change: Option<Change<'a>>) {
        let Some(change) = change else {
            *self = Self { removed: true, ..Self::default() };
            return;
        };
        self.mixed |= self.writes.last().is_some_and(|last| last.command() != change.command());
        self.writes.push(change);
    }

    fn calls(mut self, key: usize, calls: &mut Vec<Call<'a>>) {
        if self.removed {
            calls.push(Call { command: "UNLINK", key, arguments: Vec::new() });
        }
        // Of equal commands the server keeps the last of a name itself.
        if self.mixed {
            self.keep_last();
        }
        self.writes.sort_by_key(Change::command);
        for same in self.writes.chunk_by(|one, other| one.command() == other.command()) {
            for part in same.chunks(MOST_ARGUMENTS / 2) {
                let mut arguments = Vec::with_capacity(2 * part.len());
                part.iter().for_each(|change| change.arguments(&mut arguments));
                let command = part.first().map_or("", Change::command);
                calls.push(Call { command, key, arguments });
            }
        }
    }

    fn keep_last(&mut self) {
        let mut last: Map<&str, usize> = Map::default();
        for (place, change) in self.writes.iter().enumerate() {
            last.insert(change.name(), place);
        }
        let mut place = 0;
        self.writes.retain(|change| {
            let keep = last.get(change.name()) == Some(&place);
            place += 1;
            keep
        });
    }
}
