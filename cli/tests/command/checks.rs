//! `--check` and `ready`: what processes would do, and whether they can, for people and health checks.

use std::net::TcpListener;

use crate::harness::{Folder, Process};
use crate::server::Server;

const WORKFLOW: &str = "id: one\nversion: 1\ntasks:\n  - {id: a, task: a}\n";
/// Addresses with a password, at which nobody is: a check connects to nothing.
const SERVERS: [(&str, &str); 2] = [
    ("OARLOCK_BROKER__NODES", "amqp://shop:secret@127.0.0.1:1,amqps://shop:secret@localhost:2/v"),
    ("OARLOCK_STORE__NODES", "redis://:secret@127.0.0.1:3"),
];

fn check(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)]) -> crate::harness::Ended {
    let mut command = folder.command(&[arguments, &["--check"]].concat());
    Process::start(command.envs(SERVERS).envs(environment.iter().copied())).end()
}

#[test]
fn an_orchestrator_shows_what_it_would_use_and_no_password() {
    let folder = Folder::with(WORKFLOW, &[]);
    let ended =
        check(&folder, &["orchestrator", "workflow.yaml"], &[("OARLOCK_STORE__PREFIX", "mine")]).exits(0);
    let told = &ended.stdout;
    for part in ["amqp://shop:***@127.0.0.1:1, amqps://", "redis://:***@127.0.0.1:3", "mine", "one version 1"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let json = check(&folder, &["orchestrator", "--json"], &[]).exits(0);
    assert_eq!(json.json()["partitions"], 16);
    for told in [&ended.stdout, &ended.stderr, &json.stdout] {
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn a_worker_shows_what_it_would_use_and_no_password() {
    let folder = Folder::new();
    folder.write(
        "worker.toml",
        "slots = 3\nearly_ack = \"5s\"\n[exec]\na = \"true\"\n[worker]\ngrace = \"7s\"\n",
    );
    let ended = check(&folder, &["worker", "--exec", "b=true"], &[]).exits(0);
    for part in ["worker.toml", "amqp://shop:***@127.0.0.1:1", "a, b", "3", "7s"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let json = check(&folder, &["worker", "--json", "--slots", "5"], &[]).exits(0);
    assert_eq!(json.json()["slots"], 5);
    assert!(!format!("{}{}", ended.stdout, json.stdout).contains(":secret@"));
}

#[test]
fn the_folder_of_secrets_is_that_of_the_flag_the_settings_or_the_workers_file() {
    let folder = Folder::new();
    for name in ["conf/mine", "set", "flag"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    folder.write("conf/worker.toml", "[exec]\na = \"true\"\n[worker]\nsecrets = \"mine\"\n");
    for name in ["conf/mine/token", "set/token", "flag/token"] {
        folder.write(name, "hush");
    }
    let worker = ["worker", "--json", "--config", "conf/worker.toml"];
    let setting = ("OARLOCK_WORKER__SECRETS", "set");
    let shown = |more: &[&str], environment: &[(&str, &str)]| {
        let ended = check(&folder, &[&worker[..], more].concat(), environment).exits(0);
        assert!(!ended.stdout.contains("hush"));
        ended.json()["secrets"].clone()
    };
    assert_eq!(shown(&[], &[]), "conf/mine");
    assert_eq!(shown(&[], &[setting]), "set");
    assert_eq!(shown(&["--secrets", "flag"], &[setting]), "flag");
    // A secret's own variable is no setting, whatever its name.
    assert_eq!(shown(&[], &[("OARLOCK_SECRET_SHOP__PASSWORD", "hush")]), "conf/mine");
    let wrong = [&worker[..], &["--secrets", "nowhere"]].concat();
    check(&folder, &wrong, &[]).exits(2).says(&["nowhere", "the folder of secrets"]);
}

#[test]
fn a_folder_of_secrets_that_is_not_there_is_told_before_anything_runs() {
    let folder = Folder::with(WORKFLOW, &[("a", "touch ran")]);
    for command in ["run", "dev"] {
        let ended = folder.oarlock(&[command, "workflow.yaml", "--secrets", "workflow.yaml"]).exits(2);
        ended.says(&["the folder of secrets workflow.yaml cannot be read: it is no folder"]);
    }
    assert!(!folder.join("ran").exists());
}

#[test]
fn what_is_wrong_is_told_without_a_password() {
    let folder = Folder::with(WORKFLOW, &[("a", "true")]);
    folder.write("wrong.yaml", "id: 7\n");
    folder.write("other.toml", "[broker]\nnodes = [\"amqp://shop:secret@h\n");
    let of_workers = ["worker"];
    let rows: [(&[&str], (&str, &str), &str); 8] = [
        (&["orchestrator"], ("OARLOCK_BROKER__NODES", "amqp://shop:secret@h:port"), "broker.nodes"),
        (&["orchestrator"], ("OARLOCK_BROKER__NODES", ""), "no node of RabbitMQ is named"),
        (&["orchestrator"], ("OARLOCK_STORE__NODES", "http://shop:secret@h"), "Redis node 1 is no URL"),
        (&["orchestrator"], ("OARLOCK_BROKER__HEARTBEAT", "6s"), "at most half the lease"),
        (&["orchestrator", "wrong.yaml"], ("OARLOCK_X__Y", ""), "unknown field `x`"),
        (&["orchestrator", "--config", "other.toml"], ("LANG", ""), "other.toml"),
        (&of_workers, ("OARLOCK_BROKER__NODES", "shop:secret@h"), "broker.nodes"),
        (&["worker", "--config", "other.toml"], ("LANG", ""), "other.toml"),
    ];
    for (arguments, variable, told) in rows {
        let ended = check(&folder, arguments, &[variable]).exits(2).says(&[told]);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
    check(&folder, &["orchestrator", "wrong.yaml"], &[]).exits(2).says(&["wrong.yaml"]);
}

#[test]
fn ready_asks_a_server() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let url = server.url();
    let ended = folder.oarlock(&["ready", "--server", &url]).exits(0);
    assert_eq!(ended.stdout, "READY\n");
    assert_eq!(server.json(&folder, &["ready"])["status"], "READY");
    server.stop().exits(0);
    folder.oarlock(&["ready", "--server", &url]).exits(3).says(&[&url]);
}

#[test]
fn of_several_servers_one_that_answers_is_asked() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let both = format!("{nobody},{}", server.url());
    for command in [&["ready"][..], &["list"], &["parked", "list"]] {
        folder.oarlock(&[&["--server", &both], command].concat()).exits(0);
    }
    server.stop().exits(0);
}
