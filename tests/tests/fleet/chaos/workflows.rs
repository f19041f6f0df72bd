//! The workflows of the chaos, each with how its runs end and how many tasks and attempts that takes.

use serde_json::{Value as Json, json};

/// What a run is told while it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    Nothing,
    /// The signal it waits for.
    Signal,
    /// To end, once it stands at its `gate`.
    CancelAtGate,
    /// To end, wherever it stands; it may have ended before.
    CancelAnywhere,
}

/// A workflow, and what every run of it comes to.
#[derive(Debug)]
pub(super) struct Workflow {
    pub(super) id: &'static str,
    pub(super) yaml: &'static str,
    pub(super) prompt: Prompt,
    pub(super) status: &'static str,
    /// How many tasks are called, those of the run it starts included.
    pub(super) tasks: usize,
    /// How many attempts that takes.
    pub(super) attempts: usize,
    output: fn(usize) -> Json,
}

impl Workflow {
    /// The output of the run that was started with this number; null where it does not complete.
    pub(super) fn output(&self, n: usize) -> Json {
        (self.output)(n)
    }
}

/// Runs are started of each in turn.
pub(super) const WORKFLOWS: [Workflow; 11] = [
    Workflow {
        id: "chain",
        yaml: "
id: chain
version: 1
tasks:
  - {id: a, task: quick, inputMappings: {n: '${ input.n }'}}
  - {id: b, task: slow, inputMappings: {n: '${ tasks.a.output.n + 1 }'}}
  - {id: c, task: quick, inputMappings: {n: '${ tasks.b.output.n + 1 }'}}
output: {n: '${ tasks.c.output.n }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 3,
        attempts: 3,
        output: |n| json!({"n": n + 2}),
    },
    Workflow {
        id: "beside",
        yaml: "
id: beside
version: 1
variables: {sum: 0}
tasks:
  - id: all
    parallel:
      - {id: a, task: quick, inputMappings: {n: 1}, variableMappings: {sum: '${ variables.sum + taskOutput.n }'}}
      - {id: b, task: slow, inputMappings: {n: 2}, variableMappings: {sum: '${ variables.sum + taskOutput.n }'}}
      - {id: c, task: quick, inputMappings: {n: 3}, variableMappings: {sum: '${ variables.sum + taskOutput.n }'}}
      - {id: d, task: slow, inputMappings: {n: '${ input.n }'}, variableMappings: {sum: '${ variables.sum + taskOutput.n }'}}
  - {id: after, task: quick, inputMappings: {n: '${ variables.sum }'}}
output: {n: '${ tasks.after.output.n }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 5,
        attempts: 5,
        output: |n| json!({"n": n + 6}),
    },
    Workflow {
        id: "each",
        yaml: "
id: each
version: 1
tasks:
  - id: all
    forEach: {items: '${ [1, 2, 3, 4] }', as: item, concurrency: 2, collect: '${ one.output.n }'}
    tasks:
      - {id: one, task: quick, inputMappings: {n: '${ item * input.n }'}}
output: {n: '${ sum(tasks.all.output) }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 4,
        attempts: 4,
        output: |n| json!({"n": 10 * n}),
    },
    Workflow {
        id: "retried",
        yaml: "
id: retried
version: 1
tasks:
  - id: a
    task: third
    inputMappings: {n: '${ input.n }'}
    retryPolicy: {maxRetries: 5, strategy: FIXED, initialDelay: 300ms}
output: {n: '${ tasks.a.output.n }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 1,
        attempts: 3,
        output: |n| json!({"n": n}),
    },
    Workflow {
        id: "parent",
        yaml: "
id: parent
version: 1
tasks:
  - {id: a, task: quick, inputMappings: {n: '${ input.n }'}}
  - {id: child, workflow: {id: chain}, inputMappings: {n: '${ tasks.a.output.n + 1 }'}}
output: {n: '${ tasks.child.output.n }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 4,
        attempts: 4,
        output: |n| json!({"n": n + 3}),
    },
    Workflow {
        id: "told",
        yaml: "
id: told
version: 1
tasks:
  - {id: a, task: quick, inputMappings: {n: '${ input.n }'}}
  - {id: gate, wait: {signal: go}}
  - {id: b, task: quick, inputMappings: {n: '${ tasks.gate.output.n + tasks.a.output.n }'}}
output: {n: '${ tasks.b.output.n }'}
",
        prompt: Prompt::Signal,
        status: "COMPLETED",
        tasks: 2,
        attempts: 2,
        output: |n| json!({"n": n + 5}),
    },
    Workflow {
        id: "timed",
        yaml: "
id: timed
version: 1
tasks:
  - {id: pause, wait: {duration: 2s}}
  - {id: a, task: quick, inputMappings: {n: '${ input.n }'}}
output: {n: '${ tasks.a.output.n }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 1,
        attempts: 1,
        output: |n| json!({"n": n}),
    },
    Workflow {
        id: "in_vain",
        yaml: "
id: in_vain
version: 1
tasks:
  - id: gate
    wait: {signal: never, timeout: 1s}
    onTimeout:
      - {id: late, task: quick, inputMappings: {n: '${ input.n }'}}
  - {id: b, task: quick, inputMappings: {n: '${ input.n }'}}
output: {n: '${ tasks.b.output.n }'}
",
        prompt: Prompt::Nothing,
        status: "COMPLETED",
        tasks: 2,
        attempts: 2,
        output: |n| json!({"n": n}),
    },
    Workflow {
        id: "undone",
        yaml: "
id: undone
version: 1
tasks:
  - {id: a, task: quick, inputMappings: {n: 1}, compensateWith: {task: undo, inputMappings: {n: '${ taskOutput.n }'}}}
  - {id: b, task: quick, inputMappings: {n: 2}, compensateWith: {task: undo, inputMappings: {n: '${ taskOutput.n }'}}}
  - {id: c, task: broken, retryPolicy: {maxRetries: 0}}
",
        prompt: Prompt::Nothing,
        status: "FAILED",
        tasks: 5,
        attempts: 5,
        output: |_| Json::Null,
    },
    Workflow {
        id: "called_off",
        yaml: "
id: called_off
version: 1
tasks:
  - {id: a, task: quick, inputMappings: {n: 1}, compensateWith: {task: undo, inputMappings: {n: '${ taskOutput.n }'}}}
  - {id: gate, wait: {signal: never}}
",
        prompt: Prompt::CancelAtGate,
        status: "CANCELLED",
        tasks: 2,
        attempts: 2,
        output: |_| Json::Null,
    },
    Workflow {
        id: "dropped",
        yaml: "
id: dropped
version: 1
tasks:
  - {id: a, task: slow, inputMappings: {n: 1}, compensateWith: {task: undo, when: ATTEMPTED, inputMappings: {n: 1}}}
  - {id: b, task: slow, inputMappings: {n: 1}}
  - {id: gate, wait: {signal: never}}
",
        prompt: Prompt::CancelAnywhere,
        status: "CANCELLED",
        // The most it may take; where it is told to end chance says.
        tasks: 3,
        attempts: 3,
        output: |_| Json::Null,
    },
];
