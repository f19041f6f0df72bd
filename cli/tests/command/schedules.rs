//! `oarlock schedule`: what is wrong with a file is told with its place or its field, before anything is sent.

use crate::harness::Folder;

const GOOD: &str = "id: nightly\nworkflow: report\ncron: '0 3 * * *'\n";

#[test]
fn a_wrong_file_names_the_field_and_shows_a_right_one() {
    let folder = Folder::new();
    folder.write("good.yaml", GOOD);
    for (text, told) in [
        (
            "id: a\nworkflow: b\ncron: '0 3 * *'\n",
            "wrong.yaml: `cron`: '0 3 * *' is no cron expression: it has 4 fields",
        ),
        (
            "id: a\nworkflow: b\ncron: '@daily'\ntimeZone: Tokyo\n",
            "did you mean 'Asia/Tokyo'? write its IANA name",
        ),
        ("id: a\nworkflow: b\ncorn: '@daily'\n", "unknown field `corn`"),
        (
            "id: a\nworkflow: b\ncron: '@daily'\npriority: 10\n",
            "wrong.yaml: `priority`: a priority is a whole number from 0 to 9",
        ),
        ("id: a\nworkflow: b\n", "missing field `cron`; the smallest schedule is"),
        ("id: a\n  workflow: b\n", "wrong.yaml is no valid schedule"),
    ] {
        folder.write("wrong.yaml", text);
        // The good one is not sent: there is no server here that it could have been sent to.
        let apply = ["schedule", "apply", "good.yaml", "wrong.yaml", "--server", "http://127.0.0.1:1"];
        folder.oarlock(&apply).exits(2).says(&[told]);
    }
    // What the page shows is right.
    let page = include_str!("../../../docs/schedules.md");
    folder.write("good.yaml", page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap());
    let alone = ["schedule", "apply", "good.yaml", "--server", "http://127.0.0.1:1"];
    folder.oarlock(&alone).exits(3);
}
