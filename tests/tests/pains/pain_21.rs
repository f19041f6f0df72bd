//! Lists from an index of their own are late, or differ from what is. Here the entry of a run moves in the commit that moves the run.

use std::collections::HashSet;

use oarlock_orchestrator::node::Filter;
use oarlock_protocol::RunId;
use oarlock_protocol::instance::WorkflowStatus;
use serde_json::json;

use super::system::{System, TENANT};

const FEW: usize = 50;
const MANY: usize = 320;

fn filter(status: Option<WorkflowStatus>) -> Filter {
    Filter { tenant: TENANT.to_owned(), status, definition: None, limit: FEW, after: None }
}

async fn listed(system: &System, status: WorkflowStatus) -> Vec<RunId> {
    let page = system.node.list(&filter(Some(status))).await.unwrap();
    page.runs.iter().map(|run| run.id).collect()
}

#[tokio::test]
async fn pain_21_a_list_shows_a_run_as_soon_as_its_start_or_end_was_answered() {
    let system = System::start().await;
    system.register("{id: waits, version: 1, tasks: [{id: a, wait: {signal: never}}]}").await;
    for _ in 0..20 {
        let run = system.begin("waits", json!({})).await;
        assert_eq!(listed(&system, WorkflowStatus::Running).await, [run.run]);
        system.node.cancel(run.clone(), "enough".to_owned()).await.unwrap();
        system.end(&run).await;
        assert_eq!(listed(&system, WorkflowStatus::Running).await, []);
        assert_eq!(listed(&system, WorkflowStatus::Cancelled).await[0], run.run);
    }
}

#[tokio::test]
async fn pain_21_pages_show_each_run_once_while_others_begin() {
    let system = System::start().await;
    system.register("{id: fine, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    let mut before = HashSet::new();
    for _ in 0..MANY {
        before.insert(system.begin("fine", json!({})).await.run);
    }
    let mut seen = Vec::new();
    let mut page = filter(None);
    loop {
        let found = system.node.list(&page).await.unwrap();
        seen.extend(found.runs.iter().map(|run| run.id));
        // They come before the first page, and move nothing.
        system.begin("fine", json!({})).await;
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), MANY);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), before);
}
