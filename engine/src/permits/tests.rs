//! Permits under a network that loses, doubles and reorders, and under partitions and homes that crash.

use proptest::prelude::*;

use super::*;

const PARTITIONS: usize = 4;

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + ms)
}

#[derive(Clone, Copy, Debug)]
enum Mail {
    Want(u32, Want),
    Grant(u32, Grant),
}

/// A limit with its home, its holders, and what is on its way between them.
struct World {
    allowance: Allowance,
    home: Home,
    holders: Vec<Holder>,
    epochs: Vec<u64>,
    spoken: Vec<(u64, u64)>,
    forgotten: Vec<bool>,
    waiting: Vec<u32>,
    open: Vec<u32>,
    mail: Vec<Mail>,
    now: i64,
    begun: Vec<i64>,
}

impl World {
    fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            home: Home::default(),
            holders: (0..PARTITIONS).map(|_| Holder::new(1, 0)).collect(),
            epochs: vec![1; PARTITIONS],
            spoken: vec![(0, 0); PARTITIONS],
            forgotten: vec![false; PARTITIONS],
            waiting: vec![0; PARTITIONS],
            open: vec![0; PARTITIONS],
            mail: Vec::new(),
            now: 0,
            begun: Vec::new(),
        }
    }

    /// An owner's round.
    fn round(&mut self, partition: usize) {
        if self.forgotten[partition] && self.waiting[partition] == 0 {
            return;
        }
        self.find(partition);
        while self.waiting[partition] > 0 && self.holders[partition].open(self.allowance, at(self.now)) {
            self.waiting[partition] -= 1;
            self.open[partition] += 1;
            self.begun.push(self.now);
        }
        if let Some(want) = self.holders[partition].say(self.waiting[partition], at(self.now)) {
            self.mail.push(Mail::Want(partition as u32, want));
        }
    }

    fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::Want(partition, want) => {
                if self.home.hear(partition, want, at(self.now)) {
                    self.grant(Some(partition));
                }
            }
            Mail::Grant(partition, _) if self.forgotten[partition as usize] => {}
            Mail::Grant(partition, grant) => {
                self.holders[partition as usize].hear(grant, at(self.now));
                self.round(partition as usize);
            }
        }
    }

    fn grant(&mut self, asked: Option<u32>) {
        let mut answers = self.home.grant(self.allowance, at(self.now));
        answers.extend(asked);
        for partition in answers {
            self.mail.extend(self.home.answer(partition).map(|grant| Mail::Grant(partition, grant)));
        }
    }

    fn counts_open(&self) -> bool {
        matches!(self.allowance, Allowance::Concurrency { .. })
    }

    fn close(&mut self, partition: usize) {
        if self.open[partition] > 0 {
            self.open[partition] -= 1;
            if self.counts_open() {
                self.holders[partition].close();
            }
        }
    }

    /// A partition forgets a limit under which nothing is open or waits.
    fn forget(&mut self, partition: usize) {
        let holder = &self.holders[partition];
        if self.waiting[partition] == 0 && holder.is_idle() {
            let (n, had) = holder.spoken();
            self.spoken[partition] = (self.spoken[partition].0.max(n), self.spoken[partition].1.max(had));
            self.forgotten[partition] = true;
        }
    }

    fn find(&mut self, partition: usize) {
        if std::mem::take(&mut self.forgotten[partition]) {
            let (epoch, spoken) = (self.epochs[partition], self.spoken[partition]);
            self.holders[partition] = Holder::speaking_after(epoch, spoken, 0);
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now += ms;
        self.grant(None);
        for partition in self.home.silent(at(self.now), Span::from_secs(15)) {
            self.find(partition as usize);
            self.holders[partition as usize].is_asked();
        }
        (0..PARTITIONS).for_each(|partition| self.round(partition));
        (0..PARTITIONS).for_each(|partition| self.forget(partition));
    }

    fn act(&mut self, (what, which): (u8, u8)) {
        let (partition, which) = (which as usize % PARTITIONS, which as usize);
        match what % 11 {
            0 | 9 if !self.mail.is_empty() => {
                let mail = self.mail.remove(which % self.mail.len());
                self.deliver(mail);
            }
            2 if !self.mail.is_empty() => drop(self.mail.remove(which % self.mail.len())),
            1 | 3 | 10 if !self.mail.is_empty() => self.deliver(self.mail[which % self.mail.len()]),
            4 => {
                self.waiting[partition] += 3;
                self.round(partition);
            }
            5 => {
                self.close(partition);
                self.round(partition);
            }
            6 => self.pass(which as i64 * 20),
            7 => {
                // Its next owner counts what is open.
                self.epochs[partition] += 1;
                let open = if self.counts_open() { self.open[partition] } else { 0 };
                self.holders[partition] = Holder::new(self.epochs[partition], open);
                (self.spoken[partition], self.forgotten[partition]) = ((0, 0), false);
                self.round(partition);
            }
            8 => {
                let stored = serde_json::to_string(&self.home).unwrap();
                self.home = serde_json::from_str(&stored).unwrap();
                if self.home.is_idle(at(self.now)) {
                    self.home = Home::default();
                }
            }
            _ => {}
        }
    }

    /// Without faults, and with workers that end what is open.
    fn calm_down(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for mail in std::mem::take(&mut self.mail) {
                self.deliver(mail);
            }
            (0..PARTITIONS).for_each(|partition| self.close(partition));
            self.pass(100);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_limit_is_never_exceeded_and_everything_is_done_in_the_end(
        most in 1..5_u32,
        actions in prop::collection::vec(any::<(u8, u8)>(), 0..1_000),
    ) {
        let mut world = World::new(Allowance::Concurrency { most });
        for action in actions {
            world.act(action);
            prop_assert!(world.open.iter().sum::<u32>() <= most, "{:?}", world.open);
        }
        for _ in 0..3 {
            world.calm_down(300);
            prop_assert!(world.open.iter().sum::<u32>() <= most);
        }
        prop_assert_eq!(world.waiting.iter().sum::<u32>() + world.open.iter().sum::<u32>(), 0);
        prop_assert!(world.home.is_idle(at(world.now)), "{:?}", world.home);
        prop_assert!(world.holders.iter().all(Holder::is_idle), "{:?}", world.holders);
    }

    #[test]
    fn a_rate_is_kept_and_everything_is_done_in_the_end(
        limit in 1..30_u32,
        actions in prop::collection::vec(any::<(u8, u8)>(), 0..1_000),
    ) {
        let mut world = World::new(Allowance::Rate { limit, per_ms: 1_000 });
        actions.into_iter().for_each(|action| world.act(action));
        // With one a second hundreds of tasks take minutes.
        for _ in 0..6 {
            if world.waiting.iter().any(|waiting| *waiting > 0) {
                world.calm_down(5_000);
            }
        }
        prop_assert_eq!(world.waiting.iter().sum::<u32>(), 0);
        // Each token is used within a second, a fresh one may be given again, and a tenth may come at once.
        for (index, begun) in world.begun.iter().enumerate() {
            let within = world.begun[index..].iter().take_while(|other| **other < begun + 10_000).count();
            prop_assert!(within <= limit as usize * 12 + limit as usize / 10 + 1, "{within} of {limit}");
        }
    }
}

#[test]
fn partitions_take_turns() {
    let (mut home, two) = (Home::default(), Allowance::Concurrency { most: 2 });
    let want = |n, keeps, wants| Want { epoch: 1, n, keeps, wants, had: 0 };
    assert!(home.hear(3, want(1, 0, 9), at(0)));
    assert_eq!(home.grant(two, at(0)), BTreeSet::from([3]));
    assert_eq!(home.answer(3), Some(Grant { epoch: 1, n: 1, ceiling: 2, tokens: 0 }));
    assert!(home.hear(1, want(1, 0, 9), at(1)) && home.grant(two, at(1)).is_empty());
    assert!(home.hear(3, want(2, 1, 9), at(2)));
    assert_eq!(home.grant(two, at(2)), BTreeSet::from([1]), "it is its turn");
    assert!(!home.hear(3, want(1, 0, 9), at(3)), "it is older than what it said since");
    assert_eq!(home.taken(), 2);
    assert_eq!(home.silent(at(15_001), Span::from_secs(15)), [1]);
    assert!(home.hear(1, Want { epoch: 2, n: 1, keeps: 0, wants: 0, had: 0 }, at(4)), "its next owner");
    assert_eq!(home.grant(two, at(4)), BTreeSet::from([3]));
}

#[test]
fn tokens_come_evenly_and_those_that_nobody_wants_are_gone() {
    let (mut home, rate) = (Home::default(), Allowance::Rate { limit: 20, per_ms: 1_000 });
    home.hear(1, Want { epoch: 1, n: 1, keeps: 0, wants: 100, had: 0 }, at(0));
    let mut given = Vec::new();
    for now in (0..1_000).step_by(10) {
        home.grant(rate, at(now));
        given.push(home.answer(1).unwrap().tokens);
    }
    assert_eq!((given[0], given[1], given[5], given[99]), (2, 2, 3, 21), "two at once, then one each 50 ms");
    assert_eq!(home.wakes_at(rate, at(999)), Some(at(1_001)));
    home.hear(1, Want { epoch: 1, n: 2, keeps: 0, wants: 100, had: 21 }, at(60_000));
    home.grant(rate, at(60_000));
    assert_eq!(home.answer(1).unwrap().tokens, 2, "a minute has saved up nothing");
    let (mut fast, most) = (Home::default(), Allowance::Rate { limit: 50_000, per_ms: 1_000 });
    fast.hear(1, Want { epoch: 1, n: 1, keeps: 0, wants: 256, had: 0 }, at(0));
    fast.grant(most, at(0));
    assert_eq!(fast.answer(1).unwrap().tokens, 256);
}

#[test]
fn a_permit_that_went_back_is_not_used_again_by_an_answer_that_was_on_its_way() {
    let allowance = Allowance::Concurrency { most: 1 };
    let mut holder = Holder::new(1, 2);
    let want = holder.say(3, at(0)).unwrap();
    assert_eq!((want.keeps, want.wants), (2, 3));
    holder.close();
    // The home has answered before it could know of that.
    assert!(holder.hear(Grant { epoch: 1, n: want.n, ceiling: 2, tokens: 0 }, at(1)));
    assert!(!holder.open(allowance, at(1)), "it belongs to the home");
    assert_eq!(holder.say(3, at(1)).map(|want| want.keeps), Some(1));
}

#[test]
fn numbers_go_on_where_a_limit_was_forgotten_meanwhile() {
    let mut holder = Holder::speaking_after(1, (7, 3), 0);
    assert_eq!(holder.say(1, at(0)).map(|want| want.n), Some(8));
    assert_eq!(holder.spoken(), (8, 3));
    holder.count();
    assert_eq!(holder.at_hand(at(0)), 0, "it is open without a permit from here");
}

#[test]
fn a_token_that_crossed_a_new_word_is_given_again() {
    let (mut home, rate) = (Home::default(), Allowance::Rate { limit: 1, per_ms: 1_000 });
    let mut holder = Holder::new(1, 0);
    home.hear(1, holder.say(1, at(0)).unwrap(), at(0));
    home.grant(rate, at(0));
    assert!(holder.hear(home.answer(1).unwrap(), at(1)) && holder.open(rate, at(1)));
    home.hear(1, holder.say(1, at(2)).unwrap(), at(3));
    assert!(holder.hear(home.answer(1).unwrap(), at(4)), "there is none yet");
    assert_eq!(home.grant(rate, at(1_000)), BTreeSet::from([1]));
    let crossing = home.answer(1).unwrap();
    let want = holder.say(2, at(1_001)).unwrap();
    assert!(!holder.hear(crossing, at(1_002)));
    home.hear(1, want, at(1_003));
    let again = home.answer(1).unwrap();
    assert_eq!(again.tokens, 1);
    assert!(holder.hear(again, at(1_004)) && holder.open(rate, at(1_004)));
    // What it had is not given again; nor what was lost long ago, or in an earlier epoch.
    home.hear(1, holder.say(5, at(1_005)).unwrap(), at(1_006));
    assert_eq!(home.answer(1).unwrap().tokens, 0);
    home.grant(rate, at(2_000));
    home.hear(1, holder.say(5, at(4_000)).unwrap(), at(4_000));
    assert_eq!(home.answer(1).unwrap().tokens, 0);
    home.grant(rate, at(4_000));
    home.hear(1, Holder::new(2, 0).say(5, at(4_001)).unwrap(), at(4_001));
    assert_eq!(home.answer(1).unwrap().tokens, 0);
}

#[test]
fn tasks_one_after_another_have_their_rate_also_where_the_limit_is_forgotten_between_them() {
    let rate = Allowance::Rate { limit: 10, per_ms: 1_000 };
    let (mut home, mut spoken) = (Home::default(), (0, 0));
    let (mut known, mut waiting, mut begun, mut forgotten) = (None, 0, 0, 0);
    for now in (0..10_000).step_by(10).map(at) {
        waiting += u32::from(now.as_millis() % 40 == 0);
        if waiting == 0 && known.is_none() {
            continue;
        }
        let holder = known.get_or_insert_with(|| Holder::speaking_after(1, spoken, 0));
        for _ in 0..2 {
            if let Some(want) = holder.say(waiting, now) {
                home.hear(1, want, now);
            }
            home.grant(rate, now);
            if let Some(grant) = home.answer(1) {
                holder.hear(grant, now);
            }
            while waiting > 0 && holder.open(rate, now) {
                (waiting, begun) = (waiting - 1, begun + 1);
            }
        }
        if waiting == 0 && holder.is_idle() {
            spoken = holder.spoken();
            (known, forgotten) = (None, forgotten + 1);
        }
        // As many come as may begin, so that it is forgotten between them.
        waiting = waiting.min(1);
    }
    assert!(
        (95..=101).contains(&begun) && forgotten > 40,
        "{begun} in ten seconds, forgotten {forgotten} times"
    );
}

#[test]
fn a_long_line_is_not_told_of_each_permit() {
    let (mut home, mut holder) = (Home::default(), Holder::new(1, 0));
    let most = Allowance::Concurrency { most: 1 };
    let words = (0..1_000).filter(|ms| {
        let now = at(*ms);
        holder.say(1_000, now).is_some_and(|want| {
            home.hear(1, want, now);
            home.grant(most, now);
            if let Some(grant) = home.answer(1) {
                holder.hear(grant, now);
            }
            holder.open(most, now);
            true
        })
    });
    assert_eq!(words.count(), 1, "there is nothing new");
}

#[test]
fn what_was_lost_long_ago_does_not_come_in_a_burst() {
    let (mut home, rate) = (Home::default(), Allowance::Rate { limit: 10, per_ms: 1_000 });
    let want = |n| Want { epoch: 1, n, keeps: 0, wants: 200, had: 0 };
    for second in 0..20 {
        home.hear(1, want(second + 1), at(second as i64 * 1_000));
        (0..100).for_each(|step| drop(home.grant(rate, at(second as i64 * 1_000 + step * 10))));
    }
    home.hear(1, want(21), at(20_000));
    let tokens = home.answer(1).unwrap().tokens;
    assert!((9..=11).contains(&tokens), "{tokens}: those of the last second");
}

#[test]
fn a_holder_whose_epoch_was_lost_goes_on_from_what_its_home_knows() {
    let (mut home, most) = (Home::default(), Allowance::Concurrency { most: 1 });
    home.hear(1, Want { epoch: 3, n: 40, keeps: 1, wants: 0, had: 0 }, at(0));
    for epoch in [3, 2] {
        let mut holder = Holder::new(epoch, 0);
        let stale = holder.say(1, at(1)).unwrap();
        assert!(!home.hear(1, stale, at(1)));
        holder.hear(home.answer(1).unwrap(), at(1));
        let want = holder.say(1, at(1)).unwrap();
        assert!(home.hear(1, want, at(1)));
        home.grant(most, at(1));
        holder.hear(home.answer(1).unwrap(), at(1));
        assert!(holder.open(most, at(1)));
        home.hear(1, Want { keeps: 1, n: want.n + 1, wants: 0, ..want }, at(2));
    }
}

#[test]
fn a_home_that_asks_for_all_is_told_when_it_has_answered_what_was_said_since() {
    let (mut home, mut holder) = (Home::default(), Holder::new(1, 2));
    home.hear(1, holder.say(0, at(0)).unwrap(), at(0));
    let before = home.answer(1).unwrap();
    holder.is_asked_for_all();
    assert!(holder.hear(before, at(1)) && !holder.is_told(), "it answers what was said before");
    home.hear(1, holder.say(5, at(2)).unwrap(), at(2));
    // There is news all the time.
    holder.close();
    assert!(holder.hear(home.answer(1).unwrap(), at(3)) && holder.is_told());
}

#[test]
fn who_has_a_permit_at_hand_keeps_it_until_its_turn_comes() {
    let most = Allowance::Concurrency { most: 2 };
    let (mut home, mut holder) = (Home::default(), Holder::new(1, 1));
    home.hear(1, holder.say(1, at(0)).unwrap(), at(0));
    home.grant(most, at(0));
    assert!(holder.hear(home.answer(1).unwrap(), at(1)));
    holder.reserve(1, most);
    assert!((2..9_000).all(|ms| holder.say(1, at(ms)).is_none()), "there is nothing to say");
    // Nor does news of another attempt cost it the permit.
    holder.close();
    let want = holder.say(1, at(9_000)).unwrap();
    assert_eq!((want.keeps, want.wants), (1, 0));
    assert!(holder.open(most, at(9_000)));
    let rate = Allowance::Rate { limit: 1, per_ms: 60_000 };
    let (mut home, mut holder) = (Home::default(), Holder::new(1, 0));
    home.hear(1, holder.say(1, at(0)).unwrap(), at(0));
    home.grant(rate, at(0));
    assert!(holder.hear(home.answer(1).unwrap(), at(1)));
    holder.reserve(1, rate);
    assert!((2..9_000).all(|ms| holder.say(1, at(ms)).is_none()));
    assert!(holder.open(rate, at(9_000)), "it does not go while its task waits for its turn");
}

#[test]
fn a_permit_for_a_task_that_waits_for_something_else_too_goes_back_after_a_while() {
    let most = Allowance::Concurrency { most: 1 };
    let (mut home, mut holder) = (Home::default(), Holder::new(1, 0));
    home.hear(1, holder.say(1, at(0)).unwrap(), at(0));
    home.hear(2, Want { epoch: 1, n: 1, keeps: 0, wants: 1, had: 0 }, at(0));
    home.grant(most, at(0));
    assert!(holder.hear(home.answer(1).unwrap(), at(1)));
    assert!(holder.say(1, at(1_000)).is_none());
    home.hear(1, holder.say(1, at(2_001)).unwrap(), at(2_001));
    assert_eq!(home.grant(most, at(2_001)), BTreeSet::from([2]), "it is another's turn");
}
