//! The subcommands: one file each.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oarlock_broker::rabbitmq::LIBRARY_LOG;
use oarlock_definition::Report;
use oarlock_protocol::Json;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_worker::settings::FILE;
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command};
use crate::client::Client;
use crate::configuration::{Configuration, Log, Source};
use crate::exit::Failure;

mod apply;
mod bench;
mod cancel;
mod complete;
mod dev;
mod explain;
mod fail;
mod get;
mod graph;
mod history;
mod list;
mod orchestrator;
mod parked;
mod pause;
mod pauses;
mod ready;
mod recorded;
mod resume;
mod retry;
mod run;
mod signal;
mod start;
mod test;
mod validate;
mod worker;

/// What is logged where the settings name no level.
const LEVEL: &str = "warn";
/// The same of a fleet's processes: who took what over, and when a server came back, has to be found later.
const LEVEL_OF_FLEET: &str = "warn,oarlock=info";

/// Does what the arguments ask.
pub(crate) async fn execute(arguments: Arguments) -> Result<ExitCode, Failure> {
    let given = arguments.global.config.clone();
    // What the flag names to `worker` is another kind of file than to all others.
    let worker_file = given.clone().or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.is_file()));
    let is_worker = matches!(arguments.command, Command::Worker(_));
    let source = if is_worker {
        worker_file.as_deref().map_or(Source::None, Source::Worker)
    } else {
        given.as_deref().map_or(Source::None, Source::Settings)
    };
    let configuration = Configuration::load(&arguments.global, source)?;
    let is_of_fleet = is_worker || matches!(arguments.command, Command::Orchestrator(_));
    begin_logging(&configuration.log, if is_of_fleet { LEVEL_OF_FLEET } else { LEVEL })?;
    let json = arguments.global.json;
    let client = || Client::new(&configuration);
    match arguments.command {
        Command::Run(run) => run::run(&configuration, run, json).await,
        Command::Dev(dev) => dev::dev(&configuration, dev, json).await,
        Command::Validate(validate) => validate::validate(&validate, json),
        Command::Test(given) => test::test(&configuration, &given, json),
        Command::Graph(given) => graph::graph(&given, json),
        Command::Apply(files) => apply::apply(&client()?, &files, json).await,
        Command::Start(start) => start::start(&client()?, start, json).await,
        Command::Get(name) => get::get(&client()?, &name, json).await,
        Command::List(list) => list::list(&client()?, list, json).await,
        Command::Cancel(cancel) => cancel::cancel(&client()?, cancel, json).await,
        Command::History(name) => history::history(&client()?, &name, json).await,
        Command::Explain(name) => explain::explain(&client()?, &name, json).await,
        Command::Signal(signal) => signal::signal(&client()?, signal, json).await,
        Command::Complete(complete) => complete::complete(&client()?, complete, json).await,
        Command::Fail(fail) => fail::fail(&client()?, fail, json).await,
        Command::Pause(what) => pause::pause(&client()?, &what, json).await,
        Command::Resume(what) => resume::resume(&client()?, &what, json).await,
        Command::Pauses => pauses::list(&client()?, json).await,
        Command::Retry(name) => retry::retry(&client()?, &name, json).await,
        Command::Orchestrator(given) => orchestrator::orchestrator(&configuration, given, json).await,
        Command::Worker(given) => worker::worker(&configuration, worker_file, given, json).await,
        Command::Parked(what) => parked::parked(&client()?, what, json).await,
        Command::Bench(given) => bench::bench(&configuration, &arguments.global, given).await,
        Command::Ready => ready::ready(&client()?, json).await,
    }
}

/// Logs as the settings say; where they name no level, at `default`.
fn begin_logging(log: &Log, default: &str) -> Result<(), Failure> {
    let level = if log.level.is_empty() { default } else { &log.level };
    // Unless somebody asks for it by name.
    let quiet = if level.contains(LIBRARY_LOG) { String::new() } else { format!(",{LIBRARY_LOG}=off") };
    let filter = EnvFilter::try_new(format!("{level}{quiet}")).map_err(|e| {
        Failure::usage(format!("log.level '{level}' is wrong: {e}; write warn, info or debug"))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if log.json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).init();
    }
    Ok(())
}

/// Writes a line to stdout. Where nobody reads it (a closed pipe) there is nothing left to do.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n')).ok();
}

/// Writes a line to stderr.
pub(crate) fn note(text: &str) {
    writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n')).ok();
}

/// Prints a value as JSON.
pub(crate) fn say_json(value: &impl serde::Serialize) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Reads a text file; `-` is stdin.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let cannot = |reason: String| Failure::usage(format!("{} cannot be read: {reason}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(|e| cannot(e.to_string()))?;
    } else {
        bytes = std::fs::read(path).map_err(|e| cannot(e.to_string()))?;
    }
    String::from_utf8(bytes).map_err(|e| cannot(format!("it is no UTF-8 text: {e}")))
}

/// Reads a definition. Its warnings go to stderr; its errors are the failure.
pub(crate) fn read_definition(path: &Path) -> Result<WorkflowDefinition, Failure> {
    check_definition(path, &read_text(path)?)
}

/// As `read_definition`, of a text that was read from `path`.
pub(crate) fn check_definition(path: &Path, text: &str) -> Result<WorkflowDefinition, Failure> {
    let report = oarlock_definition::read(&path.display().to_string(), text);
    let rendered = report.render(std::io::stderr().is_terminal());
    let Report { definition, diagnostics } = report;
    match definition {
        Some(definition) => {
            if !diagnostics.is_empty() {
                note(&rendered);
            }
            Ok(definition)
        }
        None => {
            note(&rendered);
            Err(Failure::usage(format!("{} is no valid definition", path.display())))
        }
    }
}

/// Reads `--input`: JSON, `@FILE`, or `@-` for stdin; an empty object where absent.
pub(crate) fn read_input(input: Option<&str>) -> Result<Json, Failure> {
    let Some(input) = input else { return Ok(Json::Object(serde_json::Map::new())) };
    let value = read_json("--input", input)?;
    if value.is_object() {
        return Ok(value);
    }
    let from = input.strip_prefix('@').unwrap_or("--input");
    Err(Failure::usage(format!("{from} is no JSON object")))
}

/// Reads the value of a flag: JSON, `@FILE`, or `@-` for stdin.
pub(crate) fn read_json(flag: &str, value: &str) -> Result<Json, Failure> {
    let (text, from) = match value.strip_prefix('@') {
        Some(file) => (read_text(Path::new(file))?, file),
        None => (value.to_owned(), flag),
    };
    serde_json::from_str(&text).map_err(|e| {
        Failure::usage(format!(
            "{from} is no JSON: {e}; write {flag} '{{\"name\": \"value\"}}' or {flag} @FILE"
        ))
    })
}
