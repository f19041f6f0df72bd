//! What processes have used: processor time and memory, as Linux tells it.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::time::Duration;

/// The clock ticks of a second, in which Linux counts processor time for users.
const TICKS: f64 = 100.0;

/// A process that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// What it is, for people.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Processor time in seconds.
    pub cpu_seconds: f64,
    /// The greatest resident memory so far, in bytes.
    pub peak_bytes: u64,
    /// The resident memory now, in bytes.
    pub resident_bytes: u64,
}

impl Watched {
    /// What it has used; nothing where the system does not tell.
    pub fn used(&self) -> Option<Used> {
        let stat = read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let status = read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        Some(Used {
            cpu_seconds: cpu_seconds(&stat)?,
            peak_bytes: kibibytes(&status, "VmHWM:")?,
            resident_bytes: kibibytes(&status, "VmRSS:")?,
        })
    }
}

/// The share of a core that each uses within the next so many seconds.
pub async fn idle(watched: &[Watched], seconds: u64) -> BTreeMap<String, f64> {
    let used = || watched.iter().map(|one| one.used().unwrap_or_default().cpu_seconds).collect::<Vec<f64>>();
    let before = used();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let share = |(before, after): (f64, f64)| (after - before) / seconds.max(1) as f64;
    let shares = before.into_iter().zip(used()).map(share);
    watched.iter().map(|one| one.name.clone()).zip(shares).collect()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in brackets may hold spaces.
    let fields = stat.rsplit(')').next()?.split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS)
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let me = Watched { name: "me".to_owned(), pid: std::process::id() };
        if cfg!(target_os = "linux") {
            let used = me.used().unwrap();
            assert!(used.peak_bytes >= used.resident_bytes && used.resident_bytes > 100_000, "{used:?}");
        }
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(kibibytes("VmHWM:\t    12 kB\nVmRSS:\t 3 kB", "VmRSS:"), Some(3072));
    }
}
