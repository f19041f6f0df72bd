//! Spans of what a decision ended: made from the run as it is then, told after the commit that holds it.

use oarlock_engine::Effect;
use oarlock_protocol::{RunKey, TraceId};

use super::owner::Owner;
use crate::traces;

impl Owner {
    /// Makes the span of what ended by this effect. It waits in the batch: what is not committed is not told.
    pub(super) fn trace(&mut self, key: &RunKey, effect: &Effect) {
        let telemetry = &self.shared.settings.telemetry;
        if !telemetry.is_on() {
            return;
        }
        let span = match (effect, self.runs.cached(key)) {
            (Effect::Closed { path, execution_id, .. }, Some(cached)) => {
                traces::attempt(&cached.plan, &cached.run, path, *execution_id, telemetry)
            }
            (Effect::RunChanged { to, .. }, Some(cached)) if to.is_terminal() => {
                traces::run(&cached.run, telemetry)
            }
            _ => None,
        };
        self.batch.spans.extend(span);
    }

    /// The trace of a run at hand, for a log line.
    pub(super) fn trace_id(&mut self, key: &RunKey) -> Option<TraceId> {
        self.runs.cached(key).map(|cached| traces::trace_of(&cached.run))
    }

    /// Hands over the spans of what is committed.
    pub(super) fn export_spans(&mut self) {
        let telemetry = &self.shared.settings.telemetry;
        std::mem::take(&mut self.batch.spans).into_iter().for_each(|span| telemetry.export(span));
    }
}
