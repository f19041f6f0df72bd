//! `cargo xtask bench`: `oarlock bench` of a release build, over a RabbitMQ and a Redis of its own that sync every write.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use oarlock_test_servers::redis::AppendSync;
use oarlock_test_servers::{RabbitMq, Redis, rabbitmq, redis};

use crate::install;
use crate::steps::{self, cargo, say};

/// Measures with the arguments of `oarlock bench`; whether it could.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> bool {
    let measured = measure(root, arguments);
    if let Err(error) = &measured {
        say(&format!("xtask bench: FAILED: {error:#}"));
    }
    measured.is_ok()
}

fn measure(root: &Path, arguments: &[&str]) -> Result<()> {
    steps::run(cargo(root).args(["build", "--release", "--locked", "--package", "oarlock"]))?;
    let mut bench = Command::new(root.join("target/release/oarlock"));
    bench.arg("bench").args(arguments);
    if arguments.contains(&"--embedded") {
        return status(&mut bench);
    }
    install::servers()?;
    let rabbit = RabbitMq::start(rabbitmq::Options::default())?;
    let options = redis::Options { append_sync: Some(AppendSync::Always), ..redis::Options::default() };
    let redis = Redis::start(options)?;
    bench.args(["--watch", &format!("rabbitmq={}", rabbit.pid())]);
    bench.env("OARLOCK_BROKER__NODES", rabbit.uri()).env("OARLOCK_STORE__NODES", redis.uri());
    status(&mut bench)
}

fn status(bench: &mut Command) -> Result<()> {
    let status = bench.status().context("starting the measurement")?;
    ensure!(status.success(), "the measurement ended with {status}");
    Ok(())
}
