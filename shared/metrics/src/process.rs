//! What a process is and what it uses, read from the system at the scrape: a few microseconds.

use std::fmt;
use std::fs::{read_dir, read_to_string};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::Sheet;

/// Tells which release a process is, and what it does.
#[derive(Debug)]
pub struct BuildInfo {
    /// What the process does: `orchestrator` or `worker`.
    pub role: &'static str,
}

impl Collector for BuildInfo {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("role", self.role)];
        let help = "Always 1; its labels tell the release of the process and what it does";
        Sheet::new(encoder).gauges("build_info", help, [(labels, 1.0)])
    }
}

/// Tells what this process uses. Where the system tells nothing under /proc only its begin is known.
#[derive(Debug)]
pub struct Process {
    began: f64,
}

/// What the system tells of a process.
struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
}

impl Process {
    /// This process, which began just now.
    pub fn begin() -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Self { began }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut sheet = Sheet::new(encoder);
        let usage = read_to_string("/proc/self/stat").ok().and_then(|stat| Usage::read(&stat));
        let (cpu, resident) = usage.map(|usage| (usage.cpu_seconds, usage.resident_bytes)).unzip();
        let none = |value: Option<f64>| value.map(|value| ([], value));
        let help = "Processor time that the process has used, in seconds";
        sheet.counters::<0>("process_cpu_seconds", help, none(cpu))?;
        let help = "Memory of the process that is in RAM, in bytes";
        sheet.gauges::<0>("process_resident_memory_bytes", help, none(resident))?;
        let help = "Open files and connections of the process";
        let open = read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64);
        sheet.gauges::<0>("process_open_fds", help, none(open))?;
        let help = "When the process began, in seconds since 1970";
        sheet.gauge("process_start_time_seconds", help, self.began)
    }
}

impl Usage {
    /// Reads a line of /proc/self/stat. The name in it stands in brackets and may hold anything.
    fn read(stat: &str) -> Option<Self> {
        let (_, after) = stat.rsplit_once(") ")?;
        // The first of them is the third of the line.
        let fields: Vec<&str> = after.split(' ').collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as f64;
        Some(Self { cpu_seconds: (number(14)? + number(15)?) / ticks, resident_bytes: number(24)? * page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_a_process_is_read_past_any_name() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 99 1000 25 0\n";
        let usage = Usage::read(stat).unwrap();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(usage.cpu_seconds, 200.0 / ticks);
        assert_eq!(usage.resident_bytes, 25.0 * rustix::param::page_size() as f64);
        assert!(Usage::read("nothing of that kind").is_none());
    }
}
