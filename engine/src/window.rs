//! How many attempts of a task queue are out at once: as many as its workers have slots, and a little more, so that none
//! of these waits for the next task, and so little more that who comes next hardly waits.
//!
//! Called by the node, for each queue in which tasks wait. Pure: what workers and broker tell comes in as data.

/// Results and the tasks that take their places are this long on their way. What workers drain meanwhile is out as well.
const ON_THEIR_WAY_S: f64 = 0.02;
/// The part of the slots by which the window is larger, so that nodes whose shares differ leave none idle.
const SPARE: f64 = 0.1;
/// So many more at least: a worker that is alone needs its next task as well.
const AT_LEAST: f64 = 2.0;
/// Where nobody tells how many slots there are, a window begins with so many; it grows by half at each look.
const UNKNOWN: usize = 256;

/// The window of one task queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    most: usize,
    size: f64,
    /// Whether it was said how many slots there are.
    is_known: bool,
}

/// What a node sees of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// The slots of the workers that are known to take from it; none where none is known.
    pub slots: Option<u64>,
    /// How many nodes have work for it, this one included.
    pub demanders: u64,
    /// How many attempts of it this node closes a second.
    pub closed_per_s: f64,
    /// How many tasks wait here to be let out.
    pub waiting: usize,
    /// How many attempts are out.
    pub out: usize,
    /// How many messages wait in the broker for a worker; none where it has not told.
    pub depth: Option<u64>,
}

impl Window {
    /// The window of a queue of which nothing is known yet; it is never larger than `most`.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, size: most.min(UNKNOWN) as f64, is_known: false }
    }

    /// How many attempts may be out.
    pub fn size(&self) -> usize {
        (self.size as usize).clamp(1, self.most)
    }

    /// Takes in what the node sees. Whether it grew because workers had nothing to do: then it is worth another look soon.
    pub fn read(&mut self, reading: &Reading) -> bool {
        let demanders = reading.demanders.max(1) as f64;
        let slots = reading.slots.unwrap_or(0) as f64 / demanders;
        let drained = reading.closed_per_s.max(0.0) * ON_THEIR_WAY_S;
        let wanted = (slots * (1.0 + SPARE) + AT_LEAST + drained).min(self.most as f64);
        let was_known = std::mem::replace(&mut self.is_known, reading.slots.is_some());
        if self.is_known && !was_known {
            self.size = wanted;
        }
        let size = self.size;
        match reading.depth {
            // Workers that are not known take from it too.
            Some(0) if reading.waiting > 0 && reading.out * 10 >= self.size() * 9 => self.size *= 1.5,
            // Behind what lies there everybody waits.
            Some(depth) => {
                let excess = depth as f64 / demanders - drained - slots * SPARE - AT_LEAST;
                if excess > 0.0 {
                    let busy = reading.out as f64 - excess;
                    self.size = self.size.min(busy.max(self.size * 2.0 / 3.0));
                }
            }
            None => {}
        }
        self.size = self.size.max(wanted).clamp(1.0, self.most as f64);
        self.size > size && reading.depth == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers with so many slots, and what is out of a backlog without end.
    fn settle(window: &mut Window, slots: u64, known: Option<u64>, looks: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        for _ in 0..looks {
            let out = window.size();
            let depth = (out as u64).saturating_sub(slots);
            let closed_per_s = slots.min(out as u64) as f64 * 10.0;
            let waiting = 1_000;
            window.read(&Reading {
                slots: known,
                demanders: 1,
                closed_per_s,
                waiting,
                out,
                depth: Some(depth),
            });
            sizes.push(window.size());
        }
        sizes
    }

    #[test]
    fn known_slots_give_the_window_at_once() {
        for (slots, demanders, rate, size) in [
            (10, 1, 0.0, 13),
            (10, 1, 100.0, 15),
            (1_000, 1, 0.0, 1_102),
            (1_000, 4, 0.0, 277),
            (0, 1, 0.0, 2),
        ] {
            let mut window = Window::new(4_096);
            let reading = Reading {
                slots: Some(slots),
                demanders,
                closed_per_s: rate,
                waiting: 9,
                ..Reading::default()
            };
            assert!(!window.read(&reading));
            assert_eq!(window.size(), size, "{slots} slots, {demanders} nodes, {rate}/s");
        }
        let mut small = Window::new(8);
        small.read(&Reading { slots: Some(1_000), demanders: 1, ..Reading::default() });
        assert_eq!(small.size(), 8);
    }

    #[test]
    fn it_finds_the_slots_of_workers_that_nobody_knows() {
        for slots in [1, 4, 10, 100, 300, 1_000, 3_000] {
            let mut window = Window::new(4_096);
            let sizes = settle(&mut window, slots, None, 40);
            for size in &sizes[30..] {
                let (least, most) = (slots as usize, slots as usize * 3 / 2 + 4);
                assert!((least..=most).contains(size), "{slots} slots: {sizes:?}");
            }
        }
    }

    #[test]
    fn workers_that_are_not_known_starve_nobody() {
        let mut window = Window::new(4_096);
        let sizes = settle(&mut window, 200, Some(10), 40);
        assert!(sizes[30..].iter().all(|size| (200..=310).contains(size)), "{sizes:?}");
        // They have ended.
        let sizes = settle(&mut window, 10, Some(10), 40);
        assert!(sizes[30..].iter().all(|size| (13..=16).contains(size)), "{sizes:?}");
    }

    #[test]
    fn it_grows_only_where_it_holds_something_back() {
        let mut window = Window::new(4_096);
        let base = Reading {
            slots: Some(10),
            demanders: 1,
            waiting: 9,
            out: 13,
            depth: Some(0),
            ..Reading::default()
        };
        window.read(&base);
        let size = window.size();
        for reading in [
            Reading { waiting: 0, ..base },
            Reading { out: 3, ..base },
            Reading { depth: None, ..base },
            Reading { depth: Some(1), ..base },
        ] {
            let mut held = window;
            assert!(!held.read(&reading), "{reading:?}");
            assert_eq!(held.size(), size, "{reading:?}");
        }
        assert!(window.read(&Reading { out: size, ..base }));
        assert!(window.size() > size);
    }
}
