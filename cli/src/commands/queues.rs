//! `oarlock queues`: what waits in each task queue, how fast it moves, and who works on it.

use std::process::ExitCode;

use oarlock_protocol::Json;

use super::{note, say, say_json};
use crate::arguments::Queues;
use crate::client::Client;
use crate::exit::Failure;
use crate::show::table;

pub(super) async fn queues(client: &Client, arguments: Queues, json: bool) -> Result<ExitCode, Failure> {
    let mut query = Vec::new();
    query.extend(arguments.queue.map(|queue| ("queue", queue)));
    query.extend(arguments.of.map(|tenant| ("tenant", tenant)));
    let view: Json = client.get("/v1/queues", &query).await?;
    if json {
        say_json(&view);
        return Ok(ExitCode::SUCCESS);
    }
    let queues = list(&view, "queues");
    if queues.is_empty() {
        say("no queue has work or workers");
    } else {
        say(&table::text(&rows(queues, arguments.tenants)));
    }
    for queue in queues {
        if let Some(difference) = queue.get("difference").and_then(Json::as_str) {
            note(&format!("{}: {difference}", text(queue, "queue")));
        }
    }
    let untold: Vec<String> = list(&view, "untoldPartitions").iter().map(Json::to_string).collect();
    if !untold.is_empty() {
        note(&format!(
            "partitions {} are not counted: no orchestrator tells of them (`oarlock ready` says why)",
            untold.join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(queues: &[Json], tenants: bool) -> Vec<Vec<String>> {
    let header = [
        "QUEUE",
        "BACKLOG",
        "READY",
        "PUBLISHED",
        "IN FLIGHT",
        "DUE",
        "OLDEST",
        "IN/S",
        "OUT/S",
        "FAILED/S",
        "TAKES",
        "WORKERS",
        "SLOTS",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for queue in queues {
        rows.push(vec![
            text(queue, "queue").to_owned(),
            count(queue, "backlog"),
            count(queue, "ready"),
            count(queue, "published"),
            count(queue, "inFlight"),
            count(queue, "due"),
            time(queue, "oldestWaitMs"),
            rate(queue, "arrivalsPerSecond"),
            rate(queue, "completionsPerSecond"),
            rate(queue, "failuresPerSecond"),
            time(queue, "serviceMs"),
            count(queue, "workers"),
            count(queue, "slots"),
        ]);
        let of = list(queue, "tenants").iter().filter(|_| tenants);
        rows.extend(of.map(|tenant| {
            let open = tenant.get("open").and_then(Json::as_u64).unwrap_or(0);
            let due = tenant.get("due").and_then(Json::as_u64).unwrap_or(0);
            let ready = tenant.get("ready").and_then(Json::as_u64).unwrap_or(0);
            vec![
                format!("  {}", text(tenant, "tenant")),
                (ready + open + due).to_string(),
                ready.to_string(),
                format!("{open} open"),
                String::new(),
                due.to_string(),
                time(tenant, "oldestWaitMs"),
            ]
        }));
    }
    rows
}

fn list<'a>(value: &'a Json, key: &str) -> &'a [Json] {
    value.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn count(value: &Json, key: &str) -> String {
    value.get(key).and_then(Json::as_u64).unwrap_or(0).to_string()
}

fn time(value: &Json, key: &str) -> String {
    value.get(key).and_then(Json::as_u64).map_or_else(|| "-".to_owned(), table::milliseconds)
}

fn rate(value: &Json, key: &str) -> String {
    let rate = value.get(key).and_then(Json::as_f64).unwrap_or(0.0);
    if rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}
