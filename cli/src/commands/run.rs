//! `oarlock run`: one workflow in this process, shown until it ends.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oarlock_engine::Plan;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::WorkflowInstance;
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::{FORMAT, RunId, RunKey};

use super::{note, read_definition, read_input, say, say_json};
use crate::arguments::Run;
use crate::configuration::Configuration;
use crate::embedded::{Embedded, Hands};
use crate::exit::{self, Failure};
use crate::show::{progress, summary};
use crate::signals::Signals;

/// One look for the end of a run; who waits longer looks again.
const LOOK: Duration = Duration::from_secs(3600);

pub(super) async fn run(
    configuration: &Configuration,
    arguments: Run,
    json: bool,
) -> Result<ExitCode, Failure> {
    let definition = read_definition(&arguments.file)?;
    let definitions = with_children(&definition, &arguments)?;
    let input = read_input(arguments.input.as_deref())?;
    let folder =
        arguments.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut hands = Hands::load(&arguments.handlers, folder, configuration)?;
    if let (Some(file), false) = (&hands.file, json) {
        note(&format!("worker settings: {}", file.display()));
    }
    let mut missing: Vec<String> = definitions
        .iter()
        .flat_map(|definition| hands.fit(definition, arguments.priority, configuration))
        .collect();
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        return Err(Failure::usage(format!(
            "nothing here executes {}: name a command under [exec] in {}, or give --exec {}='COMMAND'",
            missing.join(", "),
            folder.join("worker.toml").display(),
            missing.first().map_or("NAME", String::as_str),
        )));
    }
    let embedded = Embedded::start(configuration, None, hands, definitions).await?;
    let (id, principal) = (RunId::random(), configuration.principal());
    let shown = progress::Progress::begin(
        &definition,
        RunKey::new(principal.tenant_id.as_str(), id),
        &embedded.node,
        !json && std::io::stderr().is_terminal(),
        json,
    );
    let message = StartMessage {
        parent: None,
        traceparent: super::traceparent(),
        format: FORMAT,
        workflow_instance_id: id,
        workflow_definition_id: definition.id.clone(),
        workflow_definition_version: Some(definition.version),
        input,
        idempotency_key: None,
        correlation_id: None,
        priority: arguments.priority,
        security_context: principal,
    };
    let ended = start_and_wait(&embedded, message, arguments.timeout.map(Duration::from), json).await;
    shown.end().await;
    // Who leaves early waits for nothing more.
    let run = ended?;
    embedded.stop().await;
    if json {
        say_json(&run);
    } else {
        note(&format!("\n{}", summary::text(&run)));
        if let Some(output) = run.output.as_ref().filter(|output| !output.is_null()) {
            say(&serde_json::to_string_pretty(output).unwrap_or_default());
        }
    }
    Ok(exit::of_run(run.status))
}

/// The definition, and those of the workflows that it starts.
fn with_children(
    definition: &WorkflowDefinition,
    arguments: &Run,
) -> Result<Vec<WorkflowDefinition>, Failure> {
    let mut definitions = vec![definition.clone()];
    for child in &arguments.children {
        definitions.push(read_definition(child)?);
    }
    let unknown = unknown_children(&definitions);
    if let Some(first) = unknown.first() {
        return Err(Failure::usage(format!(
            "no definition of {} is given, which a `workflow` step starts: oarlock run {} {first}.yaml",
            unknown.join(", "),
            arguments.file.display(),
        )));
    }
    Ok(definitions)
}

/// The workflows that steps start, and of which there is no definition.
fn unknown_children(definitions: &[WorkflowDefinition]) -> Vec<String> {
    let mut unknown = Vec::new();
    for definition in definitions {
        let Ok(plan) = Plan::compile(Arc::new(definition.clone())) else { continue };
        let works = plan.nodes().filter_map(|node| node.work());
        for child in works.filter_map(|work| work.child.as_ref()) {
            let known = definitions.iter().any(|definition| definition.id == child.id);
            if !known && !unknown.contains(&child.id) {
                unknown.push(child.id.clone());
            }
        }
    }
    unknown
}

async fn start_and_wait(
    embedded: &Embedded,
    message: StartMessage,
    timeout: Option<Duration>,
    json: bool,
) -> Result<WorkflowInstance, Failure> {
    let node = &embedded.node;
    let mut signals = Signals::hear()?;
    let started = node.start_run(message).await.map_err(|e| Failure::usage(e.to_string()))?;
    let ended = tokio::select! {
        ended = wait(embedded, &started.run) => return ended,
        () = tokio::time::sleep(timeout.unwrap_or(Duration::MAX)) => "it took longer than --timeout",
        told = signals.told_to_end() => told,
    };
    if !json {
        note(&format!("ending the run: {ended} (Ctrl-C leaves at once)"));
    }
    let cancelled = node.cancel(started.run.clone(), ended.to_owned()).await;
    cancelled.map_err(|e| Failure::unreachable(e.to_string()))?;
    tokio::select! {
        run = wait(embedded, &started.run) => run,
        _ = signals.told_to_end() => Err(Failure::too_long("left before the run had ended")),
    }
}

async fn wait(embedded: &Embedded, run: &RunKey) -> Result<WorkflowInstance, Failure> {
    loop {
        match embedded.node.wait(run, LOOK).await {
            Ok(Some(run)) if run.status.is_terminal() => return Ok(run),
            Ok(Some(_)) => {}
            Ok(None) => return Err(Failure::unreachable(format!("run {run} is gone"))),
            Err(error) => return Err(Failure::unreachable(error.to_string())),
        }
    }
}
