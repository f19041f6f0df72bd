//! The `oarlock` command. Thin: reads arguments and settings, calls the crates, shows what they answer.

mod arguments;
mod client;
mod commands;
mod configuration;
mod embedded;
mod exit;
mod fleet;
mod handlers;
mod secret;
mod serving;
mod show;
mod signals;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::arguments::Arguments;

/// How long work that cannot be dropped, such as a read of the disk, may hold the process up at its end.
const LEAVING: Duration = Duration::from_secs(1);

/// Messages are made on one thread and dropped on another, thousands a second: the system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.global.json;
    // One for the whole tree: the libraries of RabbitMQ, Redis and HTTP bring none. Nobody else installs one, so it cannot fail.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Failure::usage(format!("the runtime cannot start: {error}")).report(json),
    };
    let ended = runtime.block_on(commands::execute(arguments));
    // Where the command left early this drops its tasks, and with them the processes they had started.
    runtime.shutdown_timeout(LEAVING);
    match ended {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
