//! A task that lasts longer than the broker lets a delivery wait for its acknowledgement.

use std::time::{Duration, Instant};

use oarlock_test_servers::RabbitMq;
use oarlock_test_servers::rabbitmq::Options;

use super::harness::{Fleet, ended_within, start};

/// The shortest that RabbitMQ keeps to: it looks once a minute.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(60);
const LASTS: u64 = 180;

#[test]
fn pain_01_a_task_outlasts_the_consumer_timeout_of_the_broker() {
    let options = Options { consumer_timeout: Some(CONSUMER_TIMEOUT), ..Options::default() };
    let rabbit = RabbitMq::start(options).unwrap();
    let mut fleet = Fleet::over(rabbit.uri(), None);
    fleet.add_orchestrators(1);
    fleet.register("{id: long, version: 1, tasks: [{id: a, task: long}], output: '${ tasks.a.output }'}");
    // It ends with the folder too, should the test be killed.
    let folder = fleet.path("");
    let long = format!(
        "long={}; left={LASTS}; while [ $left -gt 0 ] && [ -d {} ]; do sleep 1; left=$((left - 1)); done; echo true",
        fleet.writes_log(),
        folder.display()
    );
    fleet.add_worker_with(&["--exec", &long]);
    let other = fleet.add_worker_with(&["--exec", &long]);
    other.word_after("takes tasks from ");
    let client = fleet.orchestrators[0].client();
    let begun = Instant::now();
    let run = ended_within(&client, &start(&client, "long", "k", 1), Duration::from_secs(LASTS + 60));
    assert!(begun.elapsed() >= Duration::from_secs(LASTS));
    assert_eq!((&run["status"], &run["output"]), (&"COMPLETED".into(), &true.into()), "{run:#}");
    let task = &run["taskInstances"][0];
    let [attempt] = &task["attempts"].as_array().unwrap()[..] else { panic!("{task:#}") };
    assert_eq!(attempt["deliveries"], 1, "{task:#}");
    assert!(attempt["earlierWorkers"].is_null(), "{task:#}");
    assert_eq!(fleet.executions().len(), 1);
    let log = std::fs::read_to_string(rabbit.data_folder().join("server.log")).unwrap();
    let struck: Vec<_> = log.lines().filter(|line| line.contains("delivery acknowledgement")).collect();
    assert!(struck.is_empty(), "the broker's time limit has struck: {struck:?}");
}
