//! Labelled streams of attempts, each made from a seed: what they are is known, so it can be counted what is told of them.

use oarlock_monitor::anomaly::{Attempt, Outcome};
use oarlock_protocol::{Span, Timestamp};

use crate::chance::Chance;

/// A stream and what is true of it.
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    pub(crate) label: Label,
    pub(crate) attempts: Vec<Attempt>,
}

/// What a rule should tell of a stream.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Label {
    /// Nothing.
    Usual,
    /// A step at this attempt, by this factor.
    Step { at: usize, ratio: f64 },
    /// More failures from this attempt on.
    Failing { at: usize },
    /// A slow change: whether it is worth telling is a matter of taste, so it is only reported.
    Drift,
}

/// How values are spread around their median.
#[derive(Clone, Copy)]
enum Shape {
    /// Lognormal with this standard deviation of the logarithm.
    Lognormal(f64),
    /// Pareto with exponent 1.5: one in a thousand is a hundred times the least.
    HeavyTail,
    /// Seven in ten take a tenth of the time that the others take.
    Bimodal,
    /// One in a hundred takes 30 to 100 times as long.
    Spikes,
}

/// The recipe of a stream.
#[derive(Clone, Copy)]
struct Recipe {
    name: &'static str,
    shape: Shape,
    every_s: f64,
    length: usize,
    /// By how much of the median it goes up and down each day.
    season: f64,
    step: f64,
    drift_over: usize,
    failing: (f64, f64),
}

const PLAIN: Recipe = Recipe {
    name: "",
    shape: Shape::Lognormal(0.3),
    every_s: 10.0,
    length: 2000,
    season: 0.0,
    step: 1.0,
    drift_over: 0,
    failing: (0.02, 0.02),
};

const RECIPES: &[Recipe] = &[
    Recipe { name: "steady", ..PLAIN },
    Recipe { name: "steady, wide", shape: Shape::Lognormal(1.0), ..PLAIN },
    Recipe { name: "heavy tail", shape: Shape::HeavyTail, ..PLAIN },
    Recipe { name: "two modes", shape: Shape::Bimodal, ..PLAIN },
    Recipe { name: "single spikes", shape: Shape::Spikes, ..PLAIN },
    Recipe { name: "daily season", every_s: 30.0, length: 6000, season: 0.4, ..PLAIN },
    Recipe { name: "daily season, one a minute", every_s: 60.0, length: 4500, season: 0.4, ..PLAIN },
    Recipe { name: "daily season, one in ten minutes", every_s: 600.0, season: 0.4, ..PLAIN },
    Recipe { name: "rare: one an hour", every_s: 3600.0, length: 800, season: 0.4, ..PLAIN },
    Recipe { name: "many failures", failing: (0.3, 0.3), ..PLAIN },
    Recipe { name: "step 1.5x", step: 1.5, ..PLAIN },
    Recipe { name: "step 2x", step: 2.0, ..PLAIN },
    Recipe { name: "step 3x", step: 3.0, ..PLAIN },
    Recipe { name: "step 3x, wide", step: 3.0, shape: Shape::Lognormal(1.0), ..PLAIN },
    Recipe { name: "step 3x, heavy tail", step: 3.0, shape: Shape::HeavyTail, ..PLAIN },
    Recipe { name: "step 3x, two modes", step: 3.0, shape: Shape::Bimodal, ..PLAIN },
    Recipe { name: "step 3x, with spikes", step: 3.0, shape: Shape::Spikes, ..PLAIN },
    Recipe { name: "step 3x, daily season", step: 3.0, every_s: 60.0, length: 3000, season: 0.4, ..PLAIN },
    Recipe { name: "step 3x, one an hour", step: 3.0, every_s: 3600.0, length: 800, ..PLAIN },
    Recipe { name: "step to a half", step: 0.5, ..PLAIN },
    Recipe { name: "step to a third", step: 1.0 / 3.0, ..PLAIN },
    Recipe { name: "drift to 2x over 5,000", step: 2.0, drift_over: 5000, length: 6500, ..PLAIN },
    Recipe { name: "drift to 3x over 300", step: 3.0, drift_over: 300, ..PLAIN },
    Recipe { name: "failures 2 % to 20 %", failing: (0.02, 0.2), ..PLAIN },
    Recipe { name: "failures 5 % to 50 %", failing: (0.05, 0.5), ..PLAIN },
];

/// Every stream of a seed.
pub(crate) fn streams(seed: u64) -> impl Iterator<Item = Stream> {
    RECIPES.iter().enumerate().map(move |(index, recipe)| recipe.make(seed * 1000 + index as u64))
}

impl Recipe {
    fn make(&self, seed: u64) -> Stream {
        let mut chance = Chance(seed);
        let at = self.length * 2 / 5 + (chance.uniform() * self.length as f64 / 10.0) as usize;
        let mut now = chance.uniform() * 86_400.0;
        let typical = 300.0 * (chance.uniform() * 4.0).exp();
        let attempts = (0..self.length).map(|index| {
            now += self.every_s * -chance.uniform().ln();
            let day = 1.0 + self.season * (now / 86_400.0 * std::f64::consts::TAU).sin();
            let passed = index.saturating_sub(at) as f64;
            let change = if index < at {
                1.0
            } else if self.drift_over == 0 {
                self.step
            } else {
                self.step.powf((passed / self.drift_over as f64).min(1.0))
            };
            let duration = typical * self.shape.draw(&mut chance) * day * change;
            let failing = if index < at { self.failing.0 } else { self.failing.1 };
            let outcome = if chance.uniform() < failing { Outcome::Failed } else { Outcome::Completed };
            Attempt {
                closed_at: Timestamp::from_millis((now * 1000.0) as i64),
                duration: Some(Span::from_millis(duration as u64)),
                outcome,
                ..Attempt::default()
            }
        });
        Stream { name: self.name, label: self.label(at), attempts: attempts.collect() }
    }

    fn label(&self, at: usize) -> Label {
        if self.drift_over > 0 {
            Label::Drift
        } else if self.step != 1.0 {
            Label::Step { at, ratio: self.step }
        } else if self.failing.0 != self.failing.1 {
            Label::Failing { at }
        } else {
            Label::Usual
        }
    }
}

impl Shape {
    /// A value whose typical size is 1.
    fn draw(self, chance: &mut Chance) -> f64 {
        match self {
            Self::Lognormal(sigma) => (sigma * chance.normal()).exp(),
            Self::HeavyTail => chance.uniform().powf(-1.0 / 1.5),
            Self::Bimodal => {
                let mode = if chance.uniform() < 0.7 { 1.0 } else { 10.0 };
                mode * (0.25 * chance.normal()).exp()
            }
            Self::Spikes => {
                let spike = if chance.uniform() < 0.01 { 30.0 + 70.0 * chance.uniform() } else { 1.0 };
                spike * (0.3 * chance.normal()).exp()
            }
        }
    }
}
