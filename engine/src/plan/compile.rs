//! Makes a plan of a definition: walks its steps once, then resolves what they name.

mod kinds;
mod schemas;

use std::sync::Arc;

use oarlock_expression::{Expression, Path, Pipeline, Reference, Registry, Template};
use oarlock_protocol::definition::{
    ConcurrencyLimit, Task, TaskDefinition, TaskKind, Terminate, Transformation, VariableMapping,
    WorkflowDefinition,
};
use oarlock_protocol::instance::InstanceKind;
use oarlock_protocol::{Json, JsonMap, TaskPath};

use super::{
    Attachment, BlockNode, CaseNode, Children, Error, LimitKeyNodes, MappingNode, MappingSource, Node,
    NodeId, NodeKind, Plan, TerminateNode, Wait, WorkNode,
};
use crate::map::Map;
use schemas::TaskSchemas;

/// Makes a definition ready to run.
pub(super) fn compile(definition: Arc<WorkflowDefinition>) -> Result<Plan, Error> {
    let mut compiler = Compiler {
        definition: &definition,
        registry: Registry::standard(),
        nodes: Vec::new(),
        by_path: Map::default(),
        by_id: Map::default(),
        read: Vec::new(),
        schemas: Map::default(),
    };
    let input_schema = compiler.schema(definition.input.as_ref(), "input")?;
    compiler.add(Node::new(String::new(), TaskPath::root(), None, 0))?;
    let tasks = compiler.children(Plan::ROOT, &definition.tasks, true)?;
    let on_error = compiler.attached(Plan::ROOT, &definition.on_error, Attachment::OnError)?;
    let output = definition.output.as_ref().map(|output| compiler.template(output)).transpose()?;
    let root = &mut compiler.nodes[0];
    root.kind = NodeKind::Block(BlockNode { kind: InstanceKind::Group, children: tasks });
    root.on_error = on_error;
    compiler.mark_referenced();
    let Compiler { nodes, by_path, by_id, .. } = compiler;
    let has_scoped_variables = nodes.iter().any(|node| !node.variables.is_empty());
    Ok(Plan { definition, input_schema, output, nodes, by_path, by_id, has_scoped_variables })
}

struct Compiler<'a> {
    definition: &'a WorkflowDefinition,
    registry: Registry,
    nodes: Vec<Node>,
    by_path: Map<TaskPath, NodeId>,
    by_id: Map<String, NodeId>,
    /// The steps that expressions read; an empty name stands for all.
    read: Vec<String>,
    /// The compiled schemas of each task definition.
    schemas: Map<String, TaskSchemas>,
}

impl Node {
    fn new(id: String, path: TaskPath, parent: Option<NodeId>, position: usize) -> Self {
        Self {
            id,
            path,
            parent,
            attached: None,
            iterated: false,
            position,
            condition: None,
            wait: Wait::EarlierSiblings,
            dependents: Vec::new(),
            on_error: None,
            on_timeout: None,
            compensation: None,
            join: None,
            variables: Vec::new(),
            continue_on_failure: false,
            referenced: false,
            handles: None,
            kind: NodeKind::Set(Vec::new()),
        }
    }
}

impl Compiler<'_> {
    fn error(&self, reason: impl Into<String>) -> Error {
        Error { workflow: self.definition.id.clone(), reason: reason.into() }
    }

    fn add(&mut self, mut node: Node) -> Result<NodeId, Error> {
        let id = NodeId(u32::try_from(self.nodes.len()).map_err(|_| self.error("it has too many steps"))?);
        if let Some(around) = node.parent.map(|parent| &self.nodes[parent.0 as usize]) {
            node.handles = node.handles.or(around.handles);
            node.iterated |= around.iterated;
        }
        if self.by_path.insert(node.path.clone(), id).is_some() {
            return Err(self.error(format!("two steps stand at {}", node.path)));
        }
        if !node.id.is_empty() {
            self.by_id.insert(node.id.clone(), id);
        }
        self.nodes.push(node);
        Ok(id)
    }

    fn children(&mut self, parent: NodeId, tasks: &[Task], ordered: bool) -> Result<Children, Error> {
        let path = self.nodes[parent.0 as usize].path.clone();
        let mut ids = Vec::with_capacity(tasks.len());
        for (position, task) in tasks.iter().enumerate() {
            let node = Node::new(task.id.clone(), path.child(&task.id), Some(parent), position);
            ids.push(self.add(node)?);
        }
        for (task, &id) in tasks.iter().zip(&ids) {
            self.step(id, task)?;
        }
        let names: Map<&str, NodeId> =
            tasks.iter().map(|task| task.id.as_str()).zip(ids.iter().copied()).collect();
        let mut waits_for_earlier = false;
        for (task, &id) in tasks.iter().zip(&ids) {
            let wait = self.wait(task, &names, ordered)?;
            if let Wait::These(siblings) = &wait {
                for sibling in siblings {
                    self.nodes[sibling.0 as usize].dependents.push(id);
                }
            }
            waits_for_earlier |= wait == Wait::EarlierSiblings;
            self.nodes[id.0 as usize].wait = wait;
        }
        Ok(Children { ids, ordered: waits_for_earlier })
    }

    fn wait(&self, task: &Task, siblings: &Map<&str, NodeId>, ordered: bool) -> Result<Wait, Error> {
        let Some(names) = &task.depends_on else {
            return Ok(if ordered { Wait::EarlierSiblings } else { Wait::These(Vec::new()) });
        };
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            let id = siblings.get(name.as_str());
            let unknown = || self.error(format!("'{}' depends on '{name}', which is no sibling", task.id));
            ids.push(*id.ok_or_else(unknown)?);
        }
        ids.sort_unstable_by_key(|id| id.0);
        ids.dedup();
        Ok(Wait::These(ids))
    }

    fn step(&mut self, id: NodeId, task: &Task) -> Result<(), Error> {
        let condition = task.condition.as_ref().map(|source| self.expression(source)).transpose()?;
        let kind = self.kind(id, task)?;
        let on_error = self.attached(id, &task.on_error, Attachment::OnError)?;
        let on_timeout = self.attached(id, &task.on_timeout, Attachment::OnTimeout)?;
        let compensation = task
            .compensate_with
            .as_ref()
            .map(|compensation| self.compensation(id, compensation))
            .transpose()?;
        let variables = self.templates(&task.variables)?;
        let iteration = match &kind {
            NodeKind::ForEach(each) => Some(each.iteration),
            NodeKind::Loop(repeat) => Some(repeat.iteration),
            _ => None,
        };
        // Each iteration has variables of its own.
        self.nodes[iteration.unwrap_or(id).0 as usize].variables = variables;
        let node = &mut self.nodes[id.0 as usize];
        (node.condition, node.kind, node.join) = (condition, kind, task.join);
        (node.on_error, node.on_timeout, node.compensation) = (on_error, on_timeout, compensation);
        let by_definition = node.work().is_some_and(|work| work.definition.continue_on_failure);
        node.continue_on_failure = task.continue_on_failure.unwrap_or(by_definition);
        Ok(())
    }

    fn kind(&mut self, id: NodeId, task: &Task) -> Result<NodeKind, Error> {
        Ok(match &task.kind {
            TaskKind::Task(name) => NodeKind::Work(Box::new(self.work(task, name)?)),
            TaskKind::Workflow(child) => NodeKind::Work(Box::new(self.child_workflow(task, child)?)),
            TaskKind::Tasks(tasks) => {
                let children = self.children(id, tasks, true)?;
                NodeKind::Block(BlockNode { kind: InstanceKind::Group, children })
            }
            TaskKind::Parallel(tasks) => {
                let children = self.children(id, tasks, false)?;
                NodeKind::Block(BlockNode { kind: InstanceKind::Parallel, children })
            }
            TaskKind::Switch(cases) => {
                let mut compiled = Vec::with_capacity(cases.len());
                for case in cases {
                    let when = case.when.as_ref().map(|source| self.expression(source)).transpose()?;
                    compiled.push(CaseNode { when, children: self.children(id, &case.tasks, true)? });
                }
                NodeKind::Switch(compiled)
            }
            TaskKind::Set(values) => NodeKind::Set(self.templates(values)?),
            TaskKind::Terminate(terminate) => NodeKind::Terminate(self.terminate(terminate)?),
            TaskKind::ForEach(each, tasks) => NodeKind::ForEach(Box::new(self.for_each(id, each, tasks)?)),
            TaskKind::Loop(repeat, tasks) => NodeKind::Loop(Box::new(self.repeat(id, repeat, tasks)?)),
            TaskKind::Wait(wait) => NodeKind::Await(self.wait_for(wait)?),
        })
    }

    /// What is attached to a step: a block of its own beside its children, at `<place>:onError` or the like.
    fn attached(
        &mut self,
        owner: NodeId,
        tasks: &[Task],
        attachment: Attachment,
    ) -> Result<Option<NodeId>, Error> {
        if tasks.is_empty() {
            return Ok(None);
        }
        let (suffix, kind) = match attachment {
            Attachment::OnError => ("onError", InstanceKind::OnError),
            Attachment::OnTimeout | Attachment::Compensation => ("onTimeout", InstanceKind::OnTimeout),
        };
        let path = self.beside(owner, suffix);
        let mut node = Node::new(String::new(), path, Some(owner), 0);
        node.attached = Some(attachment);
        node.handles = Some(owner).filter(|_| attachment == Attachment::OnError);
        let id = self.add(node)?;
        let children = self.children(id, tasks, true)?;
        self.nodes[id.0 as usize].kind = NodeKind::Block(BlockNode { kind, children });
        Ok(Some(id))
    }

    fn beside(&self, owner: NodeId, suffix: &str) -> TaskPath {
        TaskPath::from(format!("{}:{suffix}", self.nodes[owner.0 as usize].path).as_str())
    }

    fn work(&mut self, task: &Task, name: &str) -> Result<WorkNode, Error> {
        let mut definition = self.task_definition(name);
        definition.timeouts = task.timeouts.or(definition.timeouts);
        definition.retry_policy = task.retry_policy.clone().or(definition.retry_policy);
        self.work_of(task, definition)
    }

    fn task_definition(&self, name: &str) -> TaskDefinition {
        let declared = self.definition.task_definitions.iter().find(|definition| definition.id == name);
        let undeclared = || TaskDefinition { id: name.to_owned(), version: 1, ..Default::default() };
        declared.cloned().unwrap_or_else(undeclared)
    }

    fn work_of(&mut self, task: &Task, definition: TaskDefinition) -> Result<WorkNode, Error> {
        let schemas = self.schemas_of(&definition)?;
        Ok(WorkNode {
            limit_keys: self.limit_keys(&definition)?,
            definition,
            priority: task.priority,
            input: self.templates(&task.input_mappings)?,
            input_schema: schemas.input,
            output_schema: schemas.output,
            mappings: task
                .variable_mappings
                .iter()
                .map(|mapping| self.mapping(mapping))
                .collect::<Result<_, _>>()?,
            context_variables: task.context_variables.clone(),
            terminate_when: task.terminate_when.as_ref().map(|source| self.expression(source)).transpose()?,
            child: None,
            undoes: None,
        })
    }

    pub(super) fn limit_keys(&mut self, definition: &TaskDefinition) -> Result<LimitKeyNodes, Error> {
        let concurrency = definition.concurrency_limit.as_ref().and_then(ConcurrencyLimit::key);
        let rate = definition.rate_limit.as_ref().and_then(|limit| limit.key.as_deref());
        let mut compiled = |key: Option<&str>| key.map(|key| self.template(&Json::from(key))).transpose();
        Ok(LimitKeyNodes { concurrency: compiled(concurrency)?, rate: compiled(rate)? })
    }

    fn mapping(&mut self, mapping: &VariableMapping) -> Result<MappingNode, Error> {
        let source = match mapping {
            VariableMapping::Direct { source, default, .. } => {
                MappingSource::Direct { path: self.path(source)?, default: default.clone() }
            }
            VariableMapping::Expression { expression, .. } => {
                MappingSource::Expression(self.expression(expression)?)
            }
            VariableMapping::Transform { source, transformation, default, .. } => MappingSource::Transform {
                path: self.path(source)?,
                pipeline: self.pipeline(transformation)?,
                default: default.clone(),
            },
            VariableMapping::Value { value, .. } => MappingSource::Value(self.template(value)?),
        };
        Ok(MappingNode { target: mapping.target().to_owned(), source })
    }

    fn terminate(&mut self, terminate: &Terminate) -> Result<TerminateNode, Error> {
        let message = terminate.message.clone().map(Json::String);
        Ok(TerminateNode {
            status: terminate.status,
            output: terminate.output.as_ref().map(|output| self.template(output)).transpose()?,
            message: message.map(|message| self.template(&message)).transpose()?,
        })
    }

    fn expression(&mut self, source: &str) -> Result<Expression, Error> {
        let expression =
            Expression::compile(source).map_err(|e| self.error(format!("`{source}`: {}", e.message)))?;
        self.note(expression.references().iter());
        Ok(expression)
    }

    fn template(&mut self, value: &Json) -> Result<Template, Error> {
        let template = Template::compile(value).map_err(|errors| {
            let first =
                errors.first().map(|e| format!("{}: {}", e.pointer, e.error.message)).unwrap_or_default();
            self.error(first)
        })?;
        self.note(template.references().into_iter());
        Ok(template)
    }

    fn templates(&mut self, values: &JsonMap) -> Result<Vec<(String, Template)>, Error> {
        values.iter().map(|(name, value)| Ok((name.clone(), self.template(value)?))).collect()
    }

    fn path(&self, source: &str) -> Result<Path, Error> {
        Path::compile(source).map_err(|e| self.error(format!("`{source}`: {}", e.message)))
    }

    fn pipeline(&self, transformations: &[Transformation]) -> Result<Pipeline, Error> {
        let mut steps = Vec::new();
        for transformation in transformations {
            match transformation {
                Transformation::Name(name) => steps.push((name.clone(), None)),
                Transformation::WithArgument(map) => {
                    steps.extend(map.iter().map(|(name, argument)| (name.clone(), Some(argument.clone()))));
                }
            }
        }
        Pipeline::compile(&steps, &self.registry).map_err(|e| self.error(e.message))
    }

    /// Remembers which steps an expression may read: `tasks.<id>` or the bare id; `tasks` alone may read any.
    fn note<'r>(&mut self, references: impl Iterator<Item = &'r Reference>) {
        for reference in references {
            let name = match reference.path.as_slice() {
                [root, id, ..] if root == "tasks" => id.as_str(),
                [root] if root == "tasks" => "",
                [root, ..] => root,
                [] => continue,
            };
            self.read.push(name.to_owned());
        }
    }

    fn mark_referenced(&mut self) {
        for name in std::mem::take(&mut self.read) {
            if name.is_empty() {
                self.nodes.iter_mut().for_each(|node| node.referenced = true);
            } else if let Some(id) = self.by_id.get(&name) {
                self.nodes[id.0 as usize].referenced = true;
            }
        }
    }
}
