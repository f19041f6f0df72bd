//! The `oarlock` command. Thin: reads arguments and settings, calls the crates, shows what they answer.

mod arguments;
mod client;
mod commands;
mod configuration;
mod embedded;
mod exit;
mod show;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.global.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Failure::usage(format!("the runtime cannot start: {error}")).report(json),
    };
    let ended = runtime.block_on(commands::execute(arguments));
    // What is still running in the background was told to end and is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
