//! Screens as they are drawn at 80 columns and 24 rows and at 120 and 40, keys, and what fails. The questions are asked of a real node
//! by `cli/tests/command/looking.rs`.

use std::time::Duration;

use insta::assert_snapshot;
use oarlock_protocol::{Json, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;
use tokio::time::Instant;

use super::draw::draw;
use super::state::{Action, Key, News, Pane, State};

const WALL: i64 = 1_767_604_323_000;

fn news<T: serde::de::DeserializeOwned>(value: Json) -> Result<T, String> {
    Ok(serde_json::from_value(value).unwrap())
}

fn ready() -> Json {
    json!({"status": "READY", "problems": [], "broker": "READY", "members": ["a", "b"], "partitions": 16})
}

fn queue(name: &str, numbers: [u64; 4], oldest: Option<u64>, workers: u32) -> Json {
    let [ready, published, in_flight, due] = numbers;
    json!({
        "queue": name, "backlog": ready + published + in_flight + due, "ready": ready, "published": published, "inFlight": in_flight,
        "due": due, "oldestWaitMs": oldest, "arrivalsPerSecond": 4.2, "completionsPerSecond": 3.9, "workers": workers,
        "slots": workers * 4,
    })
}

fn worker(number: u32, state: &str, open: u32, queue: &str, marks: &[&str]) -> Json {
    json!({"worker": format!("shed-{number}"), "host": "shed", "state": state, "open": open, "slots": 4, "queues": [queue], "marks": marks})
}

fn run(number: u32, status: &str, age_s: i64) -> Json {
    json!({
        "id": format!("01a20789-858e-720f-bb97-30823c4100{number:02}"), "workflowDefinitionId": "order", "workflowDefinitionVersion": 3,
        "status": status, "createdBy": "ada", "createdAt": Timestamp::from_millis(WALL - age_s * 1_000),
    })
}

fn told(now: Instant, queues: Json, workers: Json, runs: Json) -> State {
    let mut state = State::new("http://127.0.0.1:7070".to_owned());
    state.hear(News::Ready(news(ready())), now);
    let mut queues: super::answers::Queues = news(json!({"queues": queues})).unwrap();
    queues.queues.iter_mut().for_each(|queue| queue.wanted = Some(3));
    state.hear(News::Queues(Ok(queues)), now);
    state.hear(News::Workers(news(json!({"workers": workers}))), now);
    state.hear(News::Anomalies(news(json!({"anomalies": []}))), now);
    state.hear(News::Runs(news(json!({"runs": runs}))), now);
    state
}

fn calm(now: Instant) -> State {
    let queues =
        json!([queue("mail", [0, 0, 3, 0], None, 3), queue("resize.thumbnails", [0, 0, 0, 2], None, 1)]);
    let workers = json!([
        worker(1, "BUSY", 2, "mail", &[]),
        worker(2, "BUSY", 1, "mail", &[]),
        worker(3, "IDLE", 0, "mail", &[]),
        worker(4, "IDLE", 0, "resize.thumbnails", &[])
    ]);
    told(now, queues, workers, json!([run(1, "PAUSED", 90_061), run(2, "RUNNING", 75), run(3, "RUNNING", 2)]))
}

/// No workers: the most usual reason to look.
fn backlog(now: Instant) -> State {
    let queues =
        json!([queue("mail", [1_500, 340, 0, 10], Some(61_000), 0), queue("pay", [0, 0, 1, 0], None, 1)]);
    let runs = (1..12).map(|number| run(number, "RUNNING", 200 - i64::from(number))).collect();
    told(now, queues, json!([worker(1, "BUSY", 1, "pay", &[])]), runs)
}

fn unusual(now: Instant) -> State {
    let mut state = backlog(now);
    let finding = |severity: &str, text: &str| json!({"severity": severity, "text": text});
    let found = json!([
        finding("SEVERE", "the queue mail has 1840 tasks and none ended for 5m"),
        finding(
            "WARNING",
            "payment.charge takes 3.1 s since 02:14 UTC, three times its usual 1.0 s (40 attempts)"
        ),
        finding("NOTICE", "outputs of report.make are 4 times as large as usual"),
        finding("NOTICE", "one more"),
        finding("NOTICE", "another one"),
    ]);
    state.hear(News::Anomalies(news(json!({"anomalies": found}))), now);
    state
}

/// What was known stays, and says how old it is.
fn gone(now: Instant) -> State {
    let mut state = calm(now.checked_sub(Duration::from_secs(12)).unwrap());
    let reason = || "http://127.0.0.1:7070 cannot be reached: Connection refused".to_owned();
    state.hear(News::Ready(Err(reason())), now);
    state.hear(News::Queues(Err(reason())), now);
    state.hear(News::Workers(Err(reason())), now);
    state.hear(News::Anomalies(Err(reason())), now);
    state.hear(News::Runs(Err(reason())), now);
    state
}

fn screen(state: &State, now: Instant, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, now, Timestamp::from_millis(WALL))).unwrap();
    terminal.backend().to_string()
}

#[test]
fn each_situation_fits_on_a_small_and_on_a_large_screen() {
    let now = Instant::now() + Duration::from_secs(60);
    let situations =
        [("calm", calm(now)), ("backlog", backlog(now)), ("unusual", unusual(now)), ("gone", gone(now))];
    for (name, state) in situations {
        for size in [(80, 24), (120, 40)] {
            assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), screen(&state, now, size));
        }
    }
}

#[test]
fn whatever_the_size_it_draws() {
    let now = Instant::now();
    for size in [(1, 1), (10, 3), (20, 8), (300, 100)] {
        screen(&unusual(now), now, size);
        screen(&State::new(String::new()), now, size);
    }
}

#[test]
fn the_page_for_operators_shows_the_screen_as_it_is() {
    let now = Instant::now();
    let drawn = screen(&unusual(now), now, (80, 24));
    let lines: Vec<&str> = drawn.lines().map(|line| line.trim_matches('"').trim_end()).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md")).unwrap();
    assert!(
        page.contains(&lines.join("\n")),
        "the screen of docs/operating.md should be:\n{}",
        lines.join("\n")
    );
}

/// What a broker or a queue is called is not ours: nothing in it may steer the terminal.
#[test]
fn names_cannot_steer_the_terminal() {
    let now = Instant::now();
    let state = told(now, json!([queue("mail\u{1b}[2J\u{7}", [1, 0, 0, 0], None, 0)]), json!([]), json!([]));
    let drawn = screen(&state, now, (80, 24));
    assert!(drawn.contains("mail") && !drawn.contains(['\u{1b}', '\u{7}']), "{drawn:?}");
}

#[test]
fn keys_choose_and_what_is_chosen_stays_where_rows_change_places() {
    let now = Instant::now();
    let mut state = calm(now);
    assert_eq!(state.queue().unwrap().queue, "mail");
    state.press(Key::Down);
    state.press(Key::Down);
    assert_eq!(state.queue().unwrap().queue, "resize.thumbnails", "no further than to the last");
    let turned = json!({"queues": [queue("resize.thumbnails", [9, 0, 0, 0], None, 1), queue("mail", [0, 0, 3, 0], None, 3)]});
    state.hear(News::Queues(news(turned)), now);
    assert_eq!((state.queue().unwrap().queue.as_str(), state.chosen(Pane::Queues)), ("resize.thumbnails", 0));
    state.hear(News::Queues(news(json!({"queues": []}))), now);
    assert!(state.queue().is_none());
    assert_eq!(state.press(Key::Up), Action::None, "of nothing nothing is chosen");
    assert_eq!(state.press(Key::Enter), Action::None);
    assert_eq!(state.press(Key::Quit), Action::Quit);
}

#[test]
fn enter_explains_the_chosen_run() {
    let now = Instant::now();
    let mut state = calm(now);
    state.press(Key::Next);
    state.press(Key::Next);
    state.press(Key::Down);
    let run = "01a20789-858e-720f-bb97-30823c410002".to_owned();
    assert_eq!(state.press(Key::Enter), Action::Explain(run.clone()));
    state.hear(News::Explained("another".to_owned(), Ok("of no interest".to_owned())), now);
    let text =
        "The run is RUNNING.\n\n/charge SCHEDULED. It waits for a worker.\n    oarlock cancel RUN".to_owned();
    state.hear(News::Explained(run, Ok(text)), now);
    assert_snapshot!("explained_80x24", screen(&state, now, (80, 24)));
    state.press(Key::Back);
    assert!(state.explained.is_none());
}

#[test]
fn one_part_that_fails_is_named_alone() {
    let now = Instant::now();
    let mut state = calm(now);
    state.hear(News::Workers(Err("no answer within 5 s".to_owned())), now);
    assert_eq!(state.problems(now), ["workers: no answer within 5 s"]);
    assert_eq!(state.count("BUSY", None), 2, "the last state stays");
    let later = now + Duration::from_secs(9);
    assert_eq!(state.problems(later).len(), 5);
    assert_eq!(state.problems(later)[1], "queues, 9 s old: no answer yet");
}
