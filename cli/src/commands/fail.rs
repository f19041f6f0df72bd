//! `oarlock fail`: ends the attempt of a task as failed.

use std::process::ExitCode;

use serde_json::json;

use super::read_json;
use super::recorded::{Told, record};
use crate::arguments::{Fail, TaskName};
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn fail(client: &Client, arguments: Fail, json: bool) -> Result<ExitCode, Failure> {
    let Fail { task: TaskName { run, path, execution }, code, message, details, retryable } = arguments;
    let details = details.map(|details| read_json("--details", &details)).transpose()?;
    let error = json!({"code": code, "message": message, "details": details, "retryable": retryable});
    let body = json!({"taskPath": path, "error": error, "executionId": execution});
    let told = |_: &_| Told {
        now: format!("the attempt of {path} of run {run} has failed with {code}"),
        before: format!("the attempt of {path} of run {run} had ended before: nothing changed"),
    };
    record(client, (run, "fail"), &body, told, json).await
}
