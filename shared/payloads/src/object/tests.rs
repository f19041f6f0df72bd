//! What is special about directories and addresses; the rest is the conformance suite.

use std::path::Path as FilePath;

use super::*;

const LARGEST: u64 = 1_000_000;

fn run() -> RunKey {
    RunKey::new("acme", RunId::random())
}

fn open(folder: &FilePath) -> Objects {
    Objects::open(&format!("file://{}/", folder.display()), LARGEST).unwrap()
}

fn files(folder: &FilePath) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_file_that_was_changed_or_cut_is_lost_and_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, run) = (open(folder.path()), run());
    let reference = store.put(&run, Bytes::from_static(b"precious")).await.unwrap();
    let file = reference.uri.strip_prefix("file://").unwrap();
    for (content, why) in [("worthless", "9 bytes"), ("precioos", "SHA-256"), ("", "0 bytes")] {
        std::fs::write(file, content).unwrap();
        let error = store.get("acme", &reference).await.unwrap_err();
        assert!(matches!(&error, Error::Lost { reason, .. } if reason.contains(why)), "{error}");
    }
    store.put(&run, Bytes::from_static(b"precious")).await.unwrap();
    assert_eq!(store.get("acme", &reference).await.unwrap(), "precious", "putting it again mends it");
}

#[tokio::test]
async fn a_directory_that_is_not_mounted_is_away_and_has_lost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mounted, away) = (folder.path().join("mounted"), folder.path().join("away"));
    std::fs::create_dir(&mounted).unwrap();
    let (store, run) = (open(&mounted), run());
    let reference = store.put(&run, Bytes::from_static(b"precious")).await.unwrap();
    std::fs::rename(&mounted, &away).unwrap();
    std::fs::create_dir(&mounted).unwrap();
    let unavailable = |error: Error| assert!(matches!(error, Error::Unavailable(_)), "{error}");
    unavailable(store.get("acme", &reference).await.unwrap_err());
    unavailable(store.put(&run, Bytes::from_static(b"other")).await.unwrap_err());
    unavailable(store.delete(&run).await.unwrap_err());
    assert!(files(&mounted).is_empty(), "nothing is written beside the store");
    std::fs::remove_dir(&mounted).unwrap();
    std::fs::rename(&away, &mounted).unwrap();
    assert_eq!(store.get("acme", &reference).await.unwrap(), "precious");
}

#[tokio::test]
async fn a_tenant_named_like_a_folder_above_stays_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let (store, run) = (open(&inside), RunKey::new("..", RunId::random()));
    let reference = store.put(&run, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.get("..", &reference).await.unwrap(), "x");
    assert_eq!(files(folder.path()), ["inside"]);
    store.delete(&run).await.unwrap();
    assert_eq!(files(&inside), ["oarlock-payloads"]);
}

#[tokio::test]
async fn what_a_writer_left_that_died_goes_with_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (store, run) = (open(folder.path()), run());
    let reference = store.put(&run, Bytes::from_static(b"x")).await.unwrap();
    std::fs::write(format!("{}#1", reference.uri.strip_prefix("file://").unwrap()), "half").unwrap();
    store.delete(&run).await.unwrap();
    assert_eq!(files(folder.path()), ["oarlock-payloads"]);
}

#[test]
fn an_address_that_cannot_be_used_says_what_to_write() {
    for (url, says) in [
        ("", "file:///directory"),
        ("/srv/payloads", "file:///directory"),
        ("ftp://host/a", "file:///directory"),
        ("file://payloads", "written whole"),
        ("file:///srv/a%20b", "without %"),
        ("file:///no/such/directory", "make it"),
        #[cfg(not(feature = "s3"))]
        ("s3://bucket", "--features s3"),
        #[cfg(feature = "s3")]
        ("s3://", "no bucket"),
    ] {
        let error = Objects::open(url, LARGEST).unwrap_err().to_string();
        assert!(error.contains(says), "{url}: {error}");
    }
}
