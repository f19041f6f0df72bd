//! What people set Oarlock up with: docker-compose.yml, the Dockerfile, the settings of the servers, and (in `kubernetes.rs`) the
//! manifests of config/kubernetes.
//!
//! Reads docker-compose.yml as docker compose understands it. Starts no container.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use oarlock_test_servers::{rabbitmq, redis};
use serde_json::{Map, Value};

mod kubernetes;
mod yaml;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// docker-compose.yml with everything filled in, by `docker compose config` or by docker-compose 1.
fn compose() -> &'static Value {
    static COMPOSE: OnceLock<Value> = OnceLock::new();
    COMPOSE.get_or_init(|| {
        let programs: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let works = |program: &&[&str]| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let program = programs.into_iter().find(works);
        let program =
            program.unwrap_or_else(|| panic!("install docker compose (Debian: apt install docker-compose)"));
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .args(["--file", "docker-compose.yml", "--profile", "monitoring", "config"])
            .current_dir(root());
        // The defaults are what is looked at.
        for name in ["OARLOCK_RABBITMQ_PASSWORD", "OARLOCK_REDIS_PASSWORD", "OARLOCK_LOG__LEVEL"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        yaml::documents(&String::from_utf8(output.stdout).unwrap()).remove(0)
    })
}

/// The services of docker-compose.yml by name.
fn services() -> &'static Map<String, Value> {
    compose()["services"].as_object().unwrap()
}

/// A service that runs our binary: its name, the arguments of `oarlock`, its environment.
struct Ours {
    name: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

fn ours() -> Vec<Ours> {
    let built = services().iter().filter(|(_, service)| !service["build"].is_null());
    let read = |(name, service): (&String, &Value)| Ours {
        name: name.clone(),
        arguments: texts(&service["command"]),
        environment: service["environment"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    };
    built.map(read).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// The files and folders of this machine that a service mounts, with their places in the container.
fn mounts(service: &Value) -> Vec<(PathBuf, String)> {
    let of = |volume: &Value| match volume.as_str() {
        // docker-compose 1: SOURCE:TARGET:MODE.
        Some(line) => {
            let mut parts = line.split(':');
            (PathBuf::from(parts.next().unwrap()), parts.next().unwrap().to_owned())
        }
        None => (PathBuf::from(text(&volume["source"])), text(&volume["target"])),
    };
    let all = service["volumes"].as_array().into_iter().flatten().map(of);
    all.filter(|(source, _)| source.is_absolute()).collect()
}

#[test]
fn the_servers_of_compose_have_the_settings_the_tests_use() {
    let mounted = |name: &str| mounts(&services()[name]);
    let rabbitmq_at = "/etc/rabbitmq/conf.d/90-oarlock.conf".to_owned();
    assert_eq!(mounted("rabbitmq"), [(rabbitmq::settings_file().canonicalize().unwrap(), rabbitmq_at)]);
    let redis_at = "/etc/oarlock/redis.conf".to_owned();
    assert_eq!(mounted("redis"), [(redis::settings_file().canonicalize().unwrap(), redis_at.clone())]);
    assert_eq!(texts(&services()["redis"]["command"])[..2], ["redis-server".to_owned(), redis_at]);
}

#[test]
fn every_service_has_an_image_a_check_and_a_policy_to_come_back() {
    for (name, service) in services() {
        assert!(service["image"].is_string(), "{name} names no image");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        assert!(!texts(&service["healthcheck"]["test"]).is_empty(), "{name} has no check");
        for (needed, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy", "{name} waits for {needed}");
            assert!(
                !services()[needed]["healthcheck"].is_null(),
                "{name} waits for {needed}, which has no check"
            );
        }
        for (source, _) in mounts(service) {
            assert!(source.is_file(), "{name} mounts {}, which is no file", source.display());
        }
    }
    assert_eq!(text(&services()["orchestrator"]["deploy"]["replicas"]), "2");
    for volume in ["rabbitmq", "redis", "access-log", "prometheus", "grafana"] {
        assert!(compose()["volumes"].as_object().unwrap().contains_key(volume), "the volume {volume}");
    }
}

#[test]
fn every_port_is_of_the_loopback_address_alone() {
    for (name, service) in services() {
        for port in service["ports"].as_array().into_iter().flatten() {
            let is_local = match port.as_str() {
                Some(line) => line.starts_with("127.0.0.1:"),
                None => port["host_ip"] == "127.0.0.1",
            };
            assert!(is_local, "{name}: {port}");
        }
    }
    let rabbitmq = &services()["rabbitmq"]["environment"];
    assert_ne!(rabbitmq["RABBITMQ_DEFAULT_USER"], "guest");
}

#[test]
fn what_is_built_has_a_target_in_the_dockerfile() {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let stages = |line: &str| {
        line.strip_prefix("FROM ").and_then(|line| line.split_once(" AS ")).map(|(_, name)| name.to_owned())
    };
    let stages: Vec<String> = dockerfile.lines().filter_map(stages).collect();
    for (name, service) in services().iter().filter(|(_, service)| !service["build"].is_null()) {
        let target = text(&service["build"]["target"]);
        assert!(stages.contains(&target), "{name} is built from the target {target}: {stages:?}");
        assert_eq!(Path::new(&text(&service["build"]["context"])), root(), "{name}");
    }
    assert_eq!(stages.last().unwrap(), "oarlock", "what `docker build .` makes");
    assert!(dockerfile.contains("\nUSER 10001:10001\n"), "it runs as root");
}

#[test]
fn our_services_are_told_where_the_servers_are() {
    let ours = ours();
    let names: Vec<&str> = ours.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["orchestrator", "worker"]);
    for Ours { name, arguments, environment } in &ours {
        assert_eq!(arguments.first(), Some(name), "the command of a service is its name");
        assert_eq!(environment["OARLOCK_BROKER__NODES"], "amqp://oarlock:oarlock@rabbitmq:5672");
        assert_eq!(environment["OARLOCK_STORE__NODES"], "redis://:oarlock@redis:6379");
        let settings = environment.keys().filter(|name| !name.starts_with("OARLOCK_"));
        assert_eq!(
            settings.collect::<Vec<_>>(),
            [] as [&String; 0],
            "{name}: a setting of ours is OARLOCK_<SECTION>__<KEY>"
        );
    }
    let redis = &services()["redis"];
    assert_eq!(texts(&redis["command"])[2..], ["--requirepass", "oarlock"]);
    let rabbitmq = &services()["rabbitmq"]["environment"];
    assert_eq!(
        (&rabbitmq["RABBITMQ_DEFAULT_USER"], &rabbitmq["RABBITMQ_DEFAULT_PASS"]),
        (&"oarlock".into(), &"oarlock".into())
    );
}

/// Where the image has the example's worker.toml.
const IN_THE_IMAGE: &str = "/etc/oarlock/worker.toml";

/// The binary takes the command and the settings of each service, and would use what they say.
#[test]
fn our_services_run_with_their_command_and_environment() {
    for Ours { name, arguments, environment } in ours() {
        let file = root().join("examples/access-log/worker.toml");
        let here = |argument: &String| if argument == IN_THE_IMAGE { file.clone() } else { argument.into() };
        let mut command = Command::new(oarlock());
        command.args(arguments.iter().map(here)).args(["--check", "--json"]).env_clear().envs(&environment);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let told = told.to_string();
        assert!(told.contains("@rabbitmq:5672"), "{name}: {told}");
        if name == "orchestrator" {
            assert!(told.contains("redis:6379") && told.contains("0.0.0.0:7070"), "{told}");
        } else {
            assert!(told.contains("log.count"), "{told}");
        }
    }
}

/// The checks of our services are commands of the binary: asked of nobody they say that nobody is there.
#[test]
fn the_checks_of_our_services_are_commands_of_the_binary() {
    for (name, service) in services().iter().filter(|(_, service)| !service["build"].is_null()) {
        let check = texts(&service["healthcheck"]["test"]);
        assert_eq!(check[..2], ["CMD", "oarlock"], "{name}");
        let nobody = oarlock_test_servers::Proxy::start("127.0.0.1:1").unwrap();
        nobody.reset().unwrap();
        let mut command = Command::new(oarlock());
        let there = |argument: &String| argument.replace("127.0.0.1:7072", &nobody.address());
        command.args(check[2..].iter().map(there)).env_clear();
        command.env("OARLOCK_CLIENT__SERVER", format!("http://{}", nobody.address()));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!([3, 4].contains(&output.status.code().unwrap()), "{name}: {} {text}", output.status);
    }
}

/// The binary beside this test, which the tests of its own package build.
fn oarlock() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join("oarlock");
    assert!(binary.is_file(), "build the binary first: cargo build");
    binary
}

/// The worker's settings in the image are those of the example: they say what it may run, and every script is there.
#[test]
fn the_worker_of_compose_has_something_to_do() {
    let worker = ours().into_iter().find(|service| service.name == "worker").unwrap();
    assert_eq!(worker.arguments[1..3], ["--config", IN_THE_IMAGE]);
    let folder = root().join("examples/access-log");
    let settings: toml::Table = std::fs::read_to_string(folder.join("worker.toml")).unwrap().parse().unwrap();
    let commands = settings["exec"].as_table().unwrap();
    assert!(commands.contains_key("log.count"), "{commands:?}");
    for (task, command) in commands {
        let script = command.as_str().unwrap().strip_prefix("sh ").unwrap();
        assert!(folder.join(script).is_file(), "{task} runs {script}");
    }
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    assert!(dockerfile.contains("COPY --chown=10001:10001 examples/access-log /etc/oarlock"));
}
