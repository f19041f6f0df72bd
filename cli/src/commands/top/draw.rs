//! Draws what `top` knows onto a screen of 80 columns and 24 rows, or more. Reads the state, changes nothing.

use oarlock_protocol::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Row, Table, TableState, Wrap};
use tokio::time::Instant;

use super::answers::{Queue, age, short};
use super::state::{Explained, Pane, State};
use super::why::why;
use crate::show::table::shorten;

/// The most problems and the most anomalies that are shown: the lists below need the room.
const MOST_PROBLEMS: usize = 3;
const MOST_ANOMALIES: usize = 4;
/// The lines of the sentence that says why a queue waits.
const WHY: u16 = 2;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, now: Instant, wall: Timestamp) {
    let problems = state.problems(now);
    let anomalies = anomalies(state);
    let height = |count: usize| Constraint::Length(u16::try_from(count).unwrap_or(u16::MAX));
    let [health, problem, anomaly, body, keys] = Layout::vertical([
        Constraint::Length(1),
        height(problems.len().min(MOST_PROBLEMS)),
        height(anomalies.len()),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(health_line(state, now)), health);
    let problems = problems.into_iter().map(|text| Line::styled(format!("! {text}"), Color::Red));
    frame.render_widget(Paragraph::new(Text::from_iter(problems)), problem);
    frame.render_widget(Paragraph::new(Text::from(anomalies)), anomaly);
    let help = match &state.explained {
        Some(explained) => {
            explanation(frame, body, explained);
            "q quit · ↑ ↓ scroll · esc back"
        }
        None => {
            lists(frame, body, state, wall);
            "q quit · ↑ ↓ choose · tab next list · enter explains a run"
        }
    };
    frame.render_widget(Paragraph::new(help).style(Style::new().add_modifier(Modifier::DIM)), keys);
}

fn lists(frame: &mut Frame<'_>, area: Rect, state: &State, wall: Timestamp) {
    let rows =
        [state.queues.value.queues.len(), state.workers.value.workers.len(), state.runs.value.runs.len()];
    let [queues, workers, runs] = heights(area.height.saturating_sub(WHY), rows);
    let lengths = [queues, WHY, workers, runs].map(Constraint::Length);
    let [queues, why_area, workers, runs] = Layout::vertical(lengths).areas(area);
    queue_table(frame, queues, state);
    let why = state.queue().map(|queue| why(queue, &state.facts(&queue.queue))).unwrap_or_default();
    frame.render_widget(Paragraph::new(why).wrap(Wrap { trim: true }), why_area);
    worker_table(frame, workers, state);
    run_table(frame, runs, state, wall);
}

/// The heights of queues, workers and runs: half, a quarter and a quarter, where each has so many rows below its heading. What one does
/// not need the others get.
fn heights(all: u16, rows: [usize; 3]) -> [u16; 3] {
    let needs = rows.map(|rows| u16::try_from(rows + 1).unwrap_or(u16::MAX));
    let quarter = all / 4;
    let mut heights = [all - 2 * quarter, quarter, quarter];
    (0..3).for_each(|list| heights[list] = heights[list].min(needs[list]));
    for list in [0, 2, 1] {
        let left = all.saturating_sub(heights.iter().sum());
        heights[list] += left.min(needs[list] - heights[list]);
    }
    heights
}

fn health_line(state: &State, now: Instant) -> Line<'static> {
    let ready = &state.ready.value;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut spans = vec![Span::styled("oarlock ", bold)];
    let is_silent = state.ready.problem.is_some() || state.ready.age(now).is_some();
    let (status, color) = match ready.status.as_str() {
        _ if is_silent => ("NO ANSWER", Color::Red),
        "" => ("ASKING", Color::Reset),
        "READY" => ("READY", Color::Green),
        _ => ("NOT READY", Color::Red),
    };
    spans.push(Span::styled(status, color));
    if !is_silent && !ready.status.is_empty() {
        let (members, partitions) = (ready.members.len(), ready.partitions);
        let s = if members == 1 { "" } else { "s" };
        spans.push(Span::raw(format!(
            " · {members} orchestrator{s} · {partitions} partitions · broker {}",
            ready.broker
        )));
    }
    spans.push(Span::raw(format!(" · {}", state.server)));
    Line::from(spans)
}

fn anomalies(state: &State) -> Vec<Line<'static>> {
    let found = &state.anomalies.value.anomalies;
    let mut lines: Vec<Line<'static>> = found
        .iter()
        .take(MOST_ANOMALIES)
        .map(|finding| {
            let color = match finding.severity.as_str() {
                "SEVERE" => Color::Red,
                "WARNING" => Color::Yellow,
                _ => Color::Reset,
            };
            let severity = Span::styled(format!("{:<8}", finding.severity), color);
            Line::from(vec![severity, Span::raw(finding.text.clone())])
        })
        .collect();
    if found.len() > MOST_ANOMALIES {
        lines.truncate(MOST_ANOMALIES - 1);
        lines.push(Line::raw(format!("and {} more: `oarlock anomalies`", found.len() + 1 - MOST_ANOMALIES)));
    }
    lines
}

/// A list with its heading, its chosen row marked where it has the keys.
fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    (state, pane): (&State, Pane),
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: &[Constraint],
) {
    let has_keys = state.pane == pane;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    // Columns that count are aligned to the right, all that have a width of their own but the last.
    let numeric = |column: usize| pane == Pane::Queues && column > 0;
    let cells = |cells: Vec<String>| {
        Row::new(cells.into_iter().enumerate().map(move |(column, cell)| {
            let line = Line::raw(cell);
            if numeric(column) { line.right_aligned() } else { line }
        }))
    };
    let chosen = if has_keys { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let mut at = TableState::new();
    if !rows.is_empty() {
        at.select(Some(state.chosen(pane)));
    }
    let heading = cells(heading).style(if has_keys { bold.add_modifier(Modifier::UNDERLINED) } else { bold });
    let table = Table::new(rows.into_iter().map(cells), widths).header(heading).row_highlight_style(chosen);
    frame.render_stateful_widget(table.highlight_symbol(if has_keys { "> " } else { "  " }), area, &mut at);
}

fn queue_table(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let heading =
        ["QUEUE", "BACKLOG", "READY", "PUBL", "FLIGHT", "DUE", "OLDEST", "IN/S", "OUT/S", "WORKERS"];
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(7),
    ];
    let rows = state.queues.value.queues.iter().map(queue_row).collect();
    list(frame, area, (state, Pane::Queues), heading.map(str::to_owned).to_vec(), rows, &widths);
}

fn queue_row(queue: &Queue) -> Vec<String> {
    let rate = |rate: f64| if rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate:.1}") };
    let workers = match queue.wanted {
        Some(wanted) => format!("{}/{wanted}", queue.workers),
        None => queue.workers.to_string(),
    };
    vec![
        queue.queue.clone(),
        queue.backlog.to_string(),
        queue.ready.to_string(),
        queue.published.to_string(),
        queue.in_flight.to_string(),
        queue.due.to_string(),
        queue.oldest_wait_ms.map_or_else(|| "-".to_owned(), short),
        rate(queue.arrivals_per_second),
        rate(queue.completions_per_second),
        workers,
    ]
}

fn worker_table(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let of = |name: &str| state.count(name, None);
    let counts = format!("{} busy, {} idle, {} silent", of("BUSY"), of("IDLE"), of("SILENT"));
    let heading = vec![format!("WORKERS: {counts}"), "STATE".into(), "OPEN".into(), "QUEUES".into()];
    let widths = [Constraint::Fill(3), Constraint::Length(6), Constraint::Length(9), Constraint::Fill(2)];
    let row = |worker: &super::answers::Worker| {
        let mark = worker.marks.first().map(|mark| format!(": {mark}")).unwrap_or_default();
        vec![
            format!("{} on {}", worker.worker, worker.host),
            worker.state.clone(),
            format!("{} of {}", worker.open, worker.slots),
            format!("{}{mark}", worker.queues.join(", ")),
        ]
    };
    let rows = state.workers.value.workers.iter().map(row).collect();
    list(frame, area, (state, Pane::Workers), heading, rows, &widths);
}

fn run_table(frame: &mut Frame<'_>, area: Rect, state: &State, wall: Timestamp) {
    let runs = &state.runs.value;
    let count =
        if runs.next.is_some() { format!("{} newest", runs.runs.len()) } else { runs.runs.len().to_string() };
    let heading =
        vec![format!("RUNS: {count}, the oldest first"), "STATUS".into(), "AGE".into(), "WORKFLOW".into()];
    let widths = [Constraint::Length(36), Constraint::Length(8), Constraint::Length(6), Constraint::Fill(1)];
    let rows = runs.runs.iter().map(|run| {
        vec![
            run.id.to_string(),
            run.status.as_str().to_owned(),
            age(run.created_at, wall),
            format!("{}@{}", shorten(&run.workflow_definition_id, 60), run.workflow_definition_version),
        ]
    });
    list(frame, area, (state, Pane::Runs), heading, rows.collect(), &widths);
}

fn explanation(frame: &mut Frame<'_>, area: Rect, explained: &Explained) {
    let text = match &explained.text {
        None => "…".to_owned(),
        Some(Ok(text)) => text.clone(),
        Some(Err(problem)) => format!("! {problem}"),
    };
    let paragraph = Paragraph::new(format!("run {}\n\n{text}", explained.run));
    // No further than to the last line, as far as lines are wrapped at all.
    let most = u16::try_from(text.lines().count() + 2).unwrap_or(u16::MAX).saturating_sub(1);
    frame.render_widget(paragraph.wrap(Wrap { trim: false }).scroll((explained.scrolled.min(most), 0)), area);
}
