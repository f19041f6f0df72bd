//! Sends spans to an OpenTelemetry collector, by OTLP over HTTP with protobuf.
//!
//! Orchestrators and workers make a [`Span`] when something has ended, with its times, and hand it to a [`Telemetry`]. It goes
//! out in a batch with others. A collector that is slow or away costs spans, which are counted, and nothing else: whoever hands
//! a span over never waits.

mod exporter;
mod settings;
mod span;
mod wire;

pub use exporter::Telemetry;
pub use settings::{Error, Settings};
pub use span::{Event, Kind, Span, Value, nanoseconds};
