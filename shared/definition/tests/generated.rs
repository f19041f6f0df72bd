//! Definitions made by chance, of every kind of step in one another, and right by the way they are made: each is read
//! without an error, survives its stored form, and fits the schema that editors are given.

#![allow(clippy::unwrap_used, reason = "a failing test names its line")]

use std::fs;

use jsonschema::Validator;
use oarlock_definition::read;
use oarlock_protocol::Json;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Map, json};

/// Steps are no deeper in one another, so that a definition stays small.
const DEEPEST: usize = 5;

/// Makes a definition of choices; where these are used up, the plainest.
struct Maker<'c> {
    choices: std::slice::Iter<'c, u8>,
    steps: usize,
}

/// What an expression may name where a step stands.
#[derive(Clone, Default)]
struct Known {
    items: Vec<String>,
    variables: Vec<String>,
    steps: Vec<String>,
    is_handler: bool,
}

impl Maker<'_> {
    fn choose(&mut self, among: u8) -> u8 {
        self.choices.next().map_or(0, |choice| choice % among)
    }

    fn flip(&mut self) -> bool {
        self.choose(2) == 1
    }

    /// An expression that may stand there.
    fn expression(&mut self, known: &Known) -> String {
        let mut names = vec!["input.x".to_owned(), "workflow.id".to_owned()];
        names.extend(known.items.iter().cloned());
        names.extend(known.variables.iter().map(|name| format!("variables.{name}")));
        names.extend(known.steps.iter().map(|id| format!("tasks.{id}.output")));
        let which = usize::from(self.choose(u8::MAX)) % names.len();
        names.swap_remove(which)
    }

    fn value(&mut self, known: &Known) -> Json {
        json!(format!("${{ {} }}", self.expression(known)))
    }

    fn list(&mut self, depth: usize, known: &Known, is_parallel: bool) -> Vec<Json> {
        let mut known = known.clone();
        let count = 1 + self.choose(3);
        let mut steps = Vec::new();
        for _ in 0..count {
            let step = self.step(depth, &known);
            if !is_parallel {
                known.steps.push(step["id"].as_str().unwrap().to_owned());
            }
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, depth: usize, known: &Known) -> Json {
        let number = self.steps;
        self.steps += 1;
        let mut step = Map::new();
        step.insert("id".to_owned(), json!(format!("s{number}")));
        if self.flip() {
            step.insert(
                "condition".to_owned(),
                json!(format!("has(input.x) && {} != 1", self.expression(known))),
            );
        }
        let kinds = if depth < DEEPEST { 9 } else { 4 };
        match self.choose(kinds) {
            0 => self.task(&mut step, known),
            1 => self.wait(&mut step, depth, known),
            2 => self.child(&mut step, known),
            3 => drop(step.insert("set".to_owned(), json!({"written": self.value(known)}))),
            kind => self.block(&mut step, kind, number, depth, known),
        }
        if self.flip() {
            let handlers = Known { is_handler: true, ..known.clone() };
            step.insert("onError".to_owned(), json!(self.list(DEEPEST, &handlers, false)));
        }
        Json::Object(step)
    }

    fn task(&mut self, step: &mut Map<String, Json>, known: &Known) {
        step.insert("task".to_owned(), json!("x.y"));
        let secret = if self.flip() { json!("Bearer ${ secrets.token }") } else { json!(1) };
        step.insert("inputMappings".to_owned(), json!({"a": self.value(known), "b": [secret]}));
        self.compensation(step, known);
    }

    fn compensation(&mut self, step: &mut Map<String, Json>, known: &Known) {
        if self.flip() && !known.is_handler {
            let mappings =
                json!({"was": "${ taskInput }", "gave": "${ taskOutput.a }", "more": self.value(known)});
            let when = if self.flip() { "ATTEMPTED" } else { "COMPLETED" };
            let compensation = json!({"task": "x.undo", "when": when, "inputMappings": mappings});
            step.insert("compensateWith".to_owned(), compensation);
        }
    }

    fn wait(&mut self, step: &mut Map<String, Json>, depth: usize, known: &Known) {
        let mut wait = match self.choose(4) {
            0 => json!({"duration": "10m"}),
            1 => json!({"until": self.value(known)}),
            2 => {
                json!({"signal": format!("for ${{ {} }}", self.expression(known)), "schema": {"type": "object"}})
            }
            _ => {
                json!({"first": [{"signal": "a"}, {"duration": self.value(known)}, {"until": "2026-11-24T08:00:00Z"}]})
            }
        };
        if self.flip() {
            wait["timeout"] = json!("1day");
            if depth < DEEPEST {
                step.insert("onTimeout".to_owned(), json!(self.list(DEEPEST, known, false)));
            }
        }
        step.insert("wait".to_owned(), wait);
    }

    fn child(&mut self, step: &mut Map<String, Json>, known: &Known) {
        step.insert("workflow".to_owned(), json!({"id": "other", "wait": self.flip()}));
        step.insert("inputMappings".to_owned(), json!({"a": self.value(known)}));
        step.insert("variableMappings".to_owned(), json!({"written": "${ taskOutput.a }"}));
        self.compensation(step, known);
    }

    fn block(&mut self, step: &mut Map<String, Json>, kind: u8, number: usize, depth: usize, known: &Known) {
        let mut inside = known.clone();
        let own = format!("v{number}");
        let item = format!("i{number}");
        match kind {
            7 => inside.items.extend([item.clone(), "index".to_owned()]),
            8 => inside.items.push("index".to_owned()),
            _ => {}
        }
        if self.flip() {
            step.insert("variables".to_owned(), json!({own.clone(): self.value(&inside)}));
            inside.variables.push(own);
        }
        let steps = self.list(depth + 1, &inside, kind == 5);
        if self.flip() && matches!(kind, 4 | 5 | 7) {
            step.insert("join".to_owned(), json!({"need": 1, "cancelRest": self.flip()}));
        }
        let last = steps[steps.len() - 1]["id"].as_str().unwrap().to_owned();
        match kind {
            4 => drop(step.insert("tasks".to_owned(), json!(steps))),
            5 => drop(step.insert("parallel".to_owned(), json!(steps))),
            6 => {
                let other = self.list(depth + 1, &inside, false);
                let when = format!("{} == 1", self.expression(known));
                let cases = json!([{"when": when, "tasks": steps}, {"otherwise": true, "tasks": other}]);
                step.insert("switch".to_owned(), cases);
            }
            7 => {
                let each = json!({
                    "items": if self.flip() { self.value(known) } else { json!([1, 2]) }, "as": item,
                    "concurrency": 3, "tolerate": if self.flip() { json!("10%") } else { json!(2) },
                    "until": "counts.completed > 3", "collect": format!("${{ {last}.output }}"),
                });
                step.insert("forEach".to_owned(), each);
                step.insert("tasks".to_owned(), json!(steps));
            }
            _ => {
                let repeat = json!({
                    "while": "index < 5", "until": format!("has({last}.output)"), "delay": "1s", "maxDelay": "1m",
                    "output": {"index": "${ index }", "last": format!("${{ tasks.{last}.output }}")},
                });
                step.insert("loop".to_owned(), repeat);
                step.insert("tasks".to_owned(), json!(steps));
            }
        }
    }
}

fn definition(choices: &[u8]) -> Json {
    let mut maker = Maker { choices: choices.iter(), steps: 0 };
    let known = Known { variables: vec!["total".to_owned()], ..Known::default() };
    let tasks = maker.list(0, &known, false);
    json!({"id": "w", "version": 1, "variables": {"total": 0}, "tasks": tasks})
}

fn validator() -> Validator {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schemas/workflow.schema.json");
    jsonschema::validator_for(&serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).unwrap()
}

/// A runner that tries the same cases every time; `PROPTEST_CASES` asks for more, `PROPTEST_RNG_SEED` for others.
fn runner() -> TestRunner {
    let asked = Config::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
    };
    TestRunner::new(Config { cases: 500.max(asked.cases), rng_seed, failure_persistence: None, ..asked })
}

#[test]
fn definitions_of_every_kind_are_read_stored_and_read_again() {
    let validator = validator();
    let mut runner = runner();
    let seen = std::cell::RefCell::new(String::new());
    let choices = prop::collection::vec(any::<u8>(), 0..200);
    let outcome = runner.run(&choices, |choices| {
        let written = definition(&choices);
        prop_assert!(validator.is_valid(&written), "{:#}", written);
        let text = serde_json::to_string_pretty(&written).unwrap();
        let report = read("made.json", &text);
        prop_assert!(!report.has_errors(), "{}", report.render(false));
        let stored = serde_json::to_value(report.definition.unwrap()).unwrap();
        prop_assert!(validator.is_valid(&stored), "{:#}", stored);
        let again = read("stored.json", &stored.to_string());
        prop_assert!(!again.has_errors(), "{}", again.render(false));
        prop_assert_eq!(serde_json::to_value(again.definition.unwrap()).unwrap(), stored);
        // A megabyte has seen every kind.
        if seen.borrow().len() < 1 << 20 {
            seen.borrow_mut().push_str(&text);
        }
        Ok(())
    });
    outcome.unwrap();
    for key in
        ["forEach", "loop", "wait", "first", "workflow", "switch", "join", "compensateWith", "onTimeout"]
    {
        assert!(seen.borrow().contains(&format!("\"{key}\":")), "no definition has {key}");
    }
}
