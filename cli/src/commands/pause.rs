//! `oarlock pause`: lets a run, a queue or a definition dispatch nothing more until it is resumed.

use std::process::ExitCode;

use serde_json::json;

use super::pauses;
use super::recorded::{Told, record};
use crate::arguments::Pause;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn pause(client: &Client, arguments: &Pause, json: bool) -> Result<ExitCode, Failure> {
    let Some(run) = arguments.subject.run else {
        return pauses::begin(client, &arguments.subject, arguments.reason.as_deref(), json).await;
    };
    let told = |_: &_| Told {
        now: format!(
            "run {run} is PAUSED: nothing more is dispatched, and what is open still answers; `oarlock resume {run}` lets it go on"
        ),
        before: format!("run {run} was PAUSED before"),
    };
    record(client, (run, "pause"), &json!({}), told, json).await
}
