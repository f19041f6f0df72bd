//! `oarlock signal`: tells a run something that one of its steps waits for, now or later.

use std::process::ExitCode;

use oarlock_protocol::Json;
use serde_json::json;

use super::read_json;
use super::recorded::{Told, record};
use crate::arguments::Signal;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn signal(client: &Client, arguments: Signal, json: bool) -> Result<ExitCode, Failure> {
    let Signal { run, name, payload, id } = arguments;
    let payload = payload.map(|payload| read_json("--payload", &payload)).transpose()?;
    let body = json!({"name": name, "payload": payload, "id": id});
    let told = |answer: &Json| {
        let id = answer.get("signalId").and_then(Json::as_str).unwrap_or_default();
        Told {
            now: format!("run {run} has the signal '{name}' (id {id})"),
            before: format!("run {run} had a signal with the id {id} before: nothing changed"),
        }
    };
    record(client, (run, "signals"), &body, told, json).await
}
