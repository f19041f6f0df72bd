//! The settings by which a fleet is watched: how many workers queues want, and what is unusual.

use oarlock_monitor::scaling::Settings as Rule;
use oarlock_orchestrator::settings;
use oarlock_protocol::name;

use super::Configuration;
use super::sections::ScalingOf;

impl Configuration {
    pub(super) fn scaling(&self) -> settings::Scaling {
        let all = &self.scaling;
        let rule = Rule {
            min_workers: all.min_workers,
            max_workers: all.max_workers,
            slots_per_worker: all.slots_per_worker,
            drain: all.drain,
            average: all.average,
            stabilization: all.stabilization,
            quiet: all.quiet,
            service_guess: all.service_guess,
            ..Rule::default()
        };
        let of = all.queues.iter().map(|(queue, own)| (queue.clone(), of(&rule, own)));
        settings::Scaling { of: of.collect(), rule }
    }

    pub(super) fn check_scaling(&self) -> Result<(), String> {
        let scaling = self.scaling();
        check("scaling", &scaling.rule)?;
        for (queue, rule) in &scaling.of {
            name::check_task_name(queue).map_err(|error| format!("scaling.queues: {error}"))?;
            check(&format!("scaling.queues.{queue}"), rule)?;
        }
        Ok(())
    }

    pub(super) fn anomalies(&self) -> settings::Anomalies {
        let own = &self.anomalies;
        let mut anomalies = settings::Anomalies {
            enabled: own.enabled,
            handle: own.handle.clone(),
            of: own.of.clone(),
            ..settings::Anomalies::default()
        };
        anomalies.rules.run_grace = own.run_grace;
        anomalies.rules.queue_still = own.queue_still;
        anomalies.rules.worker_idle = own.worker_idle;
        anomalies
    }
}

fn of(rule: &Rule, own: &ScalingOf) -> Rule {
    Rule {
        min_workers: own.min_workers.unwrap_or(rule.min_workers),
        max_workers: own.max_workers.unwrap_or(rule.max_workers),
        slots_per_worker: own.slots_per_worker.unwrap_or(rule.slots_per_worker),
        drain: own.drain.unwrap_or(rule.drain),
        average: own.average.unwrap_or(rule.average),
        stabilization: own.stabilization.unwrap_or(rule.stabilization),
        quiet: own.quiet.unwrap_or(rule.quiet),
        service_guess: own.service_guess.unwrap_or(rule.service_guess),
        ..rule.clone()
    }
}

fn check(section: &str, rule: &Rule) -> Result<(), String> {
    let Rule { min_workers, max_workers, slots_per_worker, .. } = rule;
    if min_workers > max_workers || *max_workers == 0 {
        return Err(format!(
            "{section}.min_workers is {min_workers} and max_workers {max_workers}: the fewest are not more than the most, \
             and those are 1 at least"
        ));
    }
    if *slots_per_worker == 0 {
        return Err(format!("{section}.slots_per_worker is 0; a worker does at least 1 task at once"));
    }
    Ok(())
}
