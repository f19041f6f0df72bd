//! The limits that a task is under, as its definition and its input have them. Reads a run, and keeps nothing.

use oarlock_engine::permits::Allowance;
use oarlock_engine::run::{Stage, Work};
use oarlock_protocol::definition::TaskDefinition;
use oarlock_protocol::message::{LimitKind, LimitName};
use oarlock_protocol::{ExecutionId, TaskPath};

use crate::partition::runs::Cached;

/// A limit that a task is under.
pub(super) struct Limit {
    pub(super) name: LimitName,
    pub(super) allowance: Allowance,
    /// The workflow whose definition says so, and its version.
    pub(super) workflow: String,
    pub(super) version: u32,
}

/// The limits that a task is under: none, one or two.
pub(super) fn limits_of(cached: &Cached, path: &TaskPath) -> Vec<Limit> {
    let Some(row) = cached.run.rows.get(path) else { return Vec::new() };
    let (Some(work), Some(node)) = (row.work(), cached.plan.work(row.node)) else { return Vec::new() };
    let definition = &node.definition;
    if node.child.is_some() {
        return Vec::new();
    }
    let head = &cached.run.head;
    let limit = |kind, allowance| Limit {
        name: name(&cached.run.key.tenant, definition, work, kind),
        allowance,
        workflow: head.workflow_definition_id.clone(),
        version: head.workflow_definition_version,
    };
    let concurrency =
        definition.concurrency_limit.as_ref().map(|of| Allowance::Concurrency { most: of.limit() });
    let rate = definition
        .rate_limit
        .as_ref()
        .map(|of| Allowance::Rate { limit: of.limit, per_ms: of.per.as_millis().max(1) });
    let concurrency = concurrency.map(|allowance| limit(LimitKind::Concurrency, allowance));
    concurrency.into_iter().chain(rate.map(|allowance| limit(LimitKind::Rate, allowance))).collect()
}

/// What a limit of a task is called.
pub(crate) fn name(tenant: &str, definition: &TaskDefinition, work: &Work, kind: LimitKind) -> LimitName {
    let keys = work.limit_keys.as_ref();
    let key = keys.and_then(|keys| match kind {
        LimitKind::Concurrency => keys.concurrency.clone(),
        LimitKind::Rate => keys.rate.clone(),
    });
    LimitName { tenant_id: tenant.to_owned(), task: definition.id.clone(), kind, key }
}

/// What the limit of concurrency of a task is called, and whether its definition has one. None for a run of another workflow.
pub(super) fn concurrency_of(cached: &Cached, path: &TaskPath) -> Option<(LimitName, bool)> {
    let row = cached.run.rows.get(path)?;
    let (work, node) = (row.work()?, cached.plan.work(row.node)?);
    let limit = name(&cached.run.key.tenant, &node.definition, work, LimitKind::Concurrency);
    node.child.is_none().then_some((limit, node.definition.concurrency_limit.is_some()))
}

/// The attempts of a run that are open, also those that their workers have handed on; each with its limit, and whether its
/// definition has that.
pub(in crate::partition) fn open_in(cached: &Cached) -> Vec<(ExecutionId, (LimitName, bool))> {
    let open = cached.run.rows.iter().filter_map(|(path, row)| match &row.work()?.stage {
        Stage::Open(open) => Some((open.execution_id, concurrency_of(cached, path)?)),
        Stage::Ready { .. } | Stage::Waiting { .. } | Stage::Held | Stage::Closed => None,
    });
    open.collect()
}

/// The stricter of two.
pub(in crate::partition) fn least(one: Allowance, other: Allowance) -> Allowance {
    let strictness = |allowance: Allowance| match allowance {
        Allowance::Concurrency { most } => 1.0 / f64::from(most.max(1)),
        Allowance::Rate { limit, per_ms } => per_ms as f64 / f64::from(limit.max(1)),
    };
    if strictness(other) > strictness(one) { other } else { one }
}
