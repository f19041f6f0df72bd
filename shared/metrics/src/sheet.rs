//! Writes figures that are known anyway at the scrape: nobody has to keep them up to date in between.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// What a collector writes on. A name is without the prefix, and that of a counter without `_total`; a help ends without a dot.
#[derive(Debug)]
pub struct Sheet<'a>(DescriptorEncoder<'a>);

impl<'a> Sheet<'a> {
    /// One that writes there.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A value that goes up and down.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.write(name, help, MetricType::Gauge, [(NONE, value)])
    }

    /// A value that only grows.
    ///
    /// # Errors
    /// As [`Sheet::gauge`].
    pub fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.write(name, help, MetricType::Counter, [(NONE, value)])
    }

    /// Values that go up and down, by their labels. Where there is none, the metric is told without one.
    ///
    /// # Errors
    /// As [`Sheet::gauge`].
    pub fn gauges<'v, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'v str, &'v str); N], f64)>,
    ) -> fmt::Result {
        self.write(name, help, MetricType::Gauge, values)
    }

    /// Values that only grow, by their labels.
    ///
    /// # Errors
    /// As [`Sheet::gauge`].
    pub fn counters<'v, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'v str, &'v str); N], f64)>,
    ) -> fmt::Result {
        self.write(name, help, MetricType::Counter, values)
    }

    /// Whether the broker can be used.
    ///
    /// # Errors
    /// As [`Sheet::gauge`].
    pub fn broker(&mut self, is_up: bool, is_blocked: bool) -> fmt::Result {
        let help = "1 where the process is connected to the broker, else 0";
        self.gauge("broker_up", help, f64::from(u8::from(is_up)))?;
        let help = "1 where the broker takes no messages because of an alarm, else 0";
        self.gauge("broker_blocked", help, f64::from(u8::from(is_blocked)))
    }

    fn write<'v, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = ([(&'v str, &'v str); N], f64)>,
    ) -> fmt::Result {
        // As the registry does with the help of what is registered.
        let mut encoder = self.0.encode_descriptor(name, &format!("{help}."), None, kind)?;
        for (labels, value) in values {
            if N == 0 {
                put(&mut encoder, kind, value)?;
            } else {
                put(&mut encoder.encode_family(&labels)?, kind, value)?;
            }
        }
        Ok(())
    }
}

fn put(encoder: &mut MetricEncoder, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => encoder.encode_counter::<[(&str, &str); 0], f64, f64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}

/// No labels.
const NONE: [(&str, &str); 0] = [];
