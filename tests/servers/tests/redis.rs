//! Private Redis servers and clusters do what they say, with the real server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oarlock_test_servers::redis::{AppendSync, Options, Reply};
use oarlock_test_servers::{Proxy, Redis, RedisCluster, containers};

mod processes;

fn setting(redis: &Redis, name: &str) -> String {
    match redis.command(&["CONFIG", "GET", name]).unwrap() {
        Reply::Array(pair) => pair[1].text(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_private_server_keeps_its_data_over_kill_and_stop_and_leaves_nothing() {
    let mut redis = Redis::start(Options::default()).unwrap();
    let folder = redis.data_folder().to_owned();
    let from_the_file =
        [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];
    for (name, value) in from_the_file {
        assert_eq!(setting(&redis, name), value, "{name} is not from config/redis.conf");
    }
    redis.command(&["SET", "kept", "one"]).unwrap();
    let (uri, first) = (redis.uri(), redis.pid());
    redis.kill();
    assert!(redis.command(&["PING"]).is_err(), "a killed server still answers");
    redis.start_again().unwrap();
    assert_eq!(redis.uri(), uri);
    assert_ne!(redis.pid(), first);
    assert_eq!(redis.command(&["GET", "kept"]).unwrap().text(), "one");
    redis.stop().unwrap();
    assert_eq!(redis.pid(), 0);
    redis.start_again().unwrap();
    assert_eq!(redis.command(&["GET", "kept"]).unwrap().text(), "one");
    assert!(processes::of(&folder).contains(&redis.pid().to_string()), "it was not found by its folder");
    drop(redis);
    processes::assert_none(&folder);
    assert!(!folder.exists());
}

#[test]
fn the_data_of_an_earlier_server_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { folder: Some(folder.path().to_owned()), ..Options::default() };
    let mut first = Redis::start(options()).unwrap();
    first.command(&["SET", "kept", "one"]).unwrap();
    first.kill();
    let second = Redis::start(options()).unwrap();
    assert_eq!(second.command(&["GET", "kept"]).unwrap().text(), "one");
    drop(second);
    assert!(folder.path().join("appendonlydir").exists(), "a folder that was given was removed");
}

#[test]
fn options_reach_the_server() {
    let options = Options {
        append_sync: Some(AppendSync::EverySecond),
        password: Some("secret".to_owned()),
        arguments: vec!["--maxmemory".to_owned(), "12mb".to_owned()],
        folder: None,
    };
    let redis = Redis::start(options).unwrap();
    assert_eq!(setting(&redis, "appendfsync"), "everysec");
    assert_eq!(setting(&redis, "maxmemory"), (12 * 1024 * 1024).to_string());
    assert!(redis.uri().starts_with("redis://:secret@127.0.0.1:"), "{}", redis.uri());
    assert_eq!(setting(&redis, "requirepass"), "secret");
}

#[test]
fn a_paused_server_answers_only_when_resumed() {
    let mut redis = Redis::start(Options::default()).unwrap();
    redis.pause();
    let state = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", redis.pid())).unwrap_or_default();
        status.rsplit_once(") ").map(|(_, rest)| rest[..1].to_owned())
    };
    if cfg!(target_os = "linux") {
        let begun = Instant::now();
        while state().as_deref() != Some("T") {
            assert!(begun.elapsed() < Duration::from_secs(10), "it is not stopped: {:?}", state());
        }
    }
    redis.resume();
    assert_eq!(redis.command(&["PING"]).unwrap().text(), "PONG");
}

#[test]
fn a_cluster_is_whole_and_survives_the_restart_of_a_node() {
    let mut cluster = RedisCluster::start(3).unwrap();
    assert_eq!(cluster.uris().len(), 3);
    let key = |cluster: &RedisCluster| {
        // Only one of the nodes owns the slot of the key.
        let answers = cluster.nodes().iter().map(|node| node.command(&["SET", "key", "one"]));
        let (taken, moved): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
        assert_eq!((taken.len(), moved.len()), (1, 2));
        assert!(moved.iter().all(|answer| answer.as_ref().unwrap_err().to_string().contains("MOVED ")));
    };
    key(&cluster);
    cluster.nodes_mut()[1].kill();
    cluster.nodes_mut()[1].start_again().unwrap();
    let begun = Instant::now();
    let is_ok =
        |node: &Redis| node.command(&["CLUSTER", "INFO"]).unwrap().text().contains("cluster_state:ok");
    while !cluster.nodes().iter().all(is_ok) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the cluster does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    key(&cluster);
}

#[test]
fn a_replica_takes_over_from_its_primary() {
    let mut cluster = RedisCluster::start_with_replicas(3, 1).unwrap();
    assert_eq!(cluster.uris().len(), 6);
    cluster.nodes_mut()[0].kill();
    let begun = Instant::now();
    while cluster.nodes()[3].command(&["ROLE"]).is_ok_and(|role| match role {
        Reply::Array(parts) => parts[0].text() != "master",
        _ => true,
    }) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the replica does not take over");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_cluster_sends_clients_to_the_proxies_it_announces_also_after_a_restart() {
    let mut cluster = RedisCluster::start(3).unwrap();
    let proxies: Vec<_> = cluster.uris().iter().map(|uri| Proxy::start(uri).unwrap()).collect();
    cluster.announce(&proxies).unwrap();
    cluster.nodes_mut()[0].kill();
    cluster.nodes_mut()[0].start_again().unwrap();
    cluster.until_whole().unwrap();
    for (key, owner) in [("a", 2), ("b", 0), ("c", 1)] {
        let asked = &cluster.nodes()[(owner + 1) % 3];
        let refusal = asked.command(&["GET", key]).unwrap_err().to_string();
        assert!(refusal.contains("MOVED") && refusal.ends_with(&proxies[owner].address()), "{refusal}");
    }
}

/// Set for the process that the test below starts and kills: this same test program.
const HOLDS: &str = "OARLOCK_TEST_HOLDS_A_SERVER";

#[test]
#[cfg(target_os = "linux")]
fn a_server_dies_with_the_process_that_started_it() {
    if std::env::var_os(containers::LABEL).is_some() {
        // A container lives on, until `cargo xtask test` removes it by this label.
        return;
    }
    if std::env::var_os(HOLDS).is_some() {
        // From a thread that ends at once, as threads of tests do: the server lives on.
        let redis = std::thread::spawn(|| Redis::start(Options::default()).unwrap()).join().unwrap();
        println!("\nfolder={}", redis.data_folder().display());
        loop {
            std::thread::park();
        }
    }
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_dies_with_the_process_that_started_it", "--nocapture"])
        .env(HOLDS, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let folder = lines.into_iter().find_map(|line| line.strip_prefix("folder=").map(PathBuf::from)).unwrap();
    assert!(!processes::of(&folder).is_empty(), "the server does not run");
    holder.kill().unwrap();
    holder.wait().unwrap();
    processes::assert_none(&folder);
    std::fs::remove_dir_all(folder).unwrap();
}
