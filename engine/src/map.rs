//! The hash maps of the engine: quick, and with the same order in every process, so that equal runs decide equally.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

/// A hash map with a fixed order of iteration.
pub type Map<K, V> = HashMap<K, V, FixedState>;

/// A hash set with a fixed order of iteration.
pub type Set<K> = HashSet<K, FixedState>;
