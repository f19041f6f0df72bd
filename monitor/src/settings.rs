//! Everything that can be tuned of what is found unusual, with its unit. The defaults are those that the report of
//! `tests/anomaly` measures.

use oarlock_protocol::Span;

/// When something is unusual, and how sure that must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How many series (tenant and task definition) are watched: the one that was quiet longest gives its place.
    /// 2,000 take about 15 MB.
    pub series: usize,
    /// Attempts of a series before anything of it is told.
    pub warm_up: u32,
    /// How long a series of rare attempts is watched before anything of it is told: a day, and some more.
    pub season: Span,
    /// What is usual is learned over this time (the mean age of what is known), where that holds enough attempts.
    pub memory: Span,
    /// The fewest attempts it is learned over, however rare they are.
    pub memory_min_attempts: f64,
    /// The most attempts it is learned over, however many there are.
    pub memory_max_attempts: f64,
    /// Robust z-scores count up to this: one attempt, however extreme, weighs no more.
    pub score_limit: f64,
    /// What a score must exceed to speak for a change, in standard deviations: the allowance of the CUSUM. Scores are
    /// those of values moved back by half of what is worth telling (the root of its factor).
    pub allowance: f64,
    /// How much of evidence a change needs, in standard deviations: the threshold of the CUSUM.
    pub threshold: f64,
    /// The fewest attempts that must agree.
    pub agree: u32,
    /// Attempts over which something must be as usual again before it has ended; at most 32.
    pub settle: u32,
    /// After this many attempts and `adopt_time` a new level is the usual one: it is told no longer.
    pub adopt_attempts: u32,
    /// See `adopt_attempts`.
    pub adopt_time: Span,
    /// A new level of a rare task is the usual one after this time and `warm_up` attempts.
    pub adopt_rare_time: Span,
    /// What is open of a series without attempts ends after this time.
    pub quiet: Span,
    /// Changes of the duration that are worth telling; the floor is in milliseconds.
    pub duration: Worth,
    /// Changes of the time in the queue that are worth telling; the floor is in milliseconds.
    pub queue_time: Worth,
    /// Changes of memory that are worth telling; the floor is in bytes.
    pub memory_use: Worth,
    /// Changes of the size of inputs and outputs that are worth telling; the floor is in bytes.
    pub payload: Worth,
    /// From this many times the usual on a change is severe.
    pub severe_ratio: f64,
    /// The ratio of failures (0..1) that is taken for usual even where fewer fail.
    pub failure_floor: f64,
    /// By how much the ratio of failures (0..1) must have grown.
    pub failure_rise: f64,
    /// How likely the change of a failure ratio must be, as the logarithm of the odds: e^8 is 3,000 to one.
    pub failure_threshold: f64,
    /// The fewest failures that are told.
    pub failure_count: u32,
    /// From this ratio of failures (0..1) on it is severe.
    pub severe_failures: f64,
    /// How long a run may stand still after the time at which its own limits should have moved it.
    pub run_grace: Span,
    /// How long a queue with work and workers may go without a completion, at least.
    pub queue_still: Span,
    /// A queue is stalled after this many times the usual time between completions, and after this many usual durations.
    pub queue_still_factor: f64,
    /// A worker is silent after this many missing beats.
    pub beats_missed: f64,
    /// A worker may do nothing for this long while its queue is deep.
    pub worker_idle: Span,
    /// A queue is deep from this many ready tasks for each slot of the worker.
    pub deep_per_slot: f64,
    /// The fewest retries in the window that are a storm.
    pub storm_retries: u64,
    /// The fewest retries per completed attempt that are a storm.
    pub storm_ratio: f64,
    /// How many times the usual retries per completed attempt are a storm.
    pub storm_factor: f64,
    /// How long something found in snapshots must be gone before it has ended.
    pub calm: Span,
    /// The most findings of snapshots that are open at once; more are counted only.
    pub open: usize,
}

/// Which changes of a signal are worth the attention of a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// How many times the usual it must be.
    pub more: f64,
    /// Where less is worth knowing too, how many times it the usual must be: a task that suddenly takes no time may do
    /// nothing.
    pub less: Option<f64>,
    /// How much it must differ, in the unit of the signal.
    pub floor: f64,
}

impl Default for Settings {
    fn default() -> Self {
        let mebibyte = 1024.0 * 1024.0;
        Self {
            series: 2000,
            warm_up: 80,
            season: Span::from_secs(36 * 3600),
            memory: Span::from_secs(3600),
            memory_min_attempts: 300.0,
            memory_max_attempts: 600.0,
            score_limit: 2.5,
            allowance: 0.35,
            threshold: 7.0,
            agree: 6,
            settle: 32,
            adopt_attempts: 300,
            adopt_time: Span::from_secs(30 * 60),
            adopt_rare_time: Span::from_secs(24 * 3600),
            quiet: Span::from_secs(24 * 3600),
            duration: Worth { more: 1.8, less: Some(2.2), floor: 50.0 },
            queue_time: Worth { more: 3.0, less: None, floor: 2000.0 },
            memory_use: Worth { more: 1.8, less: None, floor: 16.0 * mebibyte },
            payload: Worth { more: 2.0, less: Some(4.0), floor: 16.0 * 1024.0 },
            severe_ratio: 2.5,
            failure_floor: 0.01,
            failure_rise: 0.1,
            failure_threshold: 8.0,
            failure_count: 5,
            severe_failures: 0.5,
            run_grace: Span::from_secs(5 * 60),
            queue_still: Span::from_secs(2 * 60),
            queue_still_factor: 10.0,
            beats_missed: 3.0,
            worker_idle: Span::from_secs(2 * 60),
            deep_per_slot: 2.0,
            storm_retries: 20,
            storm_ratio: 0.5,
            storm_factor: 3.0,
            calm: Span::from_secs(60),
            open: 1000,
        }
    }
}
