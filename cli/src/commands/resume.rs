//! `oarlock resume`: lets a paused run, queue or definition go on.

use std::process::ExitCode;

use serde_json::json;

use super::pauses;
use super::recorded::{Told, record};
use crate::arguments::Subject;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn resume(client: &Client, subject: &Subject, json: bool) -> Result<ExitCode, Failure> {
    let Some(run) = subject.run else { return pauses::end(client, subject, json).await };
    let told = |_: &_| Told {
        now: format!("run {run} goes on"),
        before: format!("run {run} was not PAUSED: nothing changed"),
    };
    record(client, (run, "resume"), &json!({}), told, json).await
}
