//! examples/nightly-fan-out: thousands of files by hundreds, a few of them broken.

use std::fs;

use serde_json::{Value as Json, json};

use super::{Example, statuses};

const MAKE: &str = "sh examples/nightly-fan-out/make-files.sh";
const RUN: &str = "oarlock run examples/nightly-fan-out/workflow.yaml";
const BROKEN: [&str; 2] = ["device-01250.csv", "device-02501.csv"];

/// The readings of a file, where its last line tells their number.
fn readings(text: &str) -> Option<usize> {
    let readings = text.lines().count().checked_sub(1)?;
    (text.lines().last() == Some(&format!("end,{readings}"))).then_some(readings)
}

/// All files: the names of the broken ones, the name and readings of each other, in order.
fn counted(example: &Example) -> (Vec<String>, Vec<(String, usize)>) {
    let (mut broken, mut whole) = (Vec::new(), Vec::new());
    let folder = example.folder.join("examples/nightly-fan-out/work/in");
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match readings(&fs::read_to_string(entry.path()).unwrap()) {
            Some(readings) => whole.push((name, readings)),
            None => broken.push(name),
        }
    }
    broken.sort();
    whole.sort();
    (broken, whole)
}

fn shows(readme: &str, output: &Json) {
    let shown = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(&serde_json::from_str::<Json>(shown).unwrap(), output, "the README shows what comes of it");
}

#[test]
fn five_thousand_files_are_checked_and_two_broken_ones_are_named() {
    let example = Example::copy("nightly-fan-out");
    example.types(MAKE).exits(0);
    let run = example.types_with(RUN, "--json").exits(0).json();
    let (broken, whole) = counted(&example);
    assert_eq!((broken.as_slice(), whole.len()), (BROKEN.map(str::to_owned).as_slice(), 4_998));
    let readings: usize = whole.iter().map(|(_, readings)| readings).sum();
    assert_eq!(
        run["output"],
        json!({"files": 4_998, "readings": readings, "broken": BROKEN, "report": "work/report.txt"})
    );
    shows(&example.read("README.md"), &run["output"]);
    assert_eq!(
        statuses(&run, &["/hundreds[0]", "/hundreds[12]", "/hundreds[25]"]),
        ["COMPLETED", "FAILED", "FAILED"]
    );

    let report = example.read("work/report.txt");
    let (head, lines) = report.split_once("\n\n").unwrap();
    assert_eq!(head, format!("files 4998\nreadings {readings}\nbroken {}\nbroken {}", BROKEN[0], BROKEN[1]));
    let lines: Vec<(String, usize)> = lines
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            assert!(fields.len() == 4 && fields[1].parse::<u32>().is_ok(), "a checksum is in: {line}");
            (fields[3].to_owned(), fields[0].parse().unwrap())
        })
        .collect();
    assert_eq!(lines, whole);
    // Nothing but what came in and the report.
    assert_eq!(fs::read_dir(example.folder.join("examples/nightly-fan-out/work")).unwrap().count(), 2);
    example.is_quiet();
}

#[test]
fn a_third_broken_file_fails_the_night() {
    let example = Example::copy("nightly-fan-out");
    example.types_with(MAKE, "500").exits(0);
    example.edit("work/in/device-00007.csv", "end,", "fin,");
    let run = example.types_with(RUN, "--json").exits(1).json();
    assert_eq!(run["error"]["code"], "BROKEN_FILE");
    let message = run["error"]["message"].as_str().unwrap();
    assert!(message.contains("3 of ") && message.contains("device-00"), "{message}");
    assert_eq!(statuses(&run, &["/hundreds", "/:onError/remove"]), ["FAILED", "COMPLETED"]);
    assert_eq!(fs::read_dir(example.folder.join("examples/nightly-fan-out/work")).unwrap().count(), 1);
    example.is_quiet();
}

#[test]
fn it_is_tried_out_as_the_readme_shows() {
    Example::copy("nightly-fan-out").passes("workflow.yaml", "mocks.yaml");
}
