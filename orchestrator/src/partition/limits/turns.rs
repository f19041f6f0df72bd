//! The turns of tasks under limits: which have their permits, which are put aside and come back, and what the homes are asked.

use std::sync::Arc;

use oarlock_engine::admission::Ticket;
use oarlock_engine::permits::{Allowance, Want};
use oarlock_protocol::message::{LimitName, Permits};
use oarlock_protocol::{ExecutionId, RunKey, TaskPath};
use tokio::time::Instant;

use super::SWEEP;
use super::under::{concurrency_of, limits_of};
use crate::partition::Lost;
use crate::partition::owner::Owner;
use crate::partition::permits::publication;
use crate::partition::runs;

impl Owner {
    /// Lets those come back whose limits have permits.
    pub(in crate::partition) fn let_back(&mut self) {
        let changed: Vec<Arc<str>> = self.limits.changed.iter().cloned().collect();
        for name in &changed {
            if let Some(held) = self.limits.held.get_mut(name) {
                held.looked = 0;
            }
        }
        let unfinished = std::mem::take(&mut self.limits.unfinished);
        unfinished.into_iter().chain(changed).for_each(|name| self.let_back_under(&name));
    }

    /// The same of one limit: as many as it has permits for, in turn among its lines.
    fn let_back_under(&mut self, name: &Arc<str>) {
        let now = self.shared.clock.now();
        let mut free = self.limits.free(name, now);
        if free == 0 {
            return;
        }
        for line in self.limits.lines_in_turn(name) {
            let limits = self.limits.lines.get(&line).cloned().unwrap_or_default();
            let most = limits.iter().map(|limit| self.limits.free(limit, now)).min().unwrap_or(0);
            if let Some(held) = self.limits.held.get_mut(name) {
                (held.looked, held.last) = (held.looked + 1, Some(line.clone()));
            }
            if most == 0 {
                continue;
            }
            let came = self.admission.let_back(&line, most);
            let is_empty = came.len() < most;
            free = free.saturating_sub(came.len());
            self.limits.came_back(&line, came);
            if is_empty {
                self.limits.end_line(&line);
            }
            if free == 0 {
                return;
            }
        }
        if self.limits.held.get(name).is_some_and(|held| held.looked < held.lines.len()) {
            self.limits.unfinished.insert(name.clone());
        }
    }

    /// Whether a task whose turn has come has the permits it needs; it is put aside where not.
    pub(in crate::partition) async fn has_permits(&mut self, ticket: &Ticket) -> Result<bool, Lost> {
        let limits = match self.runs.get(&self.shared, self.partition, &ticket.run).await {
            Ok(Some(cached)) => limits_of(cached, &ticket.path),
            Ok(None) => Vec::new(),
            Err(runs::Error::Store(error)) => return Err(error.into()),
            // Told where it is decided.
            Err(_) => Vec::new(),
        };
        if limits.is_empty() || self.limits.taken.contains_key(ticket) {
            self.limits.leaves_place(ticket);
            return Ok(true);
        }
        let names: Vec<Arc<str>> = limits.iter().map(|limit| self.limits.hold(limit)).collect();
        // What is at hand for it stays until then.
        let has = self.limits.take(&limits, &names, self.shared.clock.now());
        self.limits.leaves_place(ticket);
        if has {
            self.limits.taken.insert(ticket.clone(), names);
        } else {
            let line = self.limits.line(&names);
            self.admission.hold(&line);
        }
        Ok(has)
    }

    /// A task that had its permits is decided: where no attempt was opened they go back.
    pub(in crate::partition) fn settle_permits(&mut self, ticket: &Ticket, waits: bool) {
        if !waits && let Some(names) = self.limits.taken.remove(ticket) {
            names.into_iter().for_each(|name| self.limits.give_back(name));
        }
    }

    /// An attempt was opened.
    pub(in crate::partition) fn note_opened(&mut self, run: &RunKey, path: &TaskPath, attempt: ExecutionId) {
        let permits = if self.limits.taken.is_empty() {
            Vec::new()
        } else {
            let ticket = Ticket { run: run.clone(), path: path.clone() };
            self.limits.taken.remove(&ticket).unwrap_or_default()
        };
        if let Some((limit, _)) = self.runs.cached(run).and_then(|cached| concurrency_of(cached, path)) {
            self.limits.opened(attempt, &limit, &permits);
        }
    }

    /// Tells the homes of limits what is wanted of them, where there is something new.
    pub(in crate::partition) fn ask_for_permits(&mut self) {
        let now = self.shared.clock.now();
        let mut changed = std::mem::take(&mut self.limits.changed);
        if self.limits.sweep_at <= Instant::now() {
            self.sweep_limits();
            changed = self.limits.held.keys().cloned().collect();
        }
        for name in changed {
            let Some(held) = self.limits.held.get_mut(&name) else { continue };
            let waiting = held.wanting(now);
            let want = held.holder.say(waiting, now);
            if let Some(want) = want {
                let says = wants(held.name.clone(), self.partition, want, held.allowance());
                self.batch.tell.push(publication(held.home, self.partition, says));
            } else if waiting == 0 && held.holder.is_idle() {
                self.limits.forget(&name);
            }
        }
        for (home, question) in self.limits.all_told() {
            let says = Permits::ToldAll { partition: self.partition, question };
            self.batch.tell.push(publication(home, self.partition, says));
        }
    }

    /// Looks at all of them: what came back and is held by something else meanwhile is not waited for, and what waited for a
    /// payload and never opened gives its permits back.
    fn sweep_limits(&mut self) {
        self.limits.sweep_at = Instant::now() + SWEEP;
        let asides = &self.asides;
        let gone: Vec<Ticket> =
            self.limits.taken.keys().filter(|ticket| !asides.is_waiting(&ticket.run)).cloned().collect();
        for ticket in gone {
            self.settle_permits(&ticket, false);
        }
        for ticket in self.admission.without_place(self.limits.back.keys()) {
            self.limits.leaves_place(&ticket);
        }
        let waiting = self.admission.lines();
        let held = &mut self.limits.held;
        held.values_mut().for_each(|held| held.waiting = 0);
        self.limits.lines.retain(|name, limits| {
            let waiting = waiting.get(name).copied().unwrap_or_default();
            for limit in limits.iter() {
                let Some(held) = held.get_mut(limit) else { continue };
                held.waiting += waiting;
                if waiting == 0 {
                    held.lines.remove(name);
                }
            }
            waiting > 0
        });
        // Looked at by the next round: some may come back.
        self.limits.changed = self.limits.held.keys().cloned().collect();
    }
}

fn wants(limit: LimitName, partition: u32, want: Want, allowance: Option<Allowance>) -> Permits {
    let Want { epoch, n, keeps, wants, had } = want;
    let had = Some(had).filter(|had| *had > 0);
    let (most, per_ms) = match allowance {
        Some(Allowance::Concurrency { most }) => (Some(most), None),
        Some(Allowance::Rate { limit, per_ms }) => (Some(limit), Some(per_ms)),
        None => (None, None),
    };
    Permits::Want { limit, partition, epoch, n, keeps, wants, had, most, per_ms }
}
