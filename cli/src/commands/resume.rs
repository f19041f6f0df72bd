//! `oarlock resume`: lets a PAUSED run go on.

use std::process::ExitCode;

use serde_json::json;

use super::recorded::{Told, record};
use crate::arguments::RunName;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn resume(client: &Client, arguments: &RunName, json: bool) -> Result<ExitCode, Failure> {
    let run = arguments.run;
    let told = |_: &_| Told {
        now: format!("run {run} goes on"),
        before: format!("run {run} was not PAUSED: nothing changed"),
    };
    record(client, (run, "resume"), &json!({}), told, json).await
}
