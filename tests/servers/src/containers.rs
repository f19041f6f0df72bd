//! Servers in containers, for a machine with Docker and without the programs: the same command, settings, folder and ports, in
//! the images of docker-compose.yml.
//!
//! Called when a process is started and signalled. The containers use the network of the host, so that every address is the same
//! as without them; with Docker Desktop that has to be allowed in its settings.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, Result};

/// Set by `cargo xtask test` where servers run in containers: a label by which it removes what a killed test has left.
pub const LABEL: &str = "OARLOCK_TEST_CONTAINERS";

/// Whether servers run in containers where their programs are not installed.
pub(crate) fn are_allowed() -> bool {
    std::env::var_os(LABEL).is_some()
}

/// The same command in a container of the image that has its program, and the container's name. `command` knows a
/// working directory, which the container shares.
pub(crate) fn contain(command: &Command) -> Result<(Command, String)> {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let name = format!("oarlock-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
    let folder = command.get_current_dir().unwrap_or(Path::new("/tmp")).display().to_string();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let settings = settings.canonicalize().map_err(Error::io("the folder of settings"))?;
    let user = format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let label = std::env::var(LABEL).unwrap_or_default();
    let program = command.get_program().to_string_lossy().into_owned();
    let image = image(&program)?;
    let mut docker = Command::new("docker");
    docker.args([
        "run",
        "--rm",
        "--network",
        "host",
        "--name",
        &name,
        "--user",
        &user,
        "--entrypoint",
        &program,
    ]);
    docker.args(["--label", &format!("{LABEL}={label}")]);
    docker.args(["--volume", &format!("{folder}:{folder}"), "--workdir", &folder]);
    docker.args(["--volume", &format!("{0}:{0}:ro", settings.display())]);
    for (variable, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        docker.args(["--env", &format!("{}={}", variable.to_string_lossy(), value.to_string_lossy())]);
    }
    docker.arg(image).args(command.get_args());
    Ok((docker, name))
}

/// Sends a signal to the program in a container.
pub(crate) fn signal(container: &str, signal: &str) {
    let mut command = Command::new("docker");
    command.args(["kill", "--signal", signal, container]);
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// The id on the host of the program in a container; 0 where it does not run.
pub(crate) fn process_id(container: &str) -> u32 {
    let mut command = Command::new("docker");
    command.args(["inspect", "--format", "{{.State.Pid}}", container]).stdin(Stdio::null());
    let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().parse());
    output.ok().and_then(std::result::Result::ok).unwrap_or(0)
}

/// The image of docker-compose.yml that has a program.
fn image(program: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker-compose.yml");
    let text = std::fs::read_to_string(&path).map_err(Error::io("docker-compose.yml"))?;
    let server = if program.starts_with("redis") { "redis:" } else { "rabbitmq:" };
    let mut images = text.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    images.find(|image| image.starts_with(server)).map(str::to_owned).ok_or_else(|| Error::Refused {
        request: format!("the image with {program} in docker-compose.yml"),
        answer: "it names none".to_owned(),
    })
}
