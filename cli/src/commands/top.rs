//! `oarlock top`: a live view of queues, workers, runs and what is unusual, on a terminal.
//!
//! `poll.rs` asks, `state.rs` keeps what is known and what is chosen, `why.rs` says why a queue waits, `draw.rs` draws. Whatever happens
//! the terminal is given back as it was.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oarlock_orchestrator::Clock;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::client::Client;
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::signals::Signals;

mod answers;
mod draw;
mod poll;
mod state;
#[cfg(test)]
mod tests;
mod why;

use state::{Action, Key, State};

/// How often the screen is drawn where nothing happens: ages grow.
const DRAWN_EVERY: Duration = Duration::from_secs(1);
/// Answers and keys that wait to be shown: a few of each kind.
const WAITING: usize = 16;

pub(super) async fn top(
    configuration: &Configuration,
    client: Client,
    json: bool,
) -> Result<ExitCode, Failure> {
    if json || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "top draws on a terminal, and this is none; `oarlock queues`, `oarlock anomalies` and `oarlock list` print once, with --json too",
        ));
    }
    let mut signals = Signals::hear()?;
    let client = Arc::new(client);
    let (tell, mut news) = mpsc::channel(WAITING);
    let _asking = poll::begin(&client, &tell);
    let mut state = State::new(configuration.client.server.clone());
    let clock = Clock::system();
    let mut screen = Screen::take()?;
    let mut keys = keys();
    let mut ticks = interval(DRAWN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        screen.draw(&state, &clock)?;
        tokio::select! {
            _ = signals.told_to_end() => return Ok(ExitCode::SUCCESS),
            key = keys.recv() => match key.map_or(Action::Quit, |key| state.press(key)) {
                Action::Quit => return Ok(ExitCode::SUCCESS),
                Action::None => {}
                Action::Explain(run) => {
                    let (client, tell) = (Arc::clone(&client), tell.clone());
                    tokio::spawn(async move { tell.send(poll::explain(&client, run).await).await.ok() });
                }
            },
            Some(heard) = news.recv() => state.hear(heard, Instant::now()),
            _ = ticks.tick() => {}
        }
    }
}

/// The terminal, as long as it is ours. A panic gives it back too: that is what ratatui's hook does.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> Result<Self, Failure> {
        ratatui::try_init().map(Self).map_err(|error| {
            // Half of it may be done.
            ratatui::try_restore().ok();
            Failure::usage(format!("the terminal cannot be drawn on: {error}; `oarlock queues` prints once"))
        })
    }

    fn draw(&mut self, state: &State, clock: &Clock) -> Result<(), Failure> {
        let drawn = self.0.draw(|frame| draw::draw(frame, state, Instant::now(), clock.now()));
        drawn
            .map(drop)
            .map_err(|error| Failure::usage(format!("the terminal cannot be drawn on any more: {error}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to give back.
        ratatui::try_restore().ok();
    }
}

/// Reads keys on a thread of its own: no answer that is slow holds them up. It ends with the process.
fn keys() -> mpsc::Receiver<Key> {
    let (pressed, keys) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if pressed.blocking_send(key(&event)).is_err() {
                return;
            }
        }
    });
    keys
}

fn key(event: &Event) -> Key {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) =
        event
    else {
        return Key::Other;
    };
    match code {
        // As a terminal in raw mode tells it: no signal comes.
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
        KeyCode::Char('q') => Key::Quit,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::Tab => Key::Next,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc | KeyCode::Backspace => Key::Back,
        _ => Key::Other,
    }
}
