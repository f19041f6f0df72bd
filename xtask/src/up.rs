//! `cargo xtask up`: the servers of the tests, for work by hand, until Ctrl-C.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use oarlock_test_servers::{Shared, shared};

use crate::servers::Servers;
use crate::signals;
use crate::steps::say;

/// How often it looks whether it was told to end.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs them; returns whether all went well.
pub(crate) fn run(root: &Path) -> bool {
    let ended = servers(root);
    if let Err(error) = &ended {
        say(&format!("xtask up: FAILED: {error:#}"));
    }
    ended.is_ok()
}

fn servers(root: &Path) -> Result<()> {
    let path = shared::file();
    std::fs::create_dir_all(root.join("target"))?;
    let mut file = File::options().write(true).create(true).truncate(false).open(&path)?;
    // Held while the servers run: tests believe the file only then.
    if file.try_lock().is_err() {
        bail!("another `cargo xtask up` runs already: its addresses are in target/servers.env");
    }
    file.set_len(0)?;
    let servers = Servers::start(root)?;
    let lines = servers.variables().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    file.write_all(lines.collect::<String>().as_bytes()).context("writing target/servers.env")?;
    say(&told(&servers));
    while signals::received().is_none() {
        std::thread::sleep(PAUSE);
    }
    say("stopping the servers");
    drop(servers);
    std::fs::remove_file(&path).context("removing target/servers.env")
}

/// What whoever works with them wants to copy.
fn told(servers: &Servers) -> String {
    let Shared { rabbitmq, redis, redis_cluster, management, .. } = &servers.shared;
    let exports = servers.variables().into_iter().map(|(name, value)| format!("export {name}='{value}'\n"));
    format!(
        "\nThe servers run until Ctrl-C. Tests find them by themselves (target/servers.env); elsewhere:\n\n{}\n\
         For `oarlock orchestrator` and `oarlock worker`:\n\n\
         export OARLOCK_BROKER__NODES='{rabbitmq}'\n\
         export OARLOCK_STORE__NODES='{redis}'\n\n\
         or with the cluster:\n\n\
         export OARLOCK_STORE__NODES='{}' OARLOCK_STORE__CLUSTER=true\n\n\
         RabbitMQ's pages: {management} (guest, guest)\n",
        exports.collect::<String>(),
        redis_cluster.join(","),
    )
}
