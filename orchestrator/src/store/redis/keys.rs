//! The names of everything in Redis, and where a cluster puts it. The one place that makes a name.
//!
//! ```text
//! <prefix>:{partitions}:count             string   how many there are
//! <prefix>:{members}:until                sorted   <member id>, by the end of its time
//! <prefix>:{members}:entries              hash     <member id> -> the member as JSON
//! <prefix>:{<tag>}:own                    hash     epoch · nonce · holder · expiresAt · seq · server · restarted · toldAt
//! <prefix>:{<tag>}:run:<tenant>/<run id>  hash     the parts of one run
//! <prefix>:{<tag>}:runs:<status>:<tenant> sorted   runs by creation time
//! <prefix>:{<tag>}:timers                 sorted   runs under way and what is left of ended ones, by time
//! <prefix>:{<tag>}:outbox                 hash     open attempts whose publication is not confirmed
//! <prefix>:{<tag>}:definitions            hash     workflow definitions
//! <prefix>:{<tag>}:statistics:<hour>      hash     what attempts and runs took that closed in the hour that begins then
//! <prefix>:{<tag>}:schedules              hash     schedules, and how far each is
//! ```
//!
//! A cluster hashes what stands in the braces only, so a partition lives in one slot. The tag of partition 7 is `p7.<n>` with
//! the first n whose slot lies in the part of all slots that is meant for partition 7. The parts are given out in
//! bit-reversed order (first, middle, a quarter, three quarters...), so that few partitions lie far apart, too.

use std::sync::OnceLock;

use crate::store::{Error, Key};

/// How many slots a cluster has.
const SLOTS: u32 = 16384;

/// Makes the names below one prefix.
pub(super) struct Names {
    prefix: String,
    /// The part of the slots for each partition, and its tag once it was looked for.
    tags: OnceLock<Vec<(u32, OnceLock<Tag>)>>,
}

/// What stands in the braces of a partition's keys.
struct Tag {
    text: String,
    slot: u16,
}

/// Where a key lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The slot of a cluster.
    pub(super) slot: u16,
    /// Which of the connections speaks of it, counted round and round.
    pub(super) lane: u32,
}

/// A key, and where it lies.
pub(super) struct Name {
    pub(super) key: String,
    pub(super) place: Place,
}

/// Names what belongs to one partition.
#[derive(Clone, Copy)]
pub(super) struct PartitionNames<'a> {
    prefix: &'a str,
    partition: u32,
    tag: &'a Tag,
}

impl Names {
    /// Names below `prefix`.
    ///
    /// # Errors
    /// A prefix that is empty or holds braces, which would move the keys to other slots.
    pub(super) fn new(prefix: &str) -> Result<Self, Error> {
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(Error::Unusable(format!(
                "its prefix '{prefix}' must have at least one character and no braces"
            )));
        }
        Ok(Self { prefix: prefix.to_owned(), tags: OnceLock::new() })
    }

    /// The first part of every key.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Notes how many partitions there are; the first number stays.
    pub(super) fn fix(&self, count: u32) {
        self.tags.get_or_init(|| parts(count).into_iter().map(|part| (part, OnceLock::new())).collect());
    }

    /// How many partitions there are, once that is known.
    pub(super) fn count(&self) -> Option<u32> {
        self.tags.get().and_then(|tags| u32::try_from(tags.len()).ok())
    }

    /// The names of a partition; none where there is no such partition, or their number is not known.
    pub(super) fn partition(&self, partition: u32) -> Option<PartitionNames<'_>> {
        let tags = self.tags.get()?;
        let (part, tag) = tags.get(usize::try_from(partition).ok()?)?;
        let tag = tag.get_or_init(|| find_tag(partition, *part, self.count().unwrap_or(1)));
        Some(PartitionNames { prefix: &self.prefix, partition, tag })
    }

    pub(super) fn count_key(&self) -> Name {
        self.apart("partitions", "count")
    }

    /// Members by the end of their time, and their entries.
    pub(super) fn members(&self) -> (Name, Name) {
        (self.apart("members", "until"), self.apart("members", "entries"))
    }

    fn apart(&self, tag: &str, name: &str) -> Name {
        let place = Place { slot: slot(tag), lane: 0 };
        Name { key: format!("{}:{{{tag}}}:{name}", self.prefix), place }
    }
}

impl PartitionNames<'_> {
    pub(super) fn place(self) -> Place {
        Place { slot: self.tag.slot, lane: self.partition }
    }

    pub(super) fn own(self) -> String {
        self.name("own")
    }

    pub(super) fn key(self, key: &Key) -> String {
        match key {
            Key::Run(run) => self.name(&format!("run:{run}")),
            // A status has no colon, so no two keys have one name.
            Key::Runs { tenant, status } => self.name(&format!("runs:{status}:{tenant}")),
            Key::Timers => self.name("timers"),
            Key::Outbox => self.name("outbox"),
            Key::Definitions => self.name("definitions"),
            Key::Statistics { hour } => self.name(&format!("statistics:{hour}")),
            Key::Schedules => self.name("schedules"),
            Key::Pauses => self.name("pauses"),
            Key::Limits => self.name("limits"),
        }
    }

    fn name(self, name: &str) -> String {
        format!("{}:{{{}}}:{name}", self.prefix, self.tag.text)
    }
}

/// For each partition the part of the slots it lies in, of as many equal parts as there are partitions.
fn parts(count: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by_key(|partition| partition.reverse_bits());
    let mut parts = vec![0; order.len()];
    for (part, partition) in (0..).zip(order) {
        if let Some(found) = usize::try_from(partition).ok().and_then(|index| parts.get_mut(index)) {
            *found = part;
        }
    }
    parts
}

fn find_tag(partition: u32, part: u32, count: u32) -> Tag {
    let slots = part * SLOTS / count..(part + 1) * SLOTS / count;
    let tag = |number: u32| {
        let text = format!("p{partition}.{number}");
        let slot = slot(&text);
        Tag { text, slot }
    };
    (0..).map(tag).find(|tag| slots.contains(&u32::from(tag.slot))).unwrap_or_else(|| tag(0))
}

/// The slot of a cluster in which keys with this tag lie.
fn slot(tag: &str) -> u16 {
    // The CRC that Redis Cluster names: CRC-16/XMODEM.
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // From `CLUSTER KEYSLOT`; 123456789 is the example of the specification.
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("members"), 6465);
        assert_eq!(slot(""), 0);
    }

    #[test]
    fn partitions_spread_evenly_over_primaries() {
        for count in [1_u32, 2, 3, 4, 5, 8, 12, 16, 64, 100, 256] {
            let names = Names::new("test").unwrap();
            names.fix(count);
            let slots: BTreeSet<u16> = (0..count).map(|p| names.partition(p).unwrap().place().slot).collect();
            assert_eq!(slots.len(), count as usize, "two partitions share a slot");
            for primaries in [1, 2, 3, 4, 6] {
                let mut held = vec![0_u32; primaries as usize];
                slots.iter().for_each(|slot| held[(u32::from(*slot) * primaries / SLOTS) as usize] += 1);
                let most = *held.iter().max().unwrap();
                let least = *held.iter().min().unwrap();
                assert!(most - least <= 2, "{count} partitions on {primaries} primaries: {held:?}");
            }
        }
    }

    #[test]
    fn the_first_partitions_lie_far_apart() {
        let names = Names::new("test").unwrap();
        names.fix(64);
        let mut slots: Vec<u32> = (0..4).map(|p| names.partition(p).unwrap().place().slot.into()).collect();
        slots.sort_unstable();
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] > SLOTS / 5), "{slots:?}");
    }

    #[test]
    fn names_stay_as_they_are() {
        // Data of releases before lies under these names.
        let names = Names::new("oarlock").unwrap();
        names.fix(16);
        let seventh = names.partition(7).unwrap();
        let runs = Key::Runs { tenant: "acme".to_owned(), status: "RUNNING".to_owned() };
        let tag = "p7.21";
        assert_eq!(seventh.own(), format!("oarlock:{{{tag}}}:own"));
        assert_eq!(seventh.key(&runs), format!("oarlock:{{{tag}}}:runs:RUNNING:acme"));
        assert_eq!(seventh.key(&Key::Timers), format!("oarlock:{{{tag}}}:timers"));
        assert_eq!(names.count_key().key, "oarlock:{partitions}:count");
        assert_eq!(names.members().0.key, "oarlock:{members}:until");
    }

    #[test]
    fn a_prefix_that_moves_slots_is_refused() {
        for prefix in ["", "a{b", "}"] {
            assert!(matches!(Names::new(prefix), Err(Error::Unusable(_))), "{prefix}");
        }
    }
}
