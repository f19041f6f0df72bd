//! What differs between two editions of a definition: told to whoever registers another one under a number that is taken.

use std::fmt;

use oarlock_protocol::Json;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::error::cut;
use serde_json::json;

/// How many changes are told: more are another workflow, and an error must stay readable.
const MOST: usize = 20;

/// The longest value that is told, in bytes of JSON.
const LONGEST_VALUE: usize = 80;

/// The longest place that is told, in bytes.
const LONGEST_PATH: usize = 120;

/// The differences between two definitions, at most twenty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order of the places.
    pub list: Vec<Change>,
    /// How many more there are.
    pub more: usize,
}

/// One place where two definitions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where, as in `tasks[charge].timeouts.total`: steps and task definitions by their id.
    pub path: String,
    /// What is registered; none where there was nothing. Cut to a line.
    pub old: Option<String>,
    /// What came; none where there is nothing any more. Cut to a line.
    pub new: Option<String>,
}

impl Changes {
    /// From the registered definition to the one that came.
    pub fn between(old: &WorkflowDefinition, new: &WorkflowDefinition) -> Self {
        let mut changes = Self::default();
        // What cannot be written as JSON was never read as a definition.
        let value = |definition| serde_json::to_value(definition).unwrap_or_default();
        changes.compare("", Some(&value(old)), Some(&value(new)));
        changes
    }

    /// As JSON: `[{path, old, new}]`.
    pub fn to_json(&self) -> Json {
        self.list
            .iter()
            .map(|change| json!({"path": change.path, "old": change.old, "new": change.new}))
            .collect()
    }

    fn compare(&mut self, path: &str, old: Option<&Json>, new: Option<&Json>) {
        match (old, new) {
            (Some(old), Some(new)) if old == new => {}
            (Some(Json::Object(old)), Some(Json::Object(new))) => {
                let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
                names.sort();
                names.dedup();
                for name in names {
                    // A name may hold what steers a terminal.
                    let shown = name.escape_debug();
                    let place = if path.is_empty() { shown.to_string() } else { format!("{path}.{shown}") };
                    self.compare(&place, old.get(name), new.get(name));
                }
            }
            (Some(Json::Array(old)), Some(Json::Array(new))) => match (ids(old), ids(new)) {
                (Some(old_ids), Some(new_ids)) => self.by_id(path, (old, &old_ids), (new, &new_ids)),
                (_, _) => {
                    for index in 0..old.len().max(new.len()) {
                        self.compare(&format!("{path}[{index}]"), old.get(index), new.get(index));
                    }
                }
            },
            (old, new) => self.add(path, old.map(line), new.map(line)),
        }
    }

    /// Lists whose items have an id each: what moved is told as moved, not as changed.
    fn by_id(&mut self, path: &str, old: (&[Json], &[&str]), new: (&[Json], &[&str])) {
        let find = |(list, ids): (&'_ [Json], &[&str]), id: &str| {
            ids.iter().position(|other| *other == id).and_then(|at| list.get(at)).cloned()
        };
        for id in old.1.iter().chain(new.1.iter().filter(|id| !old.1.contains(id))) {
            self.compare(&format!("{path}[{id}]"), find(old, id).as_ref(), find(new, id).as_ref());
        }
        let both = |ids: &[&str], others: &[&str]| -> Vec<String> {
            ids.iter().filter(|id| others.contains(id)).map(|id| (*id).to_owned()).collect()
        };
        let (before, after) = (both(old.1, new.1), both(new.1, old.1));
        if before != after {
            let order = |ids: &[String]| line(&Json::String(format!("in the order {}", ids.join(", "))));
            self.add(path, Some(order(&before)), Some(order(&after)));
        }
    }

    fn add(&mut self, path: &str, old: Option<String>, new: Option<String>) {
        if self.list.len() >= MOST {
            self.more += 1;
            return;
        }
        let mut path = path.to_owned();
        cut(&mut path, LONGEST_PATH);
        self.list.push(Change { path, old, new });
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Change { path, old, new } in &self.list {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            write!(f, "\n  {path}: {} → {}", text(old), text(new))?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// The ids of a list's items, where each has one of its own.
fn ids(list: &[Json]) -> Option<Vec<&str>> {
    let ids: Option<Vec<&str>> = list.iter().map(|item| item.get("id")?.as_str()).collect();
    let ids = ids?;
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    (once.len() == ids.len()).then_some(ids)
}

/// A value on one line.
fn line(value: &Json) -> String {
    let mut text = value.to_string();
    cut(&mut text, LONGEST_VALUE);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test names its line")]
mod tests {
    use super::*;

    fn definition(tasks: Json, more: Json) -> WorkflowDefinition {
        let mut definition = json!({"id": "w", "version": 1, "tasks": tasks});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(definition).unwrap()
    }

    fn between(old: &WorkflowDefinition, new: &WorkflowDefinition) -> String {
        Changes::between(old, new).to_string()
    }

    #[test]
    fn each_place_is_told_with_its_old_and_new_value() {
        let old = definition(
            json!([{"id": "a", "task": "x"}, {"id": "b", "task": "y", "priority": 3}]),
            json!({"variables": {"total": 0}, "description": "d".repeat(200)}),
        );
        let new = definition(
            json!([{"id": "a", "task": "z"}, {"id": "b", "task": "y", "inputMappings": {"n": [1, 2]}}]),
            json!({"variables": {"total": {"n": 1}}}),
        );
        let told = between(&old, &new);
        let expected = format!(
            "\n  description: \"{}… → nothing\n  tasks[a].task: \"x\" → \"z\"\n  \
             tasks[b].inputMappings: nothing → {{\"n\":[1,2]}}\n  tasks[b].priority: 3 → nothing\n  \
             variables.total: 0 → {{\"n\":1}}",
            "d".repeat(79)
        );
        assert_eq!(told, expected);
        assert_eq!(between(&old, &old), "");
    }

    #[test]
    fn a_step_that_comes_goes_or_moves_is_told_as_that() {
        let step = |id: &str| json!({"id": id, "task": "x"});
        let old = definition(json!([step("a"), step("b"), step("c")]), json!({}));
        let new = definition(json!([step("c"), step("d"), step("b")]), json!({}));
        let expected = "\n  tasks[a]: {\"id\":\"a\",\"task\":\"x\"} → nothing\n  \
             tasks[d]: nothing → {\"id\":\"d\",\"task\":\"x\"}\n  \
             tasks: \"in the order b, c\" → \"in the order c, b\"";
        assert_eq!(between(&old, &new), expected);
    }

    #[test]
    fn no_more_than_twenty_lines_are_told() {
        let steps = |task: &str| (0..30).map(|n| json!({"id": format!("s{n}"), "task": task})).collect();
        let changes =
            Changes::between(&definition(steps("x"), json!({})), &definition(steps("y"), json!({})));
        assert_eq!((changes.list.len(), changes.more), (20, 10));
        assert!(changes.to_string().ends_with("\n  and 10 more"));
        assert!(changes.to_string().len() < oarlock_protocol::error::LONGEST_MESSAGE);
    }
}
