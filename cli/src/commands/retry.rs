//! `oarlock retry`: does again what did not complete in a run that ended.

use std::process::ExitCode;

use serde_json::json;

use super::recorded::{Told, record};
use crate::arguments::RunName;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn retry(client: &Client, arguments: &RunName, json: bool) -> Result<ExitCode, Failure> {
    let run = arguments.run;
    let told = |_: &_| Told {
        now: format!("run {run} goes on: what did not complete is done again"),
        before: format!("run {run} is under way: nothing changed"),
    };
    record(client, (run, "retry"), &json!({}), told, json).await
}
