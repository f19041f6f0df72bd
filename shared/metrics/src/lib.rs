//! Metrics as Prometheus reads them: what orchestrators and workers share to serve `/metrics`.
//!
//! Figures that grow are kept in [`Bounded`] families; those that are known anyway are written at the scrape, with a [`Sheet`].
//! Nothing here waits, asks a server, or names a run: the size of an answer is bounded by how much a process does, not by how long.

mod bounded;
mod exposition;
mod process;
mod sheet;

pub use bounded::{Bounded, MOST_HISTOGRAMS, MOST_SERIES, Names, OTHER};
pub use exposition::{Format, Scrape, exposition};
pub use process::{BuildInfo, Process};
pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::DescriptorEncoder;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::Registry;
pub use sheet::Sheet;

/// How the name of every metric begins.
pub const PREFIX: &str = "oarlock";

/// A registry with what every process tells: its build, and what it uses. `role` is what the process is, such as `worker`.
pub fn registry(role: &'static str) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(BuildInfo { role }));
    registry.register_collector(Box::new(Process::begin()));
    registry
}

/// A histogram of times in seconds, from milliseconds to hours: each bound is about four times the last, which tells a fast
/// task from a slow one at the price of few series.
pub fn seconds() -> Histogram {
    Histogram::new([0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0])
}

/// A histogram of short times in seconds, of what should take milliseconds.
pub fn short_seconds() -> Histogram {
    Histogram::new([0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0])
}

/// A histogram of numbers of things done at once.
pub fn sizes() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
}
