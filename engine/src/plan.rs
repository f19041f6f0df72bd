//! A workflow definition made ready to run: steps in one list, references resolved, expressions compiled.

use std::sync::Arc;

use oarlock_expression::{Expression, Path, Pipeline, Template};
use oarlock_protocol::definition::{
    CompensationWhen, Join, TaskDefinition, TerminateStatus, Tolerance, WorkflowDefinition,
};
use oarlock_protocol::instance::InstanceKind;
use oarlock_protocol::{Json, Span, TaskPath};
use oarlock_schema::Schema;

use crate::map::Map;

mod compile;
mod step;

pub use step::Step;

/// Names a step of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// A workflow definition made ready to run. The first step is the run itself.
#[derive(Debug)]
pub struct Plan {
    /// What it was made from.
    pub definition: Arc<WorkflowDefinition>,
    /// What the run's input must fit.
    pub input_schema: Option<Schema>,
    /// The run's output.
    pub output: Option<Template>,
    nodes: Vec<Node>,
    by_path: Map<TaskPath, NodeId>,
    by_id: Map<String, NodeId>,
    has_scoped_variables: bool,
}

/// A definition that cannot be made ready: it was registered without being checked, or by a newer release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("workflow '{workflow}': {reason}")]
pub struct Error {
    workflow: String,
    reason: String,
}

/// One step.
#[derive(Debug)]
pub struct Node {
    /// Its id; empty for the run itself, for iterations and for what is attached to a step.
    pub id: String,
    /// Its place; `[]` stands for the number of an iteration.
    pub path: TaskPath,
    /// The step around it; for what is attached to a step that step.
    pub parent: Option<NodeId>,
    /// What it is to its parent, where it stands beside it.
    pub attached: Option<Attachment>,
    /// Whether it is an iteration or stands in one: its place alone does not tell where it stands in a run.
    pub iterated: bool,
    /// Its number among its siblings, from 0.
    pub position: usize,
    /// Where it is false the step is skipped.
    pub condition: Option<Expression>,
    /// What it waits for.
    pub wait: Wait,
    /// Siblings that name it in their `dependsOn`.
    pub dependents: Vec<NodeId>,
    /// Its error handlers.
    pub on_error: Option<NodeId>,
    /// What is done when it has waited too long.
    pub on_timeout: Option<NodeId>,
    /// The task that undoes it.
    pub compensation: Option<NodeId>,
    /// How many of the steps inside are enough.
    pub join: Option<Join>,
    /// The variables of its own, and the values they begin with.
    pub variables: Vec<(String, Template)>,
    /// Whether the steps behind it go on when it failed.
    pub continue_on_failure: bool,
    /// Whether some expression reads it, so that its outcome stays in memory.
    pub referenced: bool,
    /// The step whose `error` its expressions see: the nearest one around it whose handlers it belongs to.
    pub handles: Option<NodeId>,
    /// What it does.
    pub kind: NodeKind,
}

/// What a step is to the one it stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// Its error handlers.
    OnError,
    /// What is done when it has waited too long.
    OnTimeout,
    /// The task that undoes it.
    Compensation,
}

/// What a step waits for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait {
    /// All siblings before it.
    EarlierSiblings,
    /// These siblings.
    These(Vec<NodeId>),
}

/// What a step does.
#[derive(Debug)]
pub enum NodeKind {
    /// Dispatches a task to a worker, or starts a run of another workflow.
    Work(Box<WorkNode>),
    /// Has children: the run itself, a group, a `parallel`, error handlers.
    Block(BlockNode),
    /// Takes the first case that holds.
    Switch(Vec<CaseNode>),
    /// Gives variables values.
    Set(Vec<(String, Template)>),
    /// Ends the run.
    Terminate(TerminateNode),
    /// Has an iteration for each item.
    ForEach(Box<ForEachNode>),
    /// Has one iteration after the other.
    Loop(Box<LoopNode>),
    /// An iteration of one of these: has children.
    Iteration(Children),
    /// Waits for a time or a signal.
    Await(AwaitNode),
}

/// A task for workers, or a child run.
#[derive(Debug)]
pub struct WorkNode {
    /// Its policies: those of the task definition, and of the step where it names them.
    pub definition: TaskDefinition,
    /// Greater is sooner; that of the run where the step names none.
    pub priority: Option<u8>,
    /// What it is given.
    pub input: Vec<(String, Template)>,
    /// What its limits count together, where they have a key.
    pub limit_keys: LimitKeyNodes,
    /// What that must fit.
    pub input_schema: Option<Arc<Schema>>,
    /// What its output must fit.
    pub output_schema: Option<Arc<Schema>>,
    /// What of its output goes where.
    pub mappings: Vec<MappingNode>,
    /// The variables of its snapshot; all where absent.
    pub context_variables: Option<Vec<String>>,
    /// Where it is true the run ends.
    pub terminate_when: Option<Expression>,
    /// The workflow it starts a run of, instead of a task for workers.
    pub child: Option<ChildNode>,
    /// After which outcomes it is dispatched, where it undoes another step.
    pub undoes: Option<CompensationWhen>,
}

/// The keys of the limits of a task: texts that tell what is counted together.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "named as the limits are")]
pub struct LimitKeyNodes {
    pub concurrency: Option<Template>,
    pub rate: Option<Template>,
}

/// Another workflow.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields of ChildWorkflow")]
pub struct ChildNode {
    pub id: String,
    pub version: Option<u32>,
    pub wait: bool,
}

/// A variable mapping, compiled.
#[derive(Debug)]
pub struct MappingNode {
    /// The variable.
    pub target: String,
    /// Where its value comes from.
    pub source: MappingSource,
}

/// Where the value of a mapping comes from.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields of VariableMapping")]
pub enum MappingSource {
    Direct { path: Path, default: Option<Json> },
    Expression(Expression),
    Transform { path: Path, pipeline: Pipeline, default: Option<Json> },
    Value(Template),
}

/// Children in a row.
#[derive(Debug)]
pub struct BlockNode {
    /// Which kind people see.
    pub kind: InstanceKind,
    /// In the order of the definition.
    pub children: Children,
}

/// The children of a block.
#[derive(Debug, Default)]
pub struct Children {
    /// In the order of the definition.
    pub ids: Vec<NodeId>,
    /// Whether any of them waits for all its earlier siblings.
    pub ordered: bool,
}

/// One case of a `switch`.
#[derive(Debug)]
pub struct CaseNode {
    /// Always taken where absent.
    pub when: Option<Expression>,
    /// What it does.
    pub children: Children,
}

/// How a step ends the run.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields of Terminate")]
pub struct TerminateNode {
    pub status: TerminateStatus,
    pub output: Option<Template>,
    pub message: Option<Template>,
}

/// An iteration for each item.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields of ForEach")]
pub struct ForEachNode {
    /// What each iteration is.
    pub iteration: NodeId,
    pub items: Template,
    pub name: String,
    pub concurrency: Option<usize>,
    pub tolerate: Tolerance,
    pub until: Option<Expression>,
    pub collect: Option<Template>,
    pub batch: Option<usize>,
}

impl ForEachNode {
    /// How many iterations it has over so many items.
    pub(crate) fn iterations(&self, items: usize) -> usize {
        items.div_ceil(self.batch.unwrap_or(1))
    }
}

/// One iteration after the other.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields of Loop")]
pub struct LoopNode {
    /// What each iteration is.
    pub iteration: NodeId,
    pub while_: Option<Expression>,
    pub until: Option<Expression>,
    pub delay: Option<Span>,
    pub backoff_coefficient: f64,
    pub max_delay: Option<Span>,
    pub max: usize,
    pub keep: usize,
    /// Whether a step inside can be undone, so that its iteration may be kept longer.
    pub can_be_undone: bool,
    pub output: Option<Template>,
}

/// What a `wait` waits for.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields of Wait")]
pub struct AwaitNode {
    pub first: Vec<AwaitedNode>,
    pub timeout: Option<Span>,
}

/// One thing a `wait` waits for.
#[derive(Debug)]
#[allow(missing_docs, reason = "variants of Awaited")]
pub enum AwaitedNode {
    Duration(Template),
    Until(Template),
    Signal { name: Template, schema: Option<Box<Schema>> },
}

impl Node {
    /// The task for workers or child run that this step is, where it is one.
    pub fn work(&self) -> Option<&WorkNode> {
        match &self.kind {
            NodeKind::Work(work) => Some(work),
            NodeKind::Block(_)
            | NodeKind::Switch(_)
            | NodeKind::Set(_)
            | NodeKind::Terminate(_)
            | NodeKind::ForEach(_)
            | NodeKind::Loop(_)
            | NodeKind::Iteration(_)
            | NodeKind::Await(_) => None,
        }
    }
}

impl Plan {
    /// The run itself.
    pub const ROOT: NodeId = NodeId(0);

    /// Makes a definition ready to run.
    ///
    /// # Errors
    /// A reference or expression that does not hold; `oarlock-definition` finds these with their places.
    pub fn compile(definition: Arc<WorkflowDefinition>) -> Result<Plan, Error> {
        compile::compile(definition)
    }

    /// The step of the plan named so. Every `NodeId` comes from this plan, so it is in range.
    pub fn node(&self, id: impl Into<NodeId>) -> &Node {
        &self.nodes[id.into().0 as usize]
    }

    /// The step with this id.
    pub fn by_id(&self, id: &str) -> Option<NodeId> {
        self.by_id.get(id).copied()
    }

    /// Whether any step has variables of its own.
    pub fn has_scoped_variables(&self) -> bool {
        self.has_scoped_variables
    }

    /// The children of a step that the definition names; for a `switch` those of the case taken. Iterations are
    /// counted by the run.
    pub fn children(&self, id: impl Into<NodeId>, case: Option<usize>) -> &Children {
        static NONE: Children = Children { ids: Vec::new(), ordered: false };
        match &self.node(id).kind {
            NodeKind::Block(BlockNode { children, .. }) | NodeKind::Iteration(children) => children,
            NodeKind::Switch(cases) => {
                case.and_then(|case| cases.get(case)).map_or(&NONE, |case| &case.children)
            }
            NodeKind::Work(_)
            | NodeKind::Set(_)
            | NodeKind::Terminate(_)
            | NodeKind::ForEach(_)
            | NodeKind::Loop(_)
            | NodeKind::Await(_) => &NONE,
        }
    }

    /// The kind people see.
    pub fn kind(&self, id: impl Into<NodeId>) -> InstanceKind {
        let node = self.node(id);
        match &node.kind {
            NodeKind::Work(_) if node.attached.is_some() => InstanceKind::Compensation,
            NodeKind::Work(work) if work.child.is_some() => InstanceKind::Workflow,
            NodeKind::Work(_) => InstanceKind::Task,
            NodeKind::Block(block) => block.kind,
            NodeKind::Switch(_) => InstanceKind::Switch,
            NodeKind::Set(_) => InstanceKind::Set,
            NodeKind::Terminate(_) => InstanceKind::Terminate,
            NodeKind::ForEach(_) => InstanceKind::ForEach,
            NodeKind::Loop(_) => InstanceKind::Loop,
            NodeKind::Iteration(_) => InstanceKind::Iteration,
            NodeKind::Await(_) => InstanceKind::Wait,
        }
    }

    /// The task for workers or child run that a step is, where it is one.
    pub fn work(&self, id: impl Into<NodeId>) -> Option<&WorkNode> {
        self.node(id).work()
    }

    /// The steps inside a step and attached to it, in the order of the definition; for iterations the one that stands
    /// for all.
    pub fn inside(&self, id: impl Into<NodeId>) -> Vec<NodeId> {
        let node = self.node(id);
        let mut inside = match &node.kind {
            NodeKind::Block(BlockNode { children, .. }) | NodeKind::Iteration(children) => {
                children.ids.clone()
            }
            NodeKind::Switch(cases) => {
                cases.iter().flat_map(|case| case.children.ids.iter().copied()).collect()
            }
            NodeKind::ForEach(each) => vec![each.iteration],
            NodeKind::Loop(repeat) => vec![repeat.iteration],
            NodeKind::Work(_) | NodeKind::Set(_) | NodeKind::Terminate(_) | NodeKind::Await(_) => Vec::new(),
        };
        inside.extend([node.on_timeout, node.compensation, node.on_error].into_iter().flatten());
        inside
    }

    /// Every step of the plan, the run itself first, each before its children.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }
}
