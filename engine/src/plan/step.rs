//! Where a step of a plan stands in a run: one step of the plan stands there once in each iteration around it.

use oarlock_protocol::TaskPath;

use super::{Attachment, NodeId, NodeKind, Plan};

/// A step of a run: which step of the plan, and its place, iterations told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The step of the plan.
    pub node: NodeId,
    /// The place in the run.
    pub path: TaskPath,
}

impl From<&Step> for NodeId {
    fn from(step: &Step) -> NodeId {
        step.node
    }
}

impl Plan {
    /// The run itself.
    pub fn root(&self) -> Step {
        Step { node: Plan::ROOT, path: TaskPath::root() }
    }

    /// The step at a place of a run; none where the plan has no such step.
    pub fn locate(&self, path: &TaskPath) -> Option<Step> {
        let node = match pattern(path.as_str()) {
            None => self.by_path.get(path.as_str()),
            Some(pattern) => self.by_path.get(pattern?.as_str()),
        };
        Some(Step { node: *node?, path: path.clone() })
    }

    /// The step around a step; for handlers the step they belong to.
    pub fn parent(&self, step: &Step) -> Option<Step> {
        let node = self.node(step);
        let parent = node.parent?;
        let around = self.node(parent);
        let path = if node.iterated {
            let end = match node.kind {
                NodeKind::Iteration(_) => step.path.as_str().rfind('[')?,
                _ => step
                    .path
                    .as_str()
                    .len()
                    .checked_sub(node.path.as_str().len() - around.path.as_str().len())?,
            };
            TaskPath::from(step.path.as_str().get(..end)?)
        } else {
            around.path.clone()
        };
        Some(Step { node: parent, path })
    }

    /// The step inside `step` (or attached to it) that `node` is; not for iterations.
    pub fn child(&self, step: &Step, node: NodeId) -> Step {
        let inside = self.node(node);
        if !inside.iterated {
            return Step { node, path: inside.path.clone() };
        }
        let suffix = &inside.path.as_str()[self.node(step).path.as_str().len()..];
        Step { node, path: TaskPath::from(format!("{}{suffix}", step.path).as_str()) }
    }

    /// The iteration `number` of a `forEach` or `loop`.
    pub fn iteration(&self, step: &Step, number: usize) -> Option<Step> {
        let node = match &self.node(step).kind {
            NodeKind::ForEach(each) => each.iteration,
            NodeKind::Loop(repeat) => repeat.iteration,
            _ => return None,
        };
        Some(Step { node, path: TaskPath::from(format!("{}[{number}]", step.path).as_str()) })
    }

    /// Whether a step is an iteration of a `forEach`.
    pub fn is_of_for_each(&self, step: &Step) -> bool {
        let is_iteration = matches!(self.node(step).kind, NodeKind::Iteration(_));
        let around = self.parent(step).filter(|_| is_iteration);
        around.is_some_and(|around| matches!(self.node(&around).kind, NodeKind::ForEach(_)))
    }

    /// The iterations of a step that may have a row, where `begun` were begun.
    pub fn kept(&self, step: &Step, begun: usize) -> Vec<Step> {
        let first = match &self.node(step).kind {
            NodeKind::Loop(repeat) if !repeat.can_be_undone => begun.saturating_sub(repeat.keep),
            _ => 0,
        };
        (first..begun).filter_map(|number| self.iteration(step, number)).collect()
    }

    /// Which iteration a step that is one is.
    pub fn number(&self, step: &Step) -> Option<usize> {
        match self.node(step).kind {
            NodeKind::Iteration(_) => {
                let text = step.path.as_str();
                text.get(text.rfind('[')? + 1..text.len() - 1)?.parse().ok()
            }
            _ => None,
        }
    }

    /// The steps around a step, the nearest first.
    pub fn around<'p>(&'p self, step: &Step) -> impl Iterator<Item = Step> + use<'p> {
        std::iter::successors(self.parent(step), |step| self.parent(step))
    }

    /// The step of the plan as seen from `from`: in the iterations that both stand in; in a loop beside that, in the
    /// iteration that `last` names. None where that leaves a place open.
    pub fn seen_from(
        &self,
        from: &Step,
        node: NodeId,
        last: impl Fn(&Step) -> Option<usize>,
    ) -> Option<Step> {
        if !self.node(node).iterated {
            return Some(Step { node, path: self.node(node).path.clone() });
        }
        let mut down = vec![node];
        let mut shared = None;
        while let Some(parent) = down.last().and_then(|&node| self.node(node).parent) {
            shared = std::iter::once(from.clone()).chain(self.around(from)).find(|step| step.node == parent);
            if shared.is_some() {
                break;
            }
            down.push(parent);
        }
        let mut at = shared.unwrap_or_else(|| self.root());
        for &node in down.iter().rev() {
            at = match self.node(node).kind {
                NodeKind::Iteration(_) => self.iteration(&at, last(&at)?)?,
                _ => self.child(&at, node),
            };
        }
        Some(at)
    }

    /// The step around `step`, or itself, that has a variable of this name of its own.
    pub fn owner_of(&self, step: &Step, name: &str) -> Option<Step> {
        if !self.has_scoped_variables {
            return None;
        }
        let has = |step: &Step| self.node(step).variables.iter().any(|(variable, _)| variable == name);
        std::iter::once(step.clone()).chain(self.around(step)).find(has)
    }

    /// Whether a step stands beside its parent instead of inside it: error handlers and the like.
    pub fn is_attached(&self, step: &Step) -> bool {
        self.node(step).attached.is_some()
    }

    /// What a step is to the one it is attached to.
    pub fn attachment(&self, step: &Step) -> Option<Attachment> {
        self.node(step).attached
    }
}

/// The pattern of a place in iterations: `/ship[2]/label` is `/ship[]/label`. The outer none: it stands in none;
/// the inner: what is in brackets is no number.
#[allow(clippy::option_option, reason = "the plain case must cost nothing")]
fn pattern(path: &str) -> Option<Option<String>> {
    if !path.contains('[') {
        return None;
    }
    let mut pattern = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((number, after)) = after.split_once(']') else { return Some(None) };
        let canonical = number.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == number);
        if !canonical {
            return Some(None);
        }
        pattern.push_str(before);
        pattern.push_str("[]");
        rest = after;
    }
    pattern.push_str(rest);
    Some(Some(pattern))
}
