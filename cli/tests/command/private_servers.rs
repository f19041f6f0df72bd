//! What an orchestrator does where its Redis is away, or refuses: each test has one of its own.

use oarlock_test_servers::Redis;
use oarlock_test_servers::redis::Options;
use rustix::process::Signal;

use crate::fleet::{Fleet, readiness};
use crate::harness::{Folder, eventually};

/// An orchestrator of a fleet over this Redis ends at once, with 2 and these words; none of them is a password.
fn refuses(uri: &str, words: &[&str]) {
    let (folder, mut fleet) = (Folder::new(), Fleet::new());
    fleet.set("OARLOCK_STORE__NODES", uri);
    let ended = fleet.run(&folder, &["orchestrator"]).exits(2).says(words);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_redis_that_is_away_is_waited_for() {
    let (folder, mut fleet) = (Folder::new(), Fleet::new());
    let mut redis = Redis::start(Options::default()).unwrap();
    redis.kill();
    fleet.set("OARLOCK_STORE__NODES", &redis.uri());
    let server = fleet.begin(&folder, &[]);
    assert_eq!(server.http("GET", "/healthz", &[], b"").unwrap().0, 200);
    eventually("it tells for what it waits", || {
        let (status, body) = server.http("GET", "/readyz", &[], b"").unwrap();
        assert_eq!((status, &body["status"]), (503, &"NOT_READY".into()));
        body["problems"][0].as_str().unwrap().contains("nothing listens there")
    });
    let ready = server.oarlock(&folder, &["ready"]).exits(4);
    ready.says(&["the store cannot be reached", "nothing listens there"]);
    server.oarlock(&folder, &["list"]).exits(3).says(&["UNAVAILABLE", "has not begun yet"]);
    redis.start_again().unwrap();
    eventually("it is ready", || readiness(&server)["status"] == "READY");
    server.oarlock(&folder, &["list"]).exits(0);
    let ended = server.stop().exits(0);
    let ended = ended.says(&["waiting for the store: Redis at 127.0.0.1", "the store answers"]);
    assert_eq!(ended.stderr.matches("waiting for the store").count(), 1, "{}", ended.stderr);
}

#[test]
fn told_to_end_while_it_waits_it_ends() {
    let (folder, mut fleet) = (Folder::new(), Fleet::new());
    fleet.set("OARLOCK_STORE__NODES", "redis://127.0.0.1:1");
    let server = fleet.begin(&folder, &[]);
    server.signal(Signal::TERM);
    server.end().exits(0);
}

#[test]
fn a_redis_that_refuses_ends_it_with_the_remedy() {
    let redis = Redis::start(Options { password: Some("secret".to_owned()), ..Options::default() }).unwrap();
    let open = redis.uri().replace(":secret@", "");
    refuses(&open, &["the store cannot be used", "give its user and password in the URL"]);
    refuses(
        &redis.uri().replace("secret", "secret2"),
        &["the store cannot be used", "correct them in its URL"],
    );

    let arguments = ["--maxmemory-policy", "allkeys-lru"].map(str::to_owned).to_vec();
    let redis = Redis::start(Options { arguments, ..Options::default() }).unwrap();
    refuses(&redis.uri(), &["maxmemory-policy allkeys-lru", "set maxmemory-policy noeviction"]);
}

#[test]
fn what_a_crash_of_redis_may_cost_is_warned_of() {
    let (folder, mut fleet) = (Folder::new(), Fleet::new());
    let append_sync = Some(oarlock_test_servers::redis::AppendSync::EverySecond);
    let redis = Redis::start(Options { append_sync, ..Options::default() }).unwrap();
    fleet.set("OARLOCK_STORE__NODES", &redis.uri());
    let server = fleet.orchestrator(&folder, &[]);
    let warnings = readiness(&server)["warnings"].to_string();
    assert!(
        warnings.contains("appendfsync everysec") && warnings.contains("Set appendfsync always"),
        "{warnings}"
    );
    server.oarlock(&folder, &["ready"]).exits(0).says(&["warning: Redis at", "appendfsync everysec"]);
    server.stop().exits(0).says(&["appendfsync everysec"]);
}
