//! A schedule as text.

use oarlock_protocol::schedule::ScheduleView;

use super::table;

/// When it is due next.
pub(crate) fn next(view: &ScheduleView) -> String {
    match view.state.next_due {
        _ if view.schedule.paused => "paused".to_owned(),
        Some(due) => format!("next due {due}"),
        None => "due no more".to_owned(),
    }
}

/// A table of schedules, with its heading.
pub(crate) fn rows(views: &[ScheduleView]) -> Vec<Vec<String>> {
    let heading = [
        "SCHEDULE", "WORKFLOW", "CRON", "ZONE", "NEXT DUE", "LAST RUN", "STARTED", "SKIPPED", "MISSED",
        "PROBLEM",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| {
        let (written, state) = (&view.schedule.definition, &view.state);
        let due = match state.next_due {
            _ if view.schedule.paused => "PAUSED".to_owned(),
            Some(due) => due.to_string(),
            None => "-".to_owned(),
        };
        let problem = state.last_problem.as_ref().map(|problem| table::shorten(&problem.message, 60));
        vec![
            written.id.clone(),
            workflow(view),
            written.cron.clone(),
            written.time_zone.clone(),
            due,
            state.last_run.map(|run| run.to_string()).unwrap_or_default(),
            state.started.to_string(),
            state.skipped.to_string(),
            state.missed.to_string(),
            problem.unwrap_or_default(),
        ]
    }));
    rows
}

/// All that is worth knowing of one.
pub(crate) fn text(view: &ScheduleView) -> String {
    let (schedule, written, state) = (&view.schedule, &view.schedule.definition, &view.state);
    let mut lines = vec![("schedule", written.id.clone())];
    lines.extend(written.description.clone().map(|text| ("", text)));
    lines.push(("workflow", workflow(view)));
    lines.push(("due", format!("{} in {}", written.cron, written.time_zone)));
    lines.extend(written.start.map(|start| ("from", start.to_string())));
    lines.extend(written.end.map(|end| ("until", end.to_string())));
    lines.push(("overlap", overlap(view)));
    lines.push(("catch-up", written.catch_up.to_string()));
    lines.push(("on behalf of", schedule.security_context.user_id.clone()));
    if schedule.paused {
        let why = schedule.pause_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        lines.push(("paused", format!("since {}{why}", schedule.updated_at)));
    }
    let last = state.last_run.map(|run| match state.last_due {
        Some(due) => format!("{run}, due {due}"),
        None => run.to_string(),
    });
    lines.push(("last run", last.unwrap_or_else(|| "none yet".to_owned())));
    lines.extend(
        (!state.queued.is_empty())
            .then(|| ("waiting", format!("{} until that has ended", state.queued.len()))),
    );
    lines.push((
        "so far",
        format!(
            "{} started, {} skipped, {} missed, {} refused",
            state.started, state.skipped, state.missed, state.refused
        ),
    ));
    lines.extend(
        state
            .last_problem
            .as_ref()
            .map(|problem| ("last problem", format!("{} {}", problem.at, problem.message))),
    );
    if view.next.is_empty() && !schedule.paused {
        lines.push(("next due", "never".to_owned()));
    }
    lines.extend(
        view.next.iter().enumerate().map(|(n, due)| (if n == 0 { "next due" } else { "" }, due.to_string())),
    );
    let rows: Vec<Vec<String>> = lines.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect();
    table::text(&rows)
}

fn workflow(view: &ScheduleView) -> String {
    let written = &view.schedule.definition;
    written
        .version
        .map_or_else(|| written.workflow.clone(), |version| format!("{}@{version}", written.workflow))
}

fn overlap(view: &ScheduleView) -> String {
    let written = &view.schedule.definition;
    let name = serde_json::to_value(written.overlap).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
    if name == "QUEUE" { format!("{name}, at most {}", written.queue_limit) } else { name.to_owned() }
}
