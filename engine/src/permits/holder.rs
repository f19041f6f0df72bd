//! A partition under a limit: what it may open, and what it says to the home of the limit.

use std::collections::VecDeque;

use oarlock_protocol::{Span, Timestamp};

use super::{Allowance, Grant, MOST_WANTED, TOKEN_LASTS, Want};

/// What is not answered is said again after this time, and so is what still waits: a message may be lost, and a home that
/// begins anew does not know who wants something.
const AGAIN: Span = Span::from_secs(2);

/// A partition under a limit.
#[derive(Clone, Debug)]
pub struct Holder {
    epoch: u64,
    n: u64,
    open: u32,
    ceiling: u32,
    /// How many permits are given back by attempts that have closed, and the home has not been told of.
    returned: u32,
    /// When each token is gone that is at hand.
    tokens: VecDeque<Timestamp>,
    /// So many of them stay.
    reserved: usize,
    /// How many tokens the newest want was given, as far as they are known.
    known_tokens: u32,
    /// How many there have been in this epoch.
    had: u64,
    /// How many more the home still is to give for the newest want, as far as is known.
    wanted: u32,
    /// When it spoke last.
    spoke: Option<Timestamp>,
    answered: bool,
    /// Whether the home counts more than is needed here.
    owes: bool,
    told: Told,
}

/// Whether a home that has asked for all it leases has heard of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It has not asked, or has answered what was said since.
    Yes,
    /// Nothing was said since it asked.
    No,
    /// Something was, and is not answered.
    Said,
}

impl Holder {
    /// The holder of a partition that was taken under this epoch, with so many attempts open under the limit. It says so at
    /// once: the home may count more.
    pub fn new(epoch: u64, open: u32) -> Self {
        Self::speaking_after(epoch, (0, 0), open)
    }

    /// The same, where the partition may have spoken of this limit before in that epoch, up to the number and with the count of
    /// tokens that [`Holder::spoken`] gave; or with greater ones.
    pub fn speaking_after(epoch: u64, (n, had): (u64, u64), open: u32) -> Self {
        Self {
            epoch,
            n,
            open,
            ceiling: open,
            returned: 0,
            tokens: VecDeque::new(),
            reserved: 0,
            known_tokens: 0,
            had,
            wanted: 0,
            spoke: None,
            answered: true,
            owes: true,
            told: Told::Yes,
        }
    }

    /// So many tasks have a place from which their turn comes, and have permits at hand for it: these are kept until then. Of
    /// tokens one: the home does not count those that are kept, and all of them may be used at once.
    pub fn reserve(&mut self, tasks: usize, allowance: Allowance) {
        self.reserved = match allowance {
            Allowance::Concurrency { most } => tasks.min(most as usize),
            Allowance::Rate { .. } => tasks.min(1),
        };
    }

    /// Opens an attempt, where there is a permit.
    pub fn open(&mut self, allowance: Allowance, now: Timestamp) -> bool {
        match allowance {
            Allowance::Concurrency { .. } if self.open < self.ceiling => {
                self.open += 1;
                true
            }
            Allowance::Concurrency { .. } => false,
            Allowance::Rate { .. } => {
                self.drop_tokens(now);
                self.tokens.pop_front().is_some()
            }
        }
    }

    /// How many attempts may be opened now.
    pub fn at_hand(&mut self, now: Timestamp) -> u32 {
        self.drop_tokens(now);
        (self.ceiling - self.open).saturating_add(u32::try_from(self.tokens.len()).unwrap_or(u32::MAX))
    }

    /// Counts an attempt that is open without a permit from here: one found at a take-over.
    pub fn count(&mut self) {
        self.open += 1;
        self.ceiling = self.ceiling.max(self.open);
        self.owes = true;
    }

    /// An attempt has closed. Its permit is not used here again, but goes back to the home: another partition's task may be
    /// next.
    pub fn close(&mut self) {
        let before = self.ceiling;
        self.open = self.open.saturating_sub(1);
        self.ceiling = before.saturating_sub(1).max(self.open);
        self.returned += before - self.ceiling;
        self.owes = true;
    }

    /// The number of its newest word, and how many tokens it has had.
    pub fn spoken(&self) -> (u64, u64) {
        (self.n, self.had)
    }

    /// Takes in what the home grants; false where that is not for its newest word.
    pub fn hear(&mut self, grant: Grant, now: Timestamp) -> bool {
        if (grant.epoch, grant.n) > (self.epoch, self.n) {
            // The store has lost the take of this partition before this one: the home knows words of its owner of then.
            (self.epoch, self.n) = (grant.epoch, grant.n);
            (self.answered, self.owes) = (true, true);
            return false;
        }
        if (grant.epoch, grant.n) != (self.epoch, self.n) {
            return false;
        }
        self.answered = true;
        if self.told == Told::Said {
            self.told = Told::Yes;
        }
        let granted = grant.ceiling.saturating_sub(self.returned);
        let (more, tokens) =
            (granted.saturating_sub(self.ceiling), grant.tokens.saturating_sub(self.known_tokens));
        self.ceiling += more;
        self.known_tokens += tokens;
        self.had += u64::from(tokens);
        self.wanted = self.wanted.saturating_sub(more.max(tokens));
        self.tokens.extend((0..tokens).map(|_| now.after(TOKEN_LASTS)));
        true
    }

    /// The home asks what is held here.
    pub fn is_asked(&mut self) {
        self.owes = true;
    }

    /// A home that begins asks for all that it leases.
    pub fn is_asked_for_all(&mut self) {
        self.owes = true;
        self.told = Told::No;
    }

    /// Whether it has answered what was said since: whatever is opened here from then on has a permit of this home.
    pub fn is_told(&self) -> bool {
        self.told == Told::Yes
    }

    /// What is to be said to the home now, where so many tasks wait for a permit or have one at hand; none where there is
    /// nothing new, or where it has not answered the last yet. It is in force at once, so it must be sent.
    pub fn say(&mut self, waiting: u32, now: Timestamp) -> Option<Want> {
        let wants = waiting.saturating_sub(self.at_hand(now)).min(MOST_WANTED);
        // Of a long line the home hears again when half of what it was asked for has come.
        let wants_more = wants > self.wanted && (wants < MOST_WANTED || self.wanted <= MOST_WANTED / 2);
        let is_new =
            self.owes || wants_more || (waiting == 0 && (self.wanted > 0 || self.ceiling > self.open));
        let is_time = self.spoke.is_none_or(|spoke| now.since(spoke) >= AGAIN);
        // Who keeps a permit for each that waits has nothing to say. What is at hand for one that waits for something else,
        // too, goes back, and comes again in turn.
        let lies_about = (self.ceiling - self.open) as usize > self.reserved;
        let says_again = waiting > 0 && is_time && (wants > 0 || lies_about);
        let speaks = if self.answered { is_new || says_again } else { is_time };
        if !speaks {
            return None;
        }
        // What is at hand goes back, but for those whose turn is near.
        let kept = (self.ceiling - self.open).min(u32::try_from(self.reserved).unwrap_or(u32::MAX));
        let at_hand = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX).saturating_add(kept);
        let wants = waiting.saturating_sub(at_hand).min(MOST_WANTED);
        self.n += 1;
        (self.ceiling, self.returned) = (self.open + kept, 0);
        (self.known_tokens, self.wanted) = (0, wants);
        (self.spoke, self.answered, self.owes) = (Some(now), false, false);
        if self.told == Told::No {
            self.told = Told::Said;
        }
        Some(Want { epoch: self.epoch, n: self.n, keeps: self.ceiling, wants, had: self.had })
    }

    /// Whether there is nothing to remember: no attempt is open, and the home knows that nothing is wanted.
    pub fn is_idle(&self) -> bool {
        self.answered && !self.owes && self.open == 0 && self.ceiling == 0 && self.wanted == 0
    }

    fn drop_tokens(&mut self, now: Timestamp) {
        while self.tokens.len() > self.reserved && self.tokens.front().is_some_and(|gone| *gone <= now) {
            self.tokens.pop_front();
        }
    }
}
