//! The flowchart of a definition: as expected for one of every kind, and whole for every good definition.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use oarlock_definition::{graph, read};

fn drawn(text: &str) -> String {
    let report = read("graph.yaml", text);
    assert!(!report.has_errors(), "{}", report.render(false));
    graph(&report.definition.unwrap())
}

const EVERY_KIND: &str = r#"
id: every_kind
version: 2
tasks:
  - {id: price, task: pricing.quote, condition: "input.a > 1 && input.b == \"x\""}
  - {id: beside, task: a.b, dependsOn: []}
  - id: lines
    join: {need: 2}
    forEach: {items: "${ input.lines }", as: line}
    tasks:
      - {id: pick, task: stock.pick, compensateWith: {task: stock.put_back}}
      - {id: pack, task: stock.pack}
    onError: [{id: tell, task: notify.clerk}]
  - id: poll
    loop: {while: index < 5, until: look.output.done}
    tasks: [{id: look, task: job.status}]
  - id: route
    switch:
      - {when: input.big, tasks: [{id: vip, task: notify.vip}]}
      - {otherwise: true, tasks: [{id: usual, set: {state: done}}]}
  - {id: approve, wait: {signal: approval, timeout: 24h}, onTimeout: [{id: remind, task: notify.manager}]}
  - id: both
    parallel: [{id: left, workflow: {id: other, version: 3}}, {id: right, wait: {first: [{duration: 1m}, {signal: go}]}}]
  - {id: stop, terminate: {status: FAILED}}
onError: [{id: clean, task: a.clean}]
"#;

const EXPECTED: &str = r#"flowchart TD
  begin(("every_kind 2"))
  s_price["price<br/>pricing.quote<br/>if input.a #gt; 1 #amp;#amp; input.b == #quot;x#quot;"]
  s_beside["beside<br/>a.b"]
  subgraph s_lines["lines<br/>for each line of input.lines<br/>2 are enough"]
    s_pick["pick<br/>stock.pick"]
    s_pick__undo["stock.put_back"]
    s_pick -.->|"undone by"| s_pick__undo
    s_pack["pack<br/>stock.pack"]
    s_pick --> s_pack
  end
  subgraph s_lines__error["on error of lines"]
    s_tell["tell<br/>notify.clerk"]
  end
  s_lines -.->|"error"| s_lines__error
  subgraph s_poll["poll<br/>while index #lt; 5, until look.output.done"]
    s_look["look<br/>job.status"]
  end
  subgraph s_route["route"]
    s_route__choice{"?"}
    s_vip["vip<br/>notify.vip"]
    s_route__choice -->|"input.big"| s_vip
    s_usual[/"usual<br/>set state"/]
    s_route__choice -->|"otherwise"| s_usual
  end
  s_approve{{"approve<br/>waits for signal approval, at most 1day"}}
  subgraph s_approve__timeout["on timeout of approve"]
    s_remind["remind<br/>notify.manager"]
  end
  s_approve -.->|"timeout"| s_approve__timeout
  subgraph s_both["both<br/>all at once"]
    s_left[["left<br/>starts other 3"]]
    s_right{{"right<br/>waits for 1m or signal go"}}
  end
  s_stop(["stop<br/>ends FAILED"])
  s_price --> s_lines
  s_beside --> s_lines
  s_lines --> s_poll
  s_poll --> s_route
  s_route --> s_approve
  s_approve --> s_both
  s_both --> s_stop
  begin --> s_price
  begin --> s_beside
  subgraph begin__error["on error of the workflow"]
    s_clean["clean<br/>a.clean"]
  end
  begin -.->|"error"| begin__error
"#;

#[test]
fn a_definition_of_every_kind_is_drawn_as_expected() {
    let drawn = drawn(EVERY_KIND);
    assert!(drawn == EXPECTED, "{drawn}");
}

#[test]
fn what_waits_for_what_is_drawn_once() {
    let drawn = drawn(
        "id: o\nversion: 1\ntasks:\n  - {id: one, task: t}\n  - {id: two, task: t}\n  - {id: beside, task: t, dependsOn: []}\n  \
         - {id: after, task: t, dependsOn: [one, beside]}\n  - {id: last, task: t}\n",
    );
    let edges: Vec<&str> = drawn.lines().map(str::trim).filter(|line| line.contains(" --> ")).collect();
    let expected = [
        "s_one --> s_two",
        "s_one --> s_after",
        "s_beside --> s_after",
        "s_two --> s_last",
        "s_after --> s_last",
        "begin --> s_one",
        "begin --> s_beside",
    ];
    assert_eq!(edges, expected);
}

#[test]
fn no_text_of_a_definition_ends_its_label() {
    let drawn =
        drawn("id: t\nversion: 1\ntasks:\n  - {id: end, task: t, condition: 'input.a == \"\\\"] --> x\"'}\n");
    assert!(
        drawn.contains("s_end[\"end<br/>t<br/>if input.a == #quot;\\#quot;] --#gt; x#quot;\"]"),
        "{drawn}"
    );
}

#[test]
fn every_good_definition_is_drawn_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/good");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let definition = read(file, &fs::read_to_string(&path).unwrap()).definition.unwrap();
        let drawn = graph(&definition);
        let lines: Vec<&str> = drawn.lines().skip(1).map(str::trim).collect();
        let frames = lines.iter().filter(|line| line.starts_with("subgraph ")).count();
        assert_eq!(frames, lines.iter().filter(|line| **line == "end").count(), "{file}");
        let named = |line: &str| -> String {
            let line = line.strip_prefix("subgraph ").unwrap_or(line);
            line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        };
        let is_edge =
            |line: &&&str| line.contains(" --> ") || line.contains(" -->|") || line.contains(" -.->|");
        let nodes: BTreeSet<String> =
            lines.iter().filter(|line| !is_edge(line) && **line != "end").map(|line| named(line)).collect();
        for edge in lines.iter().filter(is_edge) {
            let to = edge.rsplit(' ').next().unwrap().to_owned();
            assert!(nodes.contains(&named(edge)) && nodes.contains(&to), "{file}: {edge}");
        }
        let ids = serde_json::to_value(&definition).unwrap();
        for id in step_ids(&ids["tasks"]).into_iter().chain(step_ids(&ids["onError"])) {
            assert!(nodes.contains(&format!("s_{id}")), "{file} does not show {id}");
        }
    }
}

/// The ids of all steps in the stored form.
fn step_ids(tasks: &serde_json::Value) -> Vec<String> {
    let mut ids = Vec::new();
    for task in tasks.as_array().into_iter().flatten() {
        ids.extend(task["id"].as_str().map(str::to_owned));
        let cases = task["switch"].as_array().into_iter().flatten().map(|case| &case["tasks"]);
        let inside = ["tasks", "parallel", "onError", "onTimeout"].map(|key| &task[key]);
        inside.into_iter().chain(cases).for_each(|tasks| ids.extend(step_ids(tasks)));
    }
    ids
}
