//! The control-flow patterns of docs/patterns.md, a file each: who ran, who waited, who was cancelled, in which order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails names its line")]

mod pattern;
mod wp01_sequence;
mod wp02_parallel_split;
mod wp03_synchronization;
mod wp04_exclusive_choice;
mod wp05_simple_merge;
mod wp06_multi_choice;
mod wp07_structured_synchronizing_merge;
mod wp09_structured_discriminator;
mod wp11_implicit_termination;
mod wp12_instances_without_synchronization;
mod wp13_instances_known_at_design_time;
mod wp14_instances_known_at_run_time;
mod wp16_deferred_choice;
mod wp19_cancel_task;
mod wp20_cancel_case;
mod wp21_structured_loop;
mod wp22_recursion;
mod wp24_persistent_trigger;
mod wp25_cancel_region;
mod wp26_cancel_instances;
mod wp27_complete_instances;
mod wp29_cancelling_discriminator;
mod wp30_structured_partial_join;
mod wp32_cancelling_partial_join;
mod wp34_partial_join_for_instances;
mod wp35_cancelling_partial_join_for_instances;
mod wp37_acyclic_synchronizing_merge;
mod wp43_explicit_termination;

/// A pattern that is told and not tested would drift.
#[test]
fn every_documented_pattern_has_a_file_here() {
    let text = include_str!("../../../docs/patterns.md");
    let numbers: Vec<&str> =
        text.split("\n## ").skip(1).map(|section| section.split(' ').next().unwrap()).collect();
    let source = include_str!("main.rs");
    for number in &numbers {
        let number: u32 = number.parse().unwrap();
        assert!(source.contains(&format!("mod wp{number:02}_")), "pattern {number} has no file");
    }
    assert_eq!(source.matches("\nmod wp").count(), numbers.len());
}
