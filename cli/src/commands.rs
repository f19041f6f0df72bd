//! The subcommands: one file each.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use oarlock_definition::Report;
use oarlock_protocol::Json;
use oarlock_protocol::definition::WorkflowDefinition;
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command};
use crate::client::Client;
use crate::configuration::{Configuration, Log};
use crate::exit::Failure;

mod apply;
mod cancel;
mod dev;
mod get;
mod history;
mod list;
mod run;
mod start;
mod validate;

/// Does what the arguments ask.
pub(crate) async fn execute(arguments: Arguments) -> Result<ExitCode, Failure> {
    let configuration = Configuration::load(&arguments.global)?;
    begin_logging(&configuration.log)?;
    let json = arguments.global.json;
    let client = || Client::new(&configuration);
    match arguments.command {
        Command::Run(run) => run::run(&configuration, run, json).await,
        Command::Dev(dev) => dev::dev(&configuration, dev, json).await,
        Command::Validate(validate) => validate::validate(&validate, json),
        Command::Apply(files) => apply::apply(&client()?, &files, json).await,
        Command::Start(start) => start::start(&client()?, start, json).await,
        Command::Get(name) => get::get(&client()?, &name, json).await,
        Command::List(list) => list::list(&client()?, list, json).await,
        Command::Cancel(cancel) => cancel::cancel(&client()?, cancel, json).await,
        Command::History(name) => history::history(&client()?, &name, json).await,
    }
}

fn begin_logging(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.level).map_err(|e| {
        Failure::usage(format!("log.level '{}' is wrong: {e}; write warn, info or debug", log.level))
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
    let (text, from) = match input {
        None => return Ok(Json::Object(serde_json::Map::new())),
        Some(input) => match input.strip_prefix('@') {
            Some(file) => (read_text(Path::new(file))?, file.to_owned()),
            None => (input.to_owned(), "--input".to_owned()),
        },
    };
    let value: Json = serde_json::from_str(&text).map_err(|e| {
        Failure::usage(format!(
            "{from} is no JSON: {e}; write --input '{{\"name\": \"value\"}}' or --input @FILE"
        ))
    })?;
    if value.is_object() { Ok(value) } else { Err(Failure::usage(format!("{from} is no JSON object"))) }
}
