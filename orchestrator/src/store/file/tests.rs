//! What the conformance suite cannot ask: other processes, kills, full disks, foreign files.
//!
//! Where a test needs a process of its own it starts this binary again, with the name of a test that only works when
//! the variable [`CHILD_DIR`] names a folder.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use oarlock_protocol::{RunId, RunKey, Span};
use uuid::Uuid;

use super::*;

/// Names the folder in which a child is to work.
const CHILD_DIR: &str = "OARLOCK_TEST_STORE_DIR";
const PARTITIONS: u32 = 4;

fn claim(token: Option<&Token>) -> Claim {
    Claim { holder: "test".to_owned(), lease: Span::from_secs(600), token: token.cloned() }
}

async fn own(store: &File, partition: u32) -> (Token, u64) {
    match store.own(partition, &claim(None)).await.unwrap() {
        Ownership::Owned { token, seq, .. } => (token, seq),
        held @ Ownership::HeldBy { .. } => panic!("nobody else can hold it: {held:?}"),
    }
}

async fn open(dir: &Path) -> File {
    let store = File::open(dir).unwrap();
    assert_eq!(store.partitions(PARTITIONS).await, Ok(PARTITIONS));
    store
}

fn run() -> Key {
    Key::Run(RunKey::new("acme", RunId::from_uuid(Uuid::from_u128(1))))
}

fn set(field: &str, value: impl Into<Bytes>) -> Write {
    Write::HashSet { key: run(), field: field.to_owned(), value: value.into() }
}

fn unusable(outcome: Result<File, Error>) -> String {
    match outcome {
        Err(Error::Unusable(text)) => text,
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

fn child(test: &str, dir: &Path) -> Vec<std::ffi::OsString> {
    let binary = std::env::current_exe().unwrap();
    let test = format!("store::file::tests::{test}");
    // `env` sets the variable, so that one list of words starts the child, below a shell too.
    let variable = format!("{CHILD_DIR}={}", dir.display());
    ["env".into(), variable.into(), binary.into(), test.into(), "--exact".into(), "--nocapture".into()].into()
}

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD_DIR).map(PathBuf::from)
}

#[tokio::test]
async fn everything_answered_survives_kill_9_and_nothing_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut reached = [0; PARTITIONS as usize];
    let mut last_epoch = 0;
    for lines in [1, 30, 77, 150] {
        let words = child("child_that_commits_until_it_is_killed", folder.path());
        let mut process = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::piped()).spawn().unwrap();
        let mut answered = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut note = |line: String| {
            let mut words = line.strip_prefix("done ")?.split(' ');
            let (partition, seq): (usize, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            reached[partition] = seq.max(reached[partition]);
            Some(())
        };
        assert_eq!(answered.by_ref().filter_map(&mut note).take(lines).count(), lines, "the child ended");
        process.kill().unwrap();
        answered.filter_map(&mut note).for_each(drop);
        process.wait().unwrap();
        last_epoch = check_after_kill(folder.path(), &reached, last_epoch).await;
    }
}

/// Checks every partition against what was answered, and returns the epoch.
async fn check_after_kill(dir: &Path, reached: &[u64], last_epoch: u64) -> u64 {
    let store = open(dir).await;
    let mut epoch = 0;
    for (partition, answered) in (0..).zip(reached) {
        let (token, seq) = own(&store, partition).await;
        assert!(seq >= *answered, "partition {partition} is at {seq}, but {answered} was answered");
        assert!(token.epoch > last_epoch);
        epoch = token.epoch;
        let all = Range { from: 0, to: i64::MAX, after: None, limit: usize::MAX, descending: false };
        let log = store.read_sorted(partition, &Key::Timers, &all).await.unwrap();
        assert!(log.iter().map(|(_, score)| *score as u64).eq(1..=seq), "partition {partition}");
        let fields = store.read_hash(partition, &run(), Fields::All).await.unwrap();
        let expected = format!("{seq}:{}", "x".repeat(3000)).into_bytes();
        assert!(
            fields.len() == usize::from(seq > 0) * 2 && fields.iter().all(|(_, value)| *value == expected)
        );
    }
    epoch
}

#[tokio::test]
async fn child_that_commits_until_it_is_killed() {
    let Some(dir) = child_dir() else { return };
    let store = Arc::new(open(&dir).await);
    let mut owners = tokio::task::JoinSet::new();
    for partition in 0..PARTITIONS {
        let store = Arc::clone(&store);
        owners.spawn(async move {
            let (token, seq) = own(&store, partition).await;
            for seq in seq + 1.. {
                let value = format!("{seq}:{}", "x".repeat(3000));
                let entry = Write::SortedSet { key: Key::Timers, member: seq.to_string(), score: seq as i64 };
                let writes = [set("a", value.clone()), entry, set("b", value)];
                store.commit(partition, &token, seq, &writes).await.unwrap();
                println!("done {partition} {seq}");
            }
        });
    }
    owners.join_all().await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // No file may grow beyond a few megabytes: writing fails as on a full disk, instead of ending the process.
    let limited = "trap '' XFSZ; ulimit -f 8192; exec \"$@\"";
    let words = child("child_that_fills_the_disk", folder.path());
    let output = Command::new("sh").args(["-c", limited, "sh"]).args(words).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    let seq = text.lines().find_map(|line| line.strip_prefix("filled ")?.parse::<u64>().ok()).unwrap();
    // With room again, everything answered is there and work goes on.
    let store = open(folder.path()).await;
    let (token, stored) = own(&store, 0).await;
    assert_eq!(stored, seq);
    store.commit(0, &token, seq + 1, &[set("more", vec![0; 64 * 1024 * 1024])]).await.unwrap();
}

#[tokio::test]
async fn child_that_fills_the_disk() {
    let Some(dir) = child_dir() else { return };
    let store = open(&dir).await;
    let (token, mut seq) = own(&store, 0).await;
    let value = Bytes::from(vec![7; 100_000]);
    let error = loop {
        match store.commit(0, &token, seq + 1, &[set(&format!("f{seq}"), value.clone())]).await {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
    };
    let clear = |text: &str| text.contains("free some space") && text.contains(FILE);
    assert!(matches!(&error, Error::Unavailable(text) if clear(text)), "{error}");
    assert!(seq > 5, "it failed at once");
    // The file is opened again in place: the owner renews, deletes, and writes into the room that this made.
    assert_eq!(
        store.own(0, &claim(Some(&token))).await,
        Ok(Ownership::Owned { token: token.clone(), seq, restarted: false })
    );
    assert_eq!(store.read_hash(0, &run(), Fields::All).await.unwrap().len() as u64, seq);
    store.commit(0, &token, seq + 1, &[Write::Delete { key: run() }]).await.unwrap();
    for more in 2..5 {
        store.commit(0, &token, seq + more, &[set("small", value.slice(..1000))]).await.unwrap();
    }
    println!("\nfilled {}", seq + 4);
}

#[tokio::test]
async fn a_folder_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    let text = unusable(File::open(folder.path()));
    assert!(text.contains("in use by another process") && text.contains(FILE), "{text}");
    drop(first);
    open(folder.path()).await;
}

#[tokio::test]
async fn a_new_opener_takes_every_partition_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (old, _) = own(&store, 2).await;
    store.commit(2, &old, 1, &[set("a", "1")]).await.unwrap();
    drop(store);
    let store = open(folder.path()).await;
    assert_eq!(store.partitions(PARTITIONS + 1).await, Ok(PARTITIONS));
    assert_eq!(store.commit(2, &old, 2, &[]).await, Err(Error::Fenced(2)));
    let (new, seq) = own(&store, 2).await;
    assert!(new.epoch > old.epoch);
    assert_eq!(seq, 1);
    assert_eq!(store.read_hash(2, &run(), Fields::All).await.unwrap(), [("a".to_owned(), Bytes::from("1"))]);
}

#[test]
fn a_file_that_is_no_database_is_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for content in [b"#!/bin/sh\necho hello\n".repeat(1000), vec![0; 100_000], b"x".to_vec()] {
        std::fs::write(&path, &content).unwrap();
        let text = unusable(File::open(folder.path()));
        assert!(text.contains("is no database") && text.contains(FILE), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (token, _) = own(&store, 0).await;
    store.commit(0, &token, 1, &[set("a", vec![1; 500_000])]).await.unwrap();
    let path = store.path();
    drop(store);
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let text = unusable(File::open(folder.path()));
    assert!(text.contains(FILE), "{text}");
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let text = unusable(File::open(file.join("data")));
    assert!(text.contains("file/data") && text.contains("may write to"), "{text}");
}

#[tokio::test]
async fn a_format_of_a_newer_release_is_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).await);
    let database = redb::Database::create(folder.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    rows::set_format(&transaction, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let text = unusable(File::open(folder.path()));
        assert!(text.contains("format 2") && text.contains("newer release") && text.contains(FILE), "{text}");
    }
}

#[tokio::test]
async fn what_is_deleted_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (token, _) = own(&store, 0).await;
    for round in 0..40 {
        let writes: Vec<_> = (0..16).map(|n| set(&format!("f{n}"), vec![round as u8; 64 * 1024])).collect();
        store.commit(0, &token, 2 * round + 1, &writes).await.unwrap();
        store.commit(0, &token, 2 * round + 2, &[Write::Delete { key: run() }]).await.unwrap();
    }
    // 40 megabytes went through it.
    let bytes = std::fs::metadata(store.path()).unwrap().len();
    assert!(bytes < 16 * 1024 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = File::open(folder.path()).unwrap();
    assert!(matches!(store.own(0, &claim(None)).await, Err(Error::Unusable(_))));
    assert!(matches!(store.partitions(0).await, Err(Error::Unusable(_))));
    assert_eq!(store.partitions(2).await, Ok(2));
    assert!(matches!(store.own(2, &claim(None)).await, Err(Error::Unusable(_))));
    assert!(matches!(store.read_hash(2, &run(), Fields::All).await, Err(Error::Unusable(_))));
    own(&store, 1).await;
}

#[tokio::test]
async fn a_commit_nobody_waits_for_is_wholly_there_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (token, _) = own(&store, 0).await;
    let writes = [set("a", "1"), set("b", "1")];
    {
        let mut abandoned = store.commit(0, &token, 1, &writes);
        // Polled once, so that it is submitted, and then dropped.
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(abandoned.as_mut().poll(context)));
        assert!(poll.await.is_pending());
    }
    store.commit(0, &token, 1, &writes).await.unwrap();
    assert_eq!(store.read_hash(0, &run(), Fields::All).await.unwrap().len(), 2);
    store.commit(0, &token, 2, &[]).await.unwrap();
}
