//! Holds the example of docs/task-router.md to the router: its rules send its rows to its queues.

#![allow(clippy::unwrap_used, reason = "a failing test names its line")]

use oarlock_engine::router::{Rule, route};
use oarlock_protocol::definition::TaskDefinition;
use oarlock_protocol::security::{SecurityLevel, SecurityRequirements};
use serde::Deserialize;

const PAGE: &str = include_str!("../../docs/task-router.md");

#[derive(Deserialize)]
struct Configuration {
    router: Router,
}

#[derive(Deserialize)]
struct Router {
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    task: Option<String>,
    tenant: Option<String>,
    security_level: Option<SecurityLevel>,
    priority: Option<u8>,
    queue: String,
}

#[test]
fn the_documented_rules_choose_the_documented_queues() {
    let rules = rules();
    let table = PAGE.split_once("| Task | Security level |").unwrap().1;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 4);
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, id, level, tenant, priority, queue, _] = cells[..] else { unreachable!("{row}") };
        let security_level = (!level.is_empty()).then(|| serde_json::from_value(level.into()).unwrap());
        let security_requirements = Some(SecurityRequirements { security_level, ..Default::default() });
        let task = TaskDefinition { id: id.to_owned(), security_requirements, ..Default::default() };
        assert_eq!(route(&rules, &task, tenant, priority.parse().unwrap()), queue, "{row}");
    }
}

fn rules() -> Vec<Rule> {
    let text = PAGE.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let configuration: Configuration = toml::from_str(text).unwrap();
    let rules = configuration.router.rules.into_iter().map(|rule| Rule {
        task: rule.task,
        tenant: rule.tenant,
        security_level: rule.security_level,
        priority: rule.priority,
        queue: rule.queue,
    });
    rules.collect()
}
