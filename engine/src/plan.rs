//! A workflow definition made ready to run: steps in one list, references resolved, expressions compiled.

use std::sync::Arc;

use oarlock_expression::{Expression, Path, Pipeline, Template};
use oarlock_protocol::definition::{TaskDefinition, TerminateStatus, WorkflowDefinition};
use oarlock_protocol::instance::InstanceKind;
use oarlock_protocol::{Json, TaskPath};

use crate::map::Map;

mod compile;

/// Names a step of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// A workflow definition made ready to run. The first step is the run itself.
#[derive(Debug)]
pub struct Plan {
    /// What it was made from.
    pub definition: Arc<WorkflowDefinition>,
    /// The run's output.
    pub output: Option<Template>,
    nodes: Vec<Node>,
    by_path: Map<TaskPath, NodeId>,
    by_id: Map<String, NodeId>,
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
    /// Its id; empty for the run itself and for error handlers.
    pub id: String,
    /// Its place.
    pub path: TaskPath,
    /// The step around it; for error handlers the step they belong to.
    pub parent: Option<NodeId>,
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
    /// Whether the steps behind it go on when it failed.
    pub continue_on_failure: bool,
    /// Whether some expression reads it, so that its outcome stays in memory.
    pub referenced: bool,
    /// The step whose `error` its expressions see: the nearest one around it whose handlers it belongs to.
    pub handles: Option<NodeId>,
    /// What it does.
    pub kind: NodeKind,
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
    /// Dispatches a task to a worker.
    Work(Box<WorkNode>),
    /// Has children: the run itself, a group, a `parallel`, error handlers.
    Block(BlockNode),
    /// Takes the first case that holds.
    Switch(Vec<CaseNode>),
    /// Gives variables values.
    Set(Vec<(String, Template)>),
    /// Ends the run.
    Terminate(TerminateNode),
}

/// A task for workers.
#[derive(Debug)]
pub struct WorkNode {
    /// Its policies: those of the task definition, and of the step where it names them.
    pub definition: TaskDefinition,
    /// Greater is sooner.
    pub priority: u8,
    /// What it is given.
    pub input: Vec<(String, Template)>,
    /// What of its output goes where.
    pub mappings: Vec<MappingNode>,
    /// The variables of its snapshot; all where absent.
    pub context_variables: Option<Vec<String>>,
    /// Where it is true the run ends.
    pub terminate_when: Option<Expression>,
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

impl Node {
    /// The task for workers that this step is, where it is one.
    pub fn work(&self) -> Option<&WorkNode> {
        match &self.kind {
            NodeKind::Work(work) => Some(work),
            NodeKind::Block(_) | NodeKind::Switch(_) | NodeKind::Set(_) | NodeKind::Terminate(_) => None,
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

    /// The step named so. Every `NodeId` comes from this plan or from [`Plan::locate`], so it is in range.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The step at a place of a run.
    pub fn locate(&self, path: &TaskPath) -> Option<NodeId> {
        self.by_path.get(path).copied()
    }

    /// The step with this id.
    pub fn by_id(&self, id: &str) -> Option<NodeId> {
        self.by_id.get(id).copied()
    }

    /// The children of a step; for a `switch` those of the case taken.
    pub fn children(&self, id: NodeId, case: Option<usize>) -> &Children {
        static NONE: Children = Children { ids: Vec::new(), ordered: false };
        match &self.node(id).kind {
            NodeKind::Block(block) => &block.children,
            NodeKind::Switch(cases) => {
                case.and_then(|case| cases.get(case)).map_or(&NONE, |case| &case.children)
            }
            NodeKind::Work(_) | NodeKind::Set(_) | NodeKind::Terminate(_) => &NONE,
        }
    }

    /// The kind people see.
    pub fn kind(&self, id: NodeId) -> InstanceKind {
        match &self.node(id).kind {
            NodeKind::Work(_) => InstanceKind::Task,
            NodeKind::Block(block) => block.kind,
            NodeKind::Switch(_) => InstanceKind::Switch,
            NodeKind::Set(_) => InstanceKind::Set,
            NodeKind::Terminate(_) => InstanceKind::Terminate,
        }
    }

    /// The task for workers that a step is, where it is one.
    pub fn work(&self, id: NodeId) -> Option<&WorkNode> {
        self.node(id).work()
    }

    /// Every step in the order of the definition: the run itself first, each before its children, then its handlers.
    pub fn in_order(&self) -> Vec<NodeId> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut waiting = vec![Plan::ROOT];
        while let Some(id) = waiting.pop() {
            order.push(id);
            waiting.extend(self.node(id).on_error);
            let inside: Vec<NodeId> = match &self.node(id).kind {
                NodeKind::Block(block) => block.children.ids.clone(),
                NodeKind::Switch(cases) => {
                    cases.iter().flat_map(|case| case.children.ids.iter().copied()).collect()
                }
                NodeKind::Work(_) | NodeKind::Set(_) | NodeKind::Terminate(_) => Vec::new(),
            };
            waiting.extend(inside.into_iter().rev());
        }
        order
    }

    /// Every step, the run itself first, each before its children.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }
}
