//! docs/testing.md: its example prints what the page shows, and the page names every field of a file of mocks.

use oarlock_trial::{Case, Expect, Outcome, SignalMock};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::harness::Folder;

const PAGE: &str = include_str!("../../../docs/testing.md");

/// The code blocks with this after their opening.
fn blocks(kind: &str) -> Vec<&str> {
    let opening = format!("\n```{kind}\n");
    PAGE.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A folder with the page's definition and mocks.
fn folder() -> Folder {
    let folder = Folder::new();
    for file in ["workflow.yaml", "mocks.yaml"] {
        folder.write(file, blocks(&format!("yaml {file}"))[0]);
    }
    folder
}

#[test]
fn the_commands_print_what_the_page_shows() {
    let folder = folder();
    let (commands, shown) = (blocks("sh"), blocks("text"));
    assert!(commands.len() >= 2);
    for (command, shown) in commands.iter().zip(&shown) {
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        assert_eq!(&folder.oarlock(&arguments).exits(0).stdout, shown, "{command}");
    }
}

#[test]
fn a_difference_is_told_as_the_page_shows() {
    let folder = folder();
    let mocks = folder.read("mocks.yaml").replace("took: 1d", "took: 2d");
    folder.write("mocks.yaml", &mocks);
    let ended = folder.oarlock(&["test", "workflow.yaml", "--mocks", "mocks.yaml"]).exits(1);
    let shown = blocks("text").pop().unwrap();
    assert!(ended.stdout.starts_with(shown), "{}", ended.stdout);
    folder.oarlock(&["test", "workflow.yaml", "--mocks", "none.yaml"]).exits(2);
}

#[test]
fn too_little_coverage_is_told() {
    let folder = folder();
    let with =
        |percent| folder.oarlock(&["test", "workflow.yaml", "--mocks", "mocks.yaml", "--coverage", percent]);
    with("60").exits(0);
    assert!(with("61").exits(1).stdout.contains("✘ at least 61 % of the branches were asked for"));
}

/// The fields of a type that refuses all others: serde's refusal lists them.
fn fields<T: DeserializeOwned>(value: serde_json::Value) -> Vec<String> {
    let refusal = serde_json::from_value::<T>(value).err().unwrap().to_string();
    let listed = refusal.split_once("expected one of ").unwrap_or_else(|| panic!("{refusal}")).1;
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_page_names_every_field() {
    let strange = || json!({"strange": 1});
    let all = [
        fields::<Case>(strange()),
        fields::<Outcome>(strange()),
        fields::<Outcome>(json!({"fail": strange()})),
        fields::<SignalMock>(strange()),
        fields::<Expect>(strange()),
    ];
    assert!(all.iter().all(|fields| fields.len() >= 3));
    for field in all.iter().flatten() {
        assert!(PAGE.contains(&format!("`{field}`")), "docs/testing.md does not tell `{field}`");
    }
}
