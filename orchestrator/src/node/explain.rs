//! Gathers what is known of a run, for [`crate::explain`] to tell.

use std::collections::BTreeSet;
use std::time::Duration;

use oarlock_broker::{Health, topology};
use oarlock_engine::map::Map;
use oarlock_engine::run::Stage;
use oarlock_engine::{Plan, Run};
use oarlock_protocol::RunKey;
use oarlock_protocol::message::{LimitKind, LimitName};

use super::{Error, Node};
use crate::explain::{Explanation, Facts, explain};
use crate::layout;
use crate::partition::limits::limit_name;
use crate::store::{Fields, Key};

/// The most queues whose length is asked for: each is a question to the broker.
const MOST_QUEUES: usize = 20;
/// The most limits that are read of one run.
const MOST_LIMITS: usize = 20;
/// How long the broker may take to tell all of them; what it has not told then is left out.
const ANSWER: Duration = Duration::from_secs(2);

impl Node {
    /// Tells what a run waits for; none where there is no such run.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn explain(&self, key: &RunKey) -> Result<Option<Explanation>, Error> {
        let Some((run, plan)) = self.load(key).await? else { return Ok(None) };
        let broker_problem = match &*self.shared.broker.health().borrow() {
            Health::Ready => None,
            Health::Blocked(reason) | Health::Down(reason) => Some(reason.clone()),
        };
        let mut waiting = Map::default();
        if broker_problem.is_none() {
            tokio::time::timeout(ANSWER, self.ask_depths(&run, &plan, &mut waiting)).await.ok();
        }
        let settings = &self.shared.settings;
        Ok(Some(explain(&Facts {
            plan: &plan,
            run: &run,
            settings: &settings.engine,
            now: self.shared.clock.now(),
            windows: self.windows(&run),
            pauses: self.shared.pauses.lasting(),
            limits: self.limits(&run, &plan).await?,
            broker_problem,
            waiting,
        })))
    }

    /// How many tasks of each queue may be out; of what another node owns the most that any may have.
    fn windows(&self, run: &Run) -> Map<String, usize> {
        let queues = run.rows.values().filter_map(|row| row.work()).map(|work| work.queue.clone());
        let most = self.shared.settings.window;
        let window = |queue: &String| self.shared.admissions.standing(queue).map_or(most, |at| at.window);
        queues.map(|queue| (queue.clone(), window(&queue))).collect()
    }

    /// How many permits are taken of the limits of what is ready.
    async fn limits(&self, run: &Run, plan: &Plan) -> Result<Map<String, u32>, Error> {
        let ready = run
            .rows
            .values()
            .filter(|row| row.work().is_some_and(|work| matches!(work.stage, Stage::Ready { .. })));
        let works = ready.filter_map(|row| Some((row.work()?, &plan.work(row.node)?.definition)));
        let limited = works.filter(|(_, definition)| definition.concurrency_limit.is_some());
        let names: BTreeSet<LimitName> = limited
            .map(|(work, definition)| limit_name(&run.key.tenant, definition, work, LimitKind::Concurrency))
            .collect();
        let mut taken = Map::default();
        for name in names.into_iter().take(MOST_LIMITS) {
            let field = layout::limit_field(&name);
            let home = layout::limit_home(&name, self.shared.definitions.partitions());
            let fields = Fields::Named(vec![field.clone()]);
            let read = self.shared.store.read_hash(home, &Key::Limits, fields).await?;
            for (stored, _) in layout::limits_in(read).unwrap_or_default() {
                taken.insert(field.clone(), stored.home.taken());
            }
        }
        Ok(taken)
    }

    async fn ask_depths(&self, run: &Run, plan: &Plan, waiting: &mut Map<String, u64>) {
        // Attempts that are runs lie in no queue.
        let is_child = |node| plan.work(node).is_some_and(|work| work.child.is_some());
        let works = run.rows.values().filter(|row| !is_child(row.node)).filter_map(|row| row.work());
        let outside = works.filter(|work| match &work.stage {
            Stage::Ready { .. } => true,
            Stage::Open(open) => open.started.is_none(),
            Stage::Waiting { .. } | Stage::Held | Stage::Closed => false,
        });
        let queues: BTreeSet<&String> = outside.map(|work| &work.queue).collect();
        for queue in queues.into_iter().take(MOST_QUEUES) {
            // A queue that is not there yet has nothing to tell.
            if let Ok(depth) = self.shared.broker.depth(&topology::tasks(queue)).await {
                waiting.insert(queue.clone(), depth);
            }
        }
    }
}
