//! What the workers of a simulation do: every handler behaves as `behaviour` says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use oarlock_protocol::{ExecutionId, Json, RunId};
use oarlock_worker::{Answer, Finished, Handler, TaskContext, TaskError};
use serde_json::json;
use tokio::time::sleep;

use crate::behaviour::{Behaviour, Deed};
use crate::flow::{Flow, Kind, Step, Work};
use crate::world::{World, lock, ms};

/// What a panic says that a handler was told to have.
pub(crate) const TOLD: &str = "as it was told";

/// Executes tasks.
pub(crate) struct Hands {
    world: Arc<World>,
    /// The tasks of all workflows, by the ids of their steps.
    works: BTreeMap<String, Work>,
    ledger: Mutex<Ledger>,
}

/// What was executed.
#[derive(Default)]
pub(crate) struct Ledger {
    /// How often each attempt was begun.
    pub(crate) begun: BTreeMap<ExecutionId, u32>,
    /// Attempts that were handed on, and what completes them.
    pub(crate) handed_on: BTreeMap<ExecutionId, HandedOn>,
}

/// An attempt that somebody else completes.
#[derive(Clone, Debug)]
pub(crate) struct HandedOn {
    pub(crate) path: String,
    pub(crate) n: i64,
    pub(crate) since_ms: u64,
}

impl Hands {
    pub(crate) fn new(world: &Arc<World>, flows: &[Flow]) -> Arc<Self> {
        let mut works = BTreeMap::new();
        for flow in flows {
            collect(&flow.steps, &mut works);
            collect(&flow.on_error, &mut works);
        }
        Arc::new(Self { world: Arc::clone(world), works, ledger: Mutex::default() })
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&Ledger) -> T) -> T {
        at(&lock(&self.ledger))
    }

    /// The task at a place, and how it behaves there.
    pub(crate) fn behaviour(&self, run: RunId, path: &str) -> (Work, Behaviour) {
        let id = path.rsplit('/').next().unwrap_or_default();
        let safe = Work { safe: true, ..Work::default() };
        let work = self.works.get(id).cloned().unwrap_or(safe);
        let behaviour = Behaviour::of(self.world.seed, run, path, work.safe);
        (work, behaviour)
    }

    fn hand_on(&self, context: &TaskContext, n: i64) {
        let path = context.task_path().to_string();
        let handed = HandedOn { path, n, since_ms: self.world.age_ms() };
        lock(&self.ledger).handed_on.entry(context.execution_id()).or_insert(handed);
    }
}

fn collect(steps: &[Step], works: &mut BTreeMap<String, Work>) {
    for step in steps {
        if let Kind::Task(work) = &step.kind {
            works.insert(step.id.clone(), work.clone());
        }
        step.lists().into_iter().for_each(|list| collect(list, works));
    }
}

#[async_trait]
impl Handler for Hands {
    async fn run(&self, _: Json, context: TaskContext) -> Finished {
        let (run, path, number) = (context.workflow_instance_id(), context.task_path(), context.attempt());
        let (work, behaviour) = self.behaviour(run, path.as_str());
        let deed = behaviour.deed(number);
        *lock(&self.ledger).begun.entry(context.execution_id()).or_default() += 1;
        self.world.note(&format!("   {path} of {run} attempt {number} begins: {deed:?}"));
        let lasts = sleep(ms(behaviour.lasts_ms(number, work.limited)));
        tokio::select! {
            biased;
            () = lasts => {}
            () = context.cancelled() => {
                return Err::<Answer, _>(TaskError::new("STOPPED", "it was told to end")).into();
            }
        }
        let result = match deed {
            Deed::Complete(n) => Ok(Answer::Completed(json!({"n": n}))),
            Deed::Fail { fatal: true } => Err(TaskError::new("WORSE", "it fails for good").not_retryable()),
            Deed::Fail { fatal: false } => Err(TaskError::new("BAD", "it fails")),
            Deed::Panic => panic!("{TOLD}"),
            Deed::Defer => Ok(Answer::again(Duration::from_millis(700), json!({"seen": number}))),
            Deed::Accept(n) => {
                self.hand_on(&context, n);
                Ok(Answer::Accepted)
            }
        };
        result.into()
    }
}
