//! How much is stored, and how much one commit writes.

use oarlock_protocol::instance::WorkflowStatus::Running;

use super::*;

fn first_rows() -> (Plan, Run, Stored) {
    let plan = plan(&json!([task("a", "${ input.text }"), task("b", "${ input.text }")]));
    let (mut run, _) = start(&plan, json!({"text": "x"}));
    let mut stored = Stored::default();
    stored.commit(&mut run);
    admit(&plan, &mut run, 1, "/a");
    (plan, run, stored)
}

#[test]
fn a_row_of_one_attempt_takes_at_most_220_bytes_and_an_open_one_200() {
    let (plan, mut run, mut stored) = first_rows();
    stored.commit(&mut run);
    assert!(stored.text("t:/a").len() <= 200, "{}", stored.text("t:/a"));
    complete(&plan, &mut run, 9, "/a", json!({"text": "y"}));
    stored.commit(&mut run);
    assert!(stored.text("t:/a").len() <= 220, "{}", stored.text("t:/a"));
    let expected = r#"{"status":"COMPLETED","at":1795740482464,"task":{"queue":"work","attempts":[{"worker":"vm-042794a5b056","sent":1,"start":3,"end":9,"in":13,"out":13}]},"input":{"text":"x"},"output":{"text":"y"}}"#;
    assert_eq!(stored.text("t:/a"), expected);
}

#[test]
fn a_step_of_a_chain_writes_three_fields_of_small_data() {
    let (plan, mut run, mut stored) = first_rows();
    stored.commit(&mut run);
    stored.0.clear();
    complete(&plan, &mut run, 9, "/a", json!({"text": "y"}));
    let size = stored.commit(&mut run);
    assert_eq!(stored.fields(), ["head", "t:/a", "t:/b"]);
    assert!(size <= 600, "{size} bytes");
}

#[test]
fn the_cancel_of_a_block_of_600_burdened_tasks_is_a_small_commit() {
    let copies: Vec<Json> = (0..600).map(|n| task(&format!("t{n}"), "${ input.text }")).collect();
    let plan = plan(&json!([{"id": "p", "parallel": copies}]));
    let (mut run, effects) = start(&plan, json!({"text": "x".repeat(64 * 1024)}));
    let mut stored = Stored::default();
    assert!(stored.commit(&mut run) > 600 * 64 * 1024);
    for effect in effects {
        if let Effect::Offer { path, .. } = effect {
            handle(&plan, &mut run, 1, Event::Admitted { path });
        }
    }
    assert!(stored.commit(&mut run) < 601 * 256);
    handle(&plan, &mut run, 2, Event::Cancel { reason: "enough".to_owned() });
    let size = stored.commit(&mut run);
    assert!((60_000..601 * 256).contains(&size), "{size} bytes");

    let loaded = stored.load(&run, &plan);
    assert_eq!(loaded.head.status, Running);
    let tasks = loaded.rows.iter().filter(|(_, row)| row.work().is_some());
    assert_eq!(tasks.filter(|(_, row)| row.input.as_ref() == Some(&run.input)).count(), 600);
}
