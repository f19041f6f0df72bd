//! Sees to it that what the tests need beside cargo is there: RabbitMQ, Redis, docker compose, promtool, a Python with pika.
//!
//! Takes what is installed, else Docker, else installs Debian's packages where it may, else says what to install. Called by `test` and
//! `up`. Starts no service of the system.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use oarlock_test_servers::{containers, programs};

use crate::steps::{self, say};

/// The release of the Python client that the tests speak to RabbitMQ with.
const PIKA: &str = "pika==1.3.2";
/// Debian asks this file whether a package may start its service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Sees to the servers. Returns whether those that are not installed are to run in containers.
pub(crate) fn servers() -> Result<bool> {
    let missing = || {
        let servers =
            [("rabbitmq-server", programs::rabbitmq().is_ok()), ("redis-server", programs::redis().is_ok())];
        servers.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect::<Vec<_>>()
    };
    if missing().is_empty() {
        return Ok(false);
    }
    if steps::works(Command::new("docker").arg("info")) {
        say(&format!(
            "{} not installed: Docker runs the images of docker-compose.yml",
            missing().join(" and ")
        ));
        return Ok(true);
    }
    packages(&missing())?;
    match missing().as_slice() {
        [] => Ok(false),
        left => bail!("install {} (Debian: apt install {0})", left.join(" ")),
    }
}

/// Removes what tests that were killed have left of containers with this label.
pub(crate) fn remove_containers(label: &str) {
    let mut list = Command::new("docker");
    list.args(["ps", "--quiet", "--filter", &format!("label={}={label}", containers::LABEL)]);
    let Ok(output) = list.output() else { return };
    for id in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        steps::works(Command::new("docker").args(["rm", "--force", id]));
    }
}

/// Sees to docker compose, which checks docker-compose.yml. Its absence fails the test that needs it, no other.
pub(crate) fn compose() {
    let plugin = steps::works(Command::new("docker").args(["compose", "version"]));
    if !plugin
        && !steps::works(Command::new("docker-compose").arg("version"))
        && let Err(error) = packages(&["docker-compose"])
    {
        say(&format!("docker compose is not there to check docker-compose.yml: {error:#}"));
    }
}

/// Sees to promtool, which checks `/metrics`, alert rules and the settings of Prometheus. Its absence fails the tests that need it, no
/// other.
pub(crate) fn promtool() {
    if programs::promtool().is_err()
        && let Err(error) = packages(&["prometheus"])
    {
        say(&format!("promtool is not there to check what Prometheus reads: {error:#}"));
    }
}

/// The path of a python3 that can import pika.
pub(crate) fn python(root: &Path) -> Result<PathBuf> {
    let own = root.join("target/tools/python");
    let own_program = own.join("bin/python3");
    let candidates = [PathBuf::from("python3"), PathBuf::from("/usr/bin/python3"), own_program.clone()];
    if let Some(python) = candidates.iter().find_map(with_pika) {
        return Ok(python);
    }
    say(&format!("no python3 with pika: installing {PIKA} into target/tools/python"));
    if steps::works(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&own)) {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIKA];
        if let Err(error) = steps::run(Command::new(&own_program).args(install)) {
            say(&format!("pip: {error:#}"));
        }
    }
    if with_pika(&own_program).is_none() {
        packages(&["python3", "python3-pika"])?;
    }
    let found = candidates.iter().rev().find_map(with_pika);
    found.with_context(|| {
        format!("install python3 and {PIKA} (pip install {PIKA}, Debian: apt install python3-pika)")
    })
}

/// The path of a python3 itself, where it can import pika.
fn with_pika(python: &PathBuf) -> Option<PathBuf> {
    let output =
        Command::new(python).args(["-c", "import pika, sys; print(sys.executable)"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| path.trim().into())
}

/// Installs Debian's packages, where this is Debian and the user may.
fn packages(names: &[&str]) -> Result<()> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !is_root || !steps::works(Command::new("apt-get").arg("--version")) {
        bail!("install {} (Debian: apt install {0})", names.join(" "));
    }
    say(&format!("installing {}", names.join(" ")));
    let _quiet = NoServices::begin()?;
    let apt = |arguments: &[&str]| {
        steps::run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    let install: Vec<&str> = ["install", "-y", "-qq", "--no-install-recommends"]
        .into_iter()
        .chain(names.iter().copied())
        .collect();
    apt(&install)
}

/// While it lives no package starts its service: the tests start servers of their own, and nothing else should run.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let is_ours = !Path::new(POLICY).exists();
        if is_ours {
            write(POLICY, "#!/bin/sh\nexit 101\n")?;
            set_permissions(POLICY, Permissions::from_mode(0o755))?;
        }
        Ok(Self { is_ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}
