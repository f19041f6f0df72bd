//! The run as a whole in sentences: where it stands, how it is to end, and by what it is moved.

use oarlock_engine::run::Ending;
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};

use super::{Facts, add, ago, ahead, error_text, rounded};

/// The run in sentences, and the commands that move it; `waits` steps of it wait for something.
pub(super) fn told(facts: &Facts<'_>, instance: &WorkflowInstance, waits: usize) -> (String, Vec<String>) {
    let id = instance.id;
    let name = format!("{}@{}", instance.workflow_definition_id, instance.workflow_definition_version);
    let begun = ago(instance.created_at, facts.now);
    let status = instance.status.as_str();
    let (text, commands): (String, &[&str]) = match instance.status {
        WorkflowStatus::Pending => {
            (format!("Run {id} of {name} is accepted since {begun}, and begins next."), &["cancel"])
        }
        WorkflowStatus::Running | WorkflowStatus::Compensating => {
            let mut text = format!("Run {id} of {name} is {status}; it began at {begun}.");
            add_ending(&mut text, facts, instance);
            if waits == 0 {
                add(&mut text, "Nothing of it is open now: its owner decides what is next.");
            }
            add_limit(&mut text, facts);
            (text, if instance.status == WorkflowStatus::Running { &["pause", "cancel"] } else { &["pause"] })
        }
        WorkflowStatus::Paused => {
            let mut text = format!(
                "Run {id} of {name} is PAUSED; it began at {begun}. \
                 Nothing is dispatched until an operator lets it go on; what is open still answers."
            );
            add_ending(&mut text, facts, instance);
            add_limit(&mut text, facts);
            (text, &["resume", "cancel"])
        }
        WorkflowStatus::Completed => (ended(facts, instance, &name), &[]),
        WorkflowStatus::Failed | WorkflowStatus::Cancelled | WorkflowStatus::TimedOut => {
            let mut text = ended(facts, instance, &name);
            if let Some(error) = &instance.error {
                let arose = match &facts.run.head.failed_at {
                    Some(path) if !path.is_root() => format!("The error arose at {path}: "),
                    Some(_) | None => "The error: ".to_owned(),
                };
                add(&mut text, &format!("{arose}{}.", error_text(error).trim_end_matches('.')));
            }
            let commands = add_retry(&mut text, facts, instance);
            return (text, commands);
        }
    };
    (text, commands.iter().map(|command| format!("oarlock {command} {id}")).collect())
}

/// Whether and how it can be done again.
fn add_retry(text: &mut String, facts: &Facts<'_>, instance: &WorkflowInstance) -> Vec<String> {
    if facts.run.head.compensating {
        add(text, "What it had done was undone: start it anew instead of a retry.");
        return Vec::new();
    }
    if let Some(parent) = &facts.run.head.parent {
        let (run, path) = (parent.address.run.run, &parent.address.task_path);
        add(text, &format!("{path} of run {run} has started it and knows its end: retry that run."));
        return vec![format!("oarlock explain {run}"), format!("oarlock retry {run}")];
    }
    add(text, "A retry does again what did not complete, and keeps what did.");
    vec![format!("oarlock retry {}", instance.id)]
}

fn ended(facts: &Facts<'_>, instance: &WorkflowInstance, name: &str) -> String {
    let end = instance.end_time.unwrap_or(instance.updated_at);
    let kept = facts.plan.definition.retention.unwrap_or(facts.settings.retention);
    format!(
        "Run {} of {name} ended {} at {}, after {}. It is kept until {}.",
        instance.id,
        instance.status.as_str(),
        ago(end, facts.now),
        rounded(end.since(instance.created_at)),
        end.after(kept),
    )
}

/// How the run is to end, where that is decided.
fn add_ending(text: &mut String, facts: &Facts<'_>, instance: &WorkflowInstance) {
    let head = &facts.run.head;
    let place = head.failed_at.as_ref().map(|path| format!(" at {path}")).unwrap_or_default();
    if let Some(error) = instance.error.as_ref().filter(|_| head.handling) {
        let error = error_text(error);
        return add(
            text,
            &format!("It failed{place} ({error}); its error handlers are at work, then it ends."),
        );
    }
    if let Some(error) = instance.error.as_ref().filter(|_| head.compensating) {
        let error = error_text(error);
        add(text, &format!("It is to end because of what came{place} ({error})."));
        return add(text, "What it did is undone before, one step after the other, the last one first.");
    }
    let how = match &head.ending {
        None => return,
        Some(Ending::Failed { error, failed_at }) => {
            format!("It failed at {failed_at} ({}) and ends", error_text(error))
        }
        Some(Ending::Cancelled { reason }) => format!("It is cancelled ({reason}) and ends"),
        Some(Ending::TimedOut { error }) => format!("Its time is over ({}) and it ends", error_text(error)),
        Some(Ending::Enough | Ending::Completed { .. }) => "It was told to end, COMPLETED,".to_owned(),
    };
    add(text, &format!("{how} when what is open has closed."));
}

fn add_limit(text: &mut String, facts: &Facts<'_>) {
    let head = &facts.run.head;
    // Of one that was opened again only its timer knows when its time counts from.
    if head.handling || head.compensating || head.ending.is_some() || head.generation > 0 {
        return;
    }
    if let Some(total) = facts.plan.definition.timeouts.total {
        let until = ahead(head.created_at.after(total), facts.now);
        add(text, &format!("It ends TIMED_OUT at {until} unless it has ended before."));
    }
}
