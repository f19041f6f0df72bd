//! Figures: how long a short run takes, and what processes cost that have nothing to do. Printed; the bounds are wide, because the
//! machine is shared and the build is one for debugging.

use std::time::{Duration, Instant};

use oarlock_protocol::Timestamp;
use serde_json::Value as Json;

use super::client::Client;
use super::harness::{Fleet, PARTITIONS, ended, owned, run_of, start};

const SHORT: &str =
    "{id: short, version: 1, tasks: [{id: a, task: quick, inputMappings: {n: '${ input.n }'}}]}";
const RUNS: usize = 50;
/// So long is watched what an idle process costs.
const IDLE: Duration = Duration::from_secs(10);
/// Of a core. A release build takes less than a hundredth.
const MOST_IDLE: f64 = 0.03;
/// The median from POST to done on a machine with nothing else to do is a tenth of it.
const MOST_MEDIAN: Duration = Duration::from_millis(300);

#[test]
fn pain_25_a_short_run_takes_milliseconds_and_idle_processes_cost_next_to_nothing() {
    let mut fleet = Fleet::of_two();
    fleet.register(SHORT);
    fleet.add_worker(4).word_after("takes tasks from ");
    let clients = fleet.clients();
    let shares = owned(&clients[0], 2).unwrap();
    let keys_here = |here: bool| {
        let keys = (0..).map(|n| format!("key-{n}"));
        let of = move |key: &String| shares.contains(&run_of("short", key).partition(PARTITIONS)) == here;
        keys.filter(of).take(RUNS + 1)
    };
    for (way, here) in [("the owner", true), ("another node", false)] {
        let keys: Vec<_> = keys_here.clone()(here).collect();
        let median = measure(&clients[0], way, &keys);
        assert!(median < MOST_MEDIAN, "through {way}: {median:?}");
    }
    let programs = || fleet.orchestrators.iter().chain(&fleet.workers);
    let before: Vec<_> = programs().map(|program| cpu_time(program.pid())).collect();
    std::thread::sleep(IDLE);
    for (program, before) in programs().zip(before) {
        let share = (cpu_time(program.pid()) - before).as_secs_f64() / IDLE.as_secs_f64();
        println!("idle {}: {:.2} % of a core", program.name, share * 100.0);
        assert!(share < MOST_IDLE, "{}: {share}", program.name);
    }
}

/// Starts short runs one after the other and prints how long they took; the median as the client sees it.
fn measure(client: &Client, way: &str, keys: &[String]) -> Duration {
    let (mut seen, mut recorded) = (Vec::new(), Vec::new());
    for (n, key) in keys.iter().enumerate() {
        let begun = Instant::now();
        let run = ended(client, &start(client, "short", key, n));
        let lasted = begun.elapsed();
        assert_eq!(run["status"], "COMPLETED", "{run:#}");
        // The first finds caches empty.
        if n > 0 {
            seen.push(lasted);
            recorded.push(own_time(&run));
        }
    }
    let [seen, recorded] = [seen, recorded].map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    });
    let text = |(median, worst): (Duration, Duration)| {
        format!("p50 {:.1} ms, p99 {:.1} ms", median.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3)
    };
    println!(
        "{} short runs through {way}: by the client {}; by the run {}",
        keys.len() - 1,
        text(seen),
        text(recorded)
    );
    seen.0
}

fn own_time(run: &Json) -> Duration {
    let time = |name: &str| -> Timestamp { serde_json::from_value(run[name].clone()).unwrap() };
    time("endTime").since(time("createdAt")).into()
}

/// The processor time that a process has used, user and system.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold anything; the state follows it, then eleven fields before the two.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts these in hundredths, whatever its own clock.
    Duration::from_millis(ticks * 10)
}
