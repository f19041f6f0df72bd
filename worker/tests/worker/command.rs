//! Tasks as commands: real ones, run by `sh`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oarlock_broker::topology;
use oarlock_protocol::Json;
use oarlock_protocol::message::{Order, TaskMessage};
use oarlock_worker::{Exec, Running, Settings};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Partition, envelope, eventually, stop, task, within};

/// A worker whose one task `job` is a command in a folder of its own.
struct Bench {
    partition: Partition,
    worker: Running,
    folder: TempDir,
}

async fn bench(command: &str) -> Bench {
    let partition = Partition::with(&["job"]).await;
    let folder = tempfile::tempdir().unwrap();
    let exec = Exec::new(command, folder.path().to_owned()).kill_grace(Duration::from_millis(100));
    let worker = partition.worker().handler("job", "job", Arc::new(exec));
    let worker = worker.build().unwrap().start().await.unwrap();
    Bench { partition, worker, folder }
}

fn job(timeout_ms: u64) -> TaskMessage {
    TaskMessage { timeout_ms, ..task("job", json!({"a": [1, "ä"]})) }
}

/// The process whose number a command has written to a file.
async fn process_in(file: &Path) -> i32 {
    let read = || std::fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'));
    eventually("the command tells its number", async || read().is_some()).await;
    read().unwrap().trim().parse().unwrap()
}

/// Whether a process runs; one that has ended and is not reaped does not.
fn runs(process: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), Some('Z' | 'X'))
    })
}

#[tokio::test]
async fn input_and_identity_go_in_and_output_comes_back() {
    let mut bench = bench(
        r#"read -r input; printf '{"input": %s, "run": "%s", "path": "%s", "attempt": %s, "execution": "%s",
           "key": "%s", "tenant": "%s", "user": "%s", "here": "%s"}' "$input" "$OARLOCK_RUN" "$OARLOCK_TASK_PATH" \
           "$OARLOCK_ATTEMPT" "$OARLOCK_EXECUTION_ID" "$OARLOCK_IDEMPOTENCY_KEY" "$OARLOCK_TENANT" "$OARLOCK_USER" "$(pwd -P)""#,
    )
    .await;
    let message = job(20_000);
    let id = bench.partition.send(&message).await;
    let output = bench.partition.output(id).await;
    assert_eq!(
        output,
        json!({
            "input": {"a": [1, "ä"]}, "run": message.execution_context.workflow_instance_id, "path": "/step",
            "attempt": 1, "execution": id, "key": message.idempotency_key, "tenant": "acme", "user": "ada",
            "here": bench.folder.path().canonicalize().unwrap(),
        })
    );
    stop(bench.worker).await;
}

#[tokio::test]
async fn a_command_that_reads_nothing_is_no_failure() {
    let mut bench = bench("exit 0").await;
    let message = TaskMessage { input: json!("x".repeat(900_000)), ..job(20_000) };
    let id = bench.partition.send(&message).await;
    assert_eq!(bench.partition.output(id).await, Json::Null);
}

#[tokio::test]
async fn a_failing_command_tells_its_status_and_its_stderr() {
    for (command, code, said) in [
        ("echo first >&2; echo 'no such row' >&2; exit 3", "EXIT_3", "no such row"),
        ("kill -9 $$", "EXIT_137", "signal 9"),
        ("frobnicate --all", "EXIT_127", "worker.toml"),
        (
            "echo 'oarlock-error: CARD_DECLINED the card has expired' >&2; exit 1",
            "CARD_DECLINED",
            "has expired",
        ),
        ("echo this is no json", "INVALID_OUTPUT", "this is no json"),
    ] {
        let mut bench = bench(command).await;
        let id = bench.partition.send(&job(20_000)).await;
        let error = bench.partition.failure(id).await;
        assert_eq!((error.code.as_str(), error.retryable), (code, true), "{command}: {error:?}");
        assert!(error.message.contains(said), "{command}: {error:?}");
        if code == "EXIT_3" {
            assert_eq!(error.details, json!({"stderr": "first\nno such row\n"}));
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let mut partition = Partition::with(&["job"]).await;
    let exec = Arc::new(Exec::new("true", "/nowhere/at/all".into()));
    let _worker = partition.worker().handler("job", "job", exec).build().unwrap().start().await.unwrap();
    let id = partition.send(&job(20_000)).await;
    let error = partition.failure(id).await;
    assert!(error.code == "EXIT_127" && error.message.contains("/nowhere/at/all"), "{error:?}");
}

#[tokio::test]
async fn the_time_limit_ends_the_whole_process_group() {
    let mut bench = bench("sh -c 'echo $$ > child; while :; do sleep 0.01; done' & wait").await;
    let id = bench.partition.send(&job(400)).await;
    let child = process_in(&bench.folder.path().join("child")).await;
    assert!(runs(child));
    let result = bench.partition.failure(id).await;
    assert_eq!((result.code.as_str(), result.retryable), ("TIMEOUT_EXECUTION", true));
    eventually("the grandchild is dead", async || !runs(child)).await;
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_ends_after_the_grace() {
    let mut bench =
        bench("trap '' TERM; echo stubborn >&2; echo $$ > child; while :; do sleep 0.01; done").await;
    let id = bench.partition.send(&job(300)).await;
    let child = process_in(&bench.folder.path().join("child")).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.details), ("TIMEOUT_EXECUTION", json!({"stderr": "stubborn\n"})));
    eventually("the command is dead", async || !runs(child)).await;
}

#[tokio::test]
async fn sigterm_comes_first_so_that_a_command_can_clean_up() {
    let mut bench =
        bench("trap 'echo > cleaned; exit 1' TERM; echo $$ > child; while :; do sleep 0.01; done").await;
    let id = bench.partition.send(&job(60_000)).await;
    let control = bench.partition.sign().await.control_queue.unwrap();
    bench.partition.order(&control, id, Order::Cancel { reason: "enough".into() }).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.message.as_str()), ("CANCELLED", "enough"));
    assert!(bench.folder.path().join("cleaned").exists());
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_does_not_hang_the_task() {
    // It leaves the group, so no signal reaches it, and holds stdout for longer than the test waits.
    let mut bench = bench("setsid sleep 60 & echo $! > child; echo '{\"done\": true}'").await;
    let begun = Instant::now();
    let id = bench.partition.send(&job(60_000)).await;
    assert_eq!(bench.partition.output(id).await, json!({"done": true}));
    assert!(begun.elapsed() < Duration::from_secs(20));
    let child = process_in(&bench.folder.path().join("child")).await;
    std::process::Command::new("kill").arg(child.to_string()).status().unwrap();
}

#[tokio::test]
async fn nothing_of_a_command_outlives_it() {
    let mut bench = bench("sleep 60 & echo $! > child; echo 1").await;
    let id = bench.partition.send(&job(60_000)).await;
    let child = process_in(&bench.folder.path().join("child")).await;
    assert_eq!(bench.partition.output(id).await, json!(1));
    eventually("the child is dead", async || !runs(child)).await;
}

#[tokio::test]
async fn a_flood_of_output_is_stopped_early() {
    let flood = "i=0; while [ $i -lt 1600 ]; do i=$((i+1)); echo $i >> blocks; head -c 65536 /dev/zero; done";
    let mut bench = bench(flood).await;
    let id = bench.partition.send(&job(60_000)).await;
    let error = bench.partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("PAYLOAD_TOO_LARGE", false), "{error:?}");
    let blocks = std::fs::read_to_string(bench.folder.path().join("blocks")).unwrap().lines().count();
    assert!(blocks < 40, "{blocks} blocks of 64 KiB were written, of which 16 are allowed");
}

#[tokio::test]
async fn too_much_output_is_noticed_after_the_exit_too() {
    // It leaves the group and writes when the command is gone, as the last of an output may come.
    let late = "touch left; while kill -0 $leader; do :; done; head -c 2000000 /dev/zero";
    let command = format!("export leader=$$; setsid sh -c '{late}' & until [ -e left ]; do :; done");
    let mut bench = bench(&command).await;
    let id = bench.partition.send(&job(60_000)).await;
    assert_eq!(bench.partition.failure(id).await.code, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_flood_of_stderr_harms_nobody() {
    let mut bench = bench("i=0; while [ $i -lt 200 ]; do i=$((i+1)); head -c 65536 /dev/zero | tr '\\0' x >&2; done; echo; echo end >&2; exit 2").await;
    let id = bench.partition.send(&job(60_000)).await;
    let error = bench.partition.failure(id).await;
    assert_eq!(error.code, "EXIT_2");
    let stderr = error.details["stderr"].as_str().unwrap();
    assert!(stderr.len() <= 8192 && stderr.ends_with("end\n"), "{}", stderr.len());
}

#[tokio::test]
async fn processor_time_is_told() {
    let mut bench = bench("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo 1").await;
    let id = bench.partition.send(&job(60_000)).await;
    let metrics = bench.partition.result(id).await.metrics;
    assert!(metrics.cpu_time_ms >= 20, "{metrics:?}");
    assert!(metrics.cpu_time_ms <= metrics.execution_time_ms + 20, "{metrics:?}");
}

#[tokio::test]
async fn peak_memory_is_told_where_it_is_above_the_workers_own() {
    let mut bench =
        bench("awk 'BEGIN { s = \"x\"; while (length(s) < 200000000) s = s s; print length(s) }'").await;
    let id = bench.partition.send(&job(60_000)).await;
    let metrics = bench.partition.result(id).await.metrics;
    assert!((200_000_000..2_000_000_000).contains(&metrics.memory_bytes), "{metrics:?}");
}

#[tokio::test]
async fn a_dropped_worker_takes_its_commands_with_it() {
    let bench = bench("echo $$ > child; while :; do sleep 0.01; done").await;
    bench.partition.send(&job(60_000)).await;
    let child = process_in(&bench.folder.path().join("child")).await;
    drop(bench.worker);
    eventually("the command is dead", async || !runs(child)).await;
}

#[tokio::test]
async fn draining_ends_commands_and_gives_their_tasks_back() {
    let mut bench = bench("echo $$ > child; while [ ! -e finish ]; do sleep 0.01; done; echo 7").await;
    let id = bench.partition.send(&job(60_000)).await;
    let child = process_in(&bench.folder.path().join("child")).await;
    assert_eq!(within(bench.worker.drain(Duration::from_millis(10))).await.given_back, 1);
    eventually("the command is dead", async || !runs(child)).await;
    std::fs::write(bench.folder.path().join("finish"), "").unwrap();
    let exec = Exec::new("echo 7", bench.folder.path().to_owned());
    let again = bench.partition.worker().handler("job", "job", Arc::new(exec)).build().unwrap();
    let _again = again.start().await.unwrap();
    assert_eq!(bench.partition.result(id).await.deliveries, 2);
}

#[tokio::test]
async fn a_worker_toml_makes_a_worker_whose_commands_run_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    let text =
        "slots = 2\n[exec.count]\ncommand = \"sh count.sh\"\nqueue = \"job\"\n[exec]\nother = \"false\"\n";
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("count.sh"), "wc -l < count.sh\n").unwrap();
    let mut partition = Partition::with(&["job"]).await;
    let worker = Settings::load(&file).unwrap().into_worker(Arc::new(partition.broker.clone())).unwrap();
    let _worker = worker.build().unwrap().start().await.unwrap();
    let message = task("count", Json::Null);
    partition.publish(topology::tasks("job"), envelope(&message)).await;
    assert_eq!(partition.output(message.execution_context.execution_id.unwrap()).await, json!(1));
}
