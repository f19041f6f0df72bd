//! What a measurement shows: its progress on stderr, its figures as text.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use oarlock_bench::report::Report;

use crate::show::table;

/// A bar on a terminal; nothing elsewhere.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::new(1);
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{msg:32} {bar:40} {pos}/{len} runs") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows how much of a stage is done.
    pub(super) fn tell(&self, stage: &str, done: usize, all: usize) {
        self.0.set_message(stage.to_owned());
        self.0.set_length(all as u64);
        self.0.set_position(done as u64);
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// The figures, a line each.
pub(super) fn text(report: &Report) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    let milliseconds = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.1} ms"));
    let per = if report.plan.executions() == 0 { "run" } else { "task" };
    row("runs per second", format!("{:.0}", report.runs_per_second));
    if let (Some(floor), Some(ratio)) = (report.floor_tasks_per_second, report.ratio) {
        let ratios: Vec<String> = report.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        row("tasks per second", format!("{:.0}", report.tasks_per_second));
        row("the floor's tasks per second", format!("{floor:.0}"));
        row("ratio", format!("{ratio:.2} (rounds: {})", ratios.join(" ")));
        row("bytes of a task, of a result", format!("{}, {}", report.task_bytes, report.result_bytes));
    }
    row("start to done, p50, p99", both(milliseconds, report.p50_ms, report.p99_ms));
    row("ready to started, p50, p99", both(milliseconds, report.queue_p50_ms, report.queue_p99_ms));
    each(&mut row, &format!("CPU per {per}, "), &report.cpu_micros, |micros| format!("{micros:.1} us"));
    each(&mut row, "CPU per task of the floor, ", &report.floor_cpu_micros, |micros| {
        format!("{micros:.1} us")
    });
    each(&mut row, "peak memory, ", &report.peak_bytes, |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    if let Some(calls) = report.script_calls {
        row(&format!("script calls per {per}"), format!("{calls:.3}"));
    }
    if let Some(bytes) = report.store_bytes_per_run {
        row("bytes in Redis per run", bytes.to_string());
    }
    if let Some(idle) = &report.idle_cpu_share {
        each(&mut row, "idle, ", idle, |share| format!("{:.2} % of a core", share * 100.0));
    }
    if let Some(seconds) = report.take_over_seconds {
        row("take-over", format!("{seconds:.1} s"));
    }
    table::text(&rows)
}

fn both(shown: impl Fn(Option<f64>) -> String, one: Option<f64>, other: Option<f64>) -> String {
    format!("{}, {}", shown(one), shown(other))
}

fn each<T: Copy>(
    row: &mut impl FnMut(&str, String),
    what: &str,
    values: &BTreeMap<String, T>,
    shown: impl Fn(T) -> String,
) {
    values.iter().for_each(|(name, value)| row(&format!("{what}{name}"), shown(*value)));
}
