//! Compiles what single kinds of steps have: iterations, children, waits, compensations.

use oarlock_protocol::definition::{
    Awaited, ChildWorkflow, Compensation, ForEach, Loop, RetryPolicy, Task, TaskDefinition, Wait,
};
use oarlock_protocol::{Json, TaskPath};

use super::super::{
    Attachment, AwaitNode, AwaitedNode, ChildNode, Error, ForEachNode, LoopNode, Node, NodeId, NodeKind,
    WorkNode,
};
use super::Compiler;

/// How often a compensation is tried again where it names no policy: then an operator is waited for.
const COMPENSATION_RETRIES: u32 = 3;

impl Compiler<'_> {
    pub(super) fn for_each(
        &mut self,
        id: NodeId,
        each: &ForEach,
        tasks: &[Task],
    ) -> Result<ForEachNode, Error> {
        let collect = each.collect.as_ref().map(|collect| self.template(collect)).transpose()?;
        let iteration = self.iteration(id, tasks)?;
        // What iterations give is wanted at the join.
        self.nodes[iteration.0 as usize].referenced = collect.is_some();
        let size = |number: Option<u32>| number.map(|number| (number as usize).max(1));
        Ok(ForEachNode {
            iteration,
            items: self.template(&each.items)?,
            name: each.name.clone(),
            concurrency: size(each.concurrency),
            tolerate: each.tolerate,
            until: each.until.as_ref().map(|source| self.expression(source)).transpose()?,
            collect,
            batch: size(each.batch),
        })
    }

    pub(super) fn repeat(&mut self, id: NodeId, repeat: &Loop, tasks: &[Task]) -> Result<LoopNode, Error> {
        let first = self.nodes.len();
        let iteration = self.iteration(id, tasks)?;
        let can_be_undone = self.nodes[first..].iter().any(|node| node.compensation.is_some());
        let mut expression =
            |source: &Option<String>| source.as_ref().map(|source| self.expression(source)).transpose();
        Ok(LoopNode {
            iteration,
            while_: expression(&repeat.while_)?,
            until: expression(&repeat.until)?,
            delay: repeat.delay,
            backoff_coefficient: repeat.backoff_coefficient,
            max_delay: repeat.max_delay,
            max: repeat.max as usize,
            keep: (repeat.keep as usize).max(1),
            can_be_undone,
            output: repeat.output.as_ref().map(|output| self.template(output)).transpose()?,
        })
    }

    fn iteration(&mut self, owner: NodeId, tasks: &[Task]) -> Result<NodeId, Error> {
        let path = TaskPath::from(format!("{}[]", self.nodes[owner.0 as usize].path).as_str());
        let mut node = Node::new(String::new(), path, Some(owner), 0);
        node.iterated = true;
        let id = self.add(node)?;
        let children = self.children(id, tasks, true)?;
        self.nodes[id.0 as usize].kind = NodeKind::Iteration(children);
        Ok(id)
    }

    pub(super) fn wait_for(&mut self, wait: &Wait) -> Result<AwaitNode, Error> {
        let mut first = Vec::with_capacity(wait.first.len());
        for awaited in &wait.first {
            let mut text = |text: &String| self.template(&Json::String(text.clone()));
            first.push(match awaited {
                Awaited::Duration { duration } => AwaitedNode::Duration(text(duration)?),
                Awaited::Until { until } => AwaitedNode::Until(text(until)?),
                Awaited::Signal { signal, schema } => {
                    let name = text(signal)?;
                    AwaitedNode::Signal {
                        name,
                        schema: self.schema(schema.as_ref(), "wait.schema")?.map(Box::new),
                    }
                }
            });
        }
        Ok(AwaitNode { first, timeout: wait.timeout })
    }

    pub(super) fn child_workflow(&mut self, task: &Task, child: &ChildWorkflow) -> Result<WorkNode, Error> {
        let definition = TaskDefinition {
            id: child.id.clone(),
            version: 1,
            timeouts: task.timeouts,
            retry_policy: task.retry_policy.clone(),
            ..Default::default()
        };
        let child = ChildNode { id: child.id.clone(), version: child.version, wait: child.wait };
        Ok(WorkNode { child: Some(child), ..self.work_of(task, definition)? })
    }

    /// The task that undoes a step, beside it at `<place>:compensate`.
    pub(super) fn compensation(
        &mut self,
        owner: NodeId,
        compensation: &Compensation,
    ) -> Result<NodeId, Error> {
        let mut definition = self.task_definition(&compensation.task);
        definition.timeouts = compensation.timeouts.or(definition.timeouts);
        let policy = compensation.retry_policy.clone().or(definition.retry_policy);
        let default = || RetryPolicy { max_retries: COMPENSATION_RETRIES, ..RetryPolicy::default() };
        definition.retry_policy = Some(policy.unwrap_or_else(default));
        let schemas = self.schemas_of(&definition)?;
        let work = WorkNode {
            limit_keys: self.limit_keys(&definition)?,
            definition,
            priority: None,
            input: self.templates(&compensation.input_mappings)?,
            input_schema: schemas.input,
            output_schema: schemas.output,
            mappings: Vec::new(),
            context_variables: None,
            terminate_when: None,
            child: None,
            undoes: Some(compensation.when),
        };
        let mut node = Node::new(String::new(), self.beside(owner, "compensate"), Some(owner), 0);
        node.attached = Some(Attachment::Compensation);
        node.kind = NodeKind::Work(Box::new(work));
        // Its mappings see what the step was given and gave.
        self.nodes[owner.0 as usize].referenced = true;
        // And the item of the iteration it stands in.
        let mut around = self.nodes[owner.0 as usize].parent;
        while let Some(id) = around {
            let node = &mut self.nodes[id.0 as usize];
            node.referenced = true;
            around = node.parent;
        }
        self.add(node)
    }
}
