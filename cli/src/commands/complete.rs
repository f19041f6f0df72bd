//! `oarlock complete`: ends a task as done.

use std::process::ExitCode;

use serde_json::json;

use super::read_json;
use super::recorded::{Told, record};
use crate::arguments::{Complete, TaskName};
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn complete(client: &Client, arguments: Complete, json: bool) -> Result<ExitCode, Failure> {
    let Complete { task: TaskName { run, path, execution }, output } = arguments;
    let output = output.map(|output| read_json("--output", &output)).transpose()?;
    let body = json!({"taskPath": path, "output": output, "executionId": execution});
    let told = |_: &_| Told {
        now: format!("{path} of run {run} is done"),
        before: format!("{path} of run {run} had ended before: nothing changed"),
    };
    record(client, (run, "complete"), &body, told, json).await
}
