//! `oarlock dev --data DIR`: what outlives the process, and folders that cannot be used.

use crate::harness::eventually;
use crate::server::Server;
use crate::starts::folder;

#[test]
fn runs_and_definitions_outlive_the_process() {
    let folder = folder();
    let first = Server::start(&folder, &["--data", "data", "answer.yaml", "wait.yaml"]);
    assert!(first.said.contains("runs are kept in data\n"), "{}", first.said);
    let ended = first.start_run(&folder, &["answer", "--key", "ended"]);
    eventually("it has ended", || first.json(&folder, &["get", &ended])["status"] == "COMPLETED");
    let before = first.json(&folder, &["get", &ended]);
    let waiting = first.start_run(&folder, &["wait"]);
    first.stop().exits(0);

    // The task nobody executed finds its worker now.
    let second = Server::start(&folder, &["--data", "data", "--exec", "nobody=cat"]);
    assert_eq!(second.json(&folder, &["get", &ended]), before);
    eventually("it goes on", || second.json(&folder, &["get", &waiting])["status"] == "COMPLETED");
    let again = second.json(&folder, &["start", "answer", "--key", "ended"]);
    assert_eq!((again["id"].as_str(), again["existing"].as_bool()), (Some(ended.as_str()), Some(true)));
    assert_eq!(second.json(&folder, &["list"])["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = folder();
    let first = Server::start(&folder, &["--data", "data"]);
    let ended = folder.oarlock(&["dev", "--listen", "127.0.0.1:0", "--data", "data"]).exits(2);
    ended.says(&["data/oarlock.redb", "in use by another process", "name another folder"]);
    first.kill();
    Server::start(&folder, &["--data", "data"]).stop().exits(0);
}

#[test]
fn a_folder_that_cannot_be_used_is_told_with_the_remedy() {
    let folder = folder();
    folder.write("file", "");
    std::fs::create_dir(folder.join("foreign")).unwrap();
    folder.write("foreign/oarlock.redb", &"this is a diary\n".repeat(1_000));
    let rows = [
        ("file", "name a folder this user may write to"),
        ("file/inner", "name a folder this user may write to"),
        // Nobody may write there, root included.
        ("/proc/oarlock", "name a folder this user may write to"),
        ("foreign", "is no database of this program"),
    ];
    for (data, said) in rows {
        let ended = folder.oarlock(&["dev", "--listen", "127.0.0.1:0", "--data", data]).exits(2);
        ended.says(&[data, said]);
    }
    assert!(folder.read("foreign/oarlock.redb").starts_with("this is a diary"), "it is left as it was");
}
