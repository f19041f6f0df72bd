//! `oarlock graph`.

use crate::harness::Folder;

const SHIP: &str = "id: ship
version: 1
tasks:
  - {id: pack, task: stock.pack}
  - {id: send, task: shipping.send, onError: [{id: tell, task: notify.clerk}]}
";

#[test]
fn a_definition_is_drawn_as_a_flowchart() {
    let folder = Folder::new();
    folder.write("ship.yaml", SHIP);
    let ended = folder.oarlock(&["graph", "ship.yaml"]).exits(0);
    assert!(ended.stdout.starts_with("flowchart TD\n"), "{}", ended.stdout);
    for line in ["  s_pack --> s_send\n", "  s_send -.->|\"error\"| s_send__error\n"] {
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
    let json = folder.oarlock(&["graph", "ship.yaml", "--json"]).exits(0).json();
    assert_eq!(json["mermaid"].as_str(), Some(ended.stdout.as_str()));
}

#[test]
fn a_broken_definition_is_not_drawn() {
    let folder = Folder::new();
    folder.write("ship.yaml", &SHIP.replace("task: stock", "taks: stock"));
    let ended =
        folder.oarlock(&["graph", "ship.yaml"]).exits(2).says(&["ship.yaml:4:", "Did you mean `task`?"]);
    assert_eq!(ended.stdout, "");
}
