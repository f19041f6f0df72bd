//! Which workers a fleet begins and which it ends, from how many are wanted and what each holds. Pure: it starts and ends nothing.
//!
//! Who holds nothing goes first. Where everybody holds something for a while, who holds the least is told to take no more, and goes once
//! it holds nothing: a broker hands tasks to all in turn, so that nobody might ever be idle. No work is ended in either case.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::Instant;

/// So long more workers than are wanted may all hold something before one of them is told to take no more; then the next.
const ALL_BUSY: Duration = Duration::from_secs(10);
/// The pause before a worker that died by itself is replaced; it doubles with each that dies soon.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause: what made them die may be mended meanwhile, and nobody waits longer for that to show.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that lived for so long did not die of its beginning.
const SOON: Duration = Duration::from_secs(60);

/// A worker, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hand {
    /// Names it; later ones have greater numbers.
    pub(super) id: u64,
    /// How many attempts it holds; none where it has not said yet: it has not begun.
    pub(super) open: Option<usize>,
    /// Whether it was told to end.
    pub(super) ending: bool,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// So many begin.
    pub(super) begin: usize,
    /// These take no more, and end.
    pub(super) end: Vec<u64>,
}

/// What the fleet goes by.
pub(super) struct Plan {
    min: usize,
    max: usize,
    /// Since when there are too many, of whom none is idle.
    all_busy: Option<Instant>,
    /// Workers that died soon, one after the other.
    losses: u32,
    /// Until then none begins.
    pause: Option<Instant>,
}

impl Plan {
    /// Between `min` and `max` workers.
    pub(super) fn new(min: u32, max: u32) -> Self {
        Self { min: min as usize, max: max as usize, all_busy: None, losses: 0, pause: None }
    }

    /// How many there are to be, where `wanted` are wanted and `present` are there. Where nothing was heard yet, those that are there.
    pub(super) fn target(&self, wanted: Option<u32>, present: usize) -> usize {
        wanted.map_or(present, |wanted| wanted as usize).min(self.max).max(self.min)
    }

    /// What is to be done now.
    pub(super) fn steps(&mut self, hands: &[Hand], wanted: Option<u32>, now: Instant) -> Steps {
        let mut present: Vec<&Hand> = hands.iter().filter(|hand| !hand.ending).collect();
        let target = self.target(wanted, present.len());
        if present.len() <= target {
            self.all_busy = None;
            let begin = if self.pause.is_some_and(|until| now < until) { 0 } else { target - present.len() };
            return Steps { begin, end: Vec::new() };
        }
        let surplus = present.len() - target;
        // Those that have not begun, then the youngest of the idle.
        present.sort_by_key(|hand| (hand.open.unwrap_or(0), hand.open.is_some(), Reverse(hand.id)));
        let idle = present.iter().take_while(|hand| hand.open.unwrap_or(0) == 0);
        let mut end: Vec<u64> = idle.take(surplus).map(|hand| hand.id).collect();
        if end.is_empty() {
            let since = *self.all_busy.get_or_insert(now);
            if now.duration_since(since) >= ALL_BUSY {
                self.all_busy = Some(now);
                end.extend(present.first().map(|hand| hand.id));
            }
        } else {
            self.all_busy = None;
        }
        Steps { begin: 0, end }
    }

    /// Takes in that a worker died by itself after it had lived for so long. How long until it is replaced.
    pub(super) fn lost(&mut self, lived: Duration, now: Instant) -> Duration {
        // Those that die together died of one thing.
        if let Some(until) = self.pause.filter(|until| now < *until) {
            return until - now;
        }
        self.losses = if lived >= SOON { 0 } else { self.losses.saturating_add(1) };
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.losses.saturating_sub(1).min(16));
        let pause = pause.min(LONGEST_PAUSE);
        self.pause = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hands(open: &[Option<usize>]) -> Vec<Hand> {
        (0..).zip(open).map(|(id, open)| Hand { id, open: *open, ending: false }).collect()
    }

    fn end(end: &[u64]) -> Steps {
        Steps { begin: 0, end: end.to_vec() }
    }

    fn begin(begin: usize) -> Steps {
        Steps { begin, end: Vec::new() }
    }

    #[test]
    fn what_is_wanted_is_begun_at_once_within_the_bounds() {
        let (mut plan, now) = (Plan::new(1, 4), Instant::now());
        assert_eq!(plan.steps(&[], None, now), begin(1), "the fewest, before anything is heard");
        assert_eq!(
            plan.steps(&hands(&[Some(2); 3]), None, now),
            begin(0),
            "nothing is heard: who is there stays"
        );
        assert_eq!(plan.steps(&hands(&[Some(2)]), Some(3), now), begin(2));
        assert_eq!(plan.steps(&hands(&[Some(2)]), Some(9), now), begin(3), "the most");
        assert_eq!(plan.steps(&hands(&[Some(0)]), Some(0), now), begin(0), "the fewest");
        let mut none = Plan::new(0, 4);
        assert_eq!(none.steps(&hands(&[Some(0)]), Some(0), now), end(&[0]));
    }

    #[test]
    fn only_who_holds_nothing_ends() {
        let (mut plan, now) = (Plan::new(0, 9), Instant::now());
        let crew = hands(&[Some(0), Some(3), Some(0), None, Some(1)]);
        assert_eq!(plan.steps(&crew, Some(4), now), end(&[3]), "who has not begun");
        assert_eq!(plan.steps(&crew, Some(2), now), end(&[3, 2, 0]), "then the youngest");
        assert_eq!(plan.steps(&crew, Some(0), now), end(&[3, 2, 0]));
    }

    #[test]
    fn who_ends_is_counted_no_more() {
        let (mut plan, now) = (Plan::new(0, 9), Instant::now());
        let mut crew = hands(&[Some(1), Some(0)]);
        crew[0].ending = true;
        assert_eq!(plan.steps(&crew, Some(2), now), begin(1));
        assert_eq!(plan.steps(&crew, Some(1), now), begin(0));
    }

    #[test]
    fn where_all_are_busy_who_holds_the_least_takes_no_more_one_after_the_other() {
        let (mut plan, now) = (Plan::new(0, 9), Instant::now());
        let crew = hands(&[Some(2), Some(1), Some(4)]);
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(plan.steps(&crew, Some(1), now), end(&[]));
        assert_eq!(plan.steps(&crew, Some(1), later(9)), end(&[]));
        assert_eq!(plan.steps(&crew, Some(1), later(10)), end(&[1]));
        assert_eq!(plan.steps(&crew, Some(1), later(11)), end(&[]), "the next after as long");
        assert_eq!(plan.steps(&crew, Some(3), later(12)), begin(0));
        assert_eq!(plan.steps(&crew, Some(1), later(21)), end(&[]), "they are wanted again meanwhile");
    }

    #[test]
    fn who_dies_again_and_again_is_replaced_ever_later() {
        let (mut plan, mut now) = (Plan::new(1, 9), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = plan.lost(Duration::from_secs(1), now);
            assert_eq!(plan.steps(&[], Some(1), now), begin(0));
            assert_eq!(plan.lost(Duration::from_secs(1), now), pause, "who dies with it changes nothing");
            now += pause;
            assert_eq!(plan.steps(&[], Some(1), now), begin(1));
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(plan.lost(SOON, now), FIRST_PAUSE, "one that had lived for long");
    }
}
