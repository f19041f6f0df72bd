//! Writes a registry in the form that was asked for.
//!
//! `prometheus-client` writes OpenMetrics. The older text form, which `promtool` and every other reader know, differs in what
//! stands around a metric: a counter is named with its `_total` there too.

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// Writes what a process tells, in the form that was asked for.
pub type Scrape = Arc<dyn Fn(Format) -> String + Send + Sync>;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text form of Prometheus, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a request accepts: OpenMetrics where it is named, else the text form, which everybody reads.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All metrics of a registry.
pub fn exposition(registry: &Registry, format: Format) -> String {
    let mut written = String::new();
    // Writing to a string does not fail; a collector that gives up has written what it could.
    text::encode(&mut written, registry).ok();
    match format {
        Format::OpenMetrics => written,
        Format::Text => as_text(&written),
    }
}

/// OpenMetrics in the older form.
fn as_text(written: &str) -> String {
    let mut text = String::with_capacity(written.len() + written.len() / 16);
    let mut help = None;
    for line in written.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, told)) = help.take() {
                text += &format!("# HELP {name}{total} {told}\n");
            }
            text += &format!("# TYPE {name}{total} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn a_counter_has_its_whole_name_in_the_older_form_and_not_in_the_newer() {
        let mut registry = Registry::with_prefix("o");
        registry.register("things", "Things that were seen", Counter::<u64>::default());
        let text = exposition(&registry, Format::accepted("text/plain"));
        let expected =
            "# HELP o_things_total Things that were seen.\n# TYPE o_things_total counter\no_things_total 0\n";
        assert_eq!(text, expected);
        let open = exposition(&registry, Format::accepted("application/openmetrics-text;version=1.0.0"));
        assert!(open.starts_with("# HELP o_things Things") && open.ends_with("o_things_total 0\n# EOF\n"));
    }
}
