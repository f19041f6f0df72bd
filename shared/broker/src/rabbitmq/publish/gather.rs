//! Gathers what several callers publish into common windows: a server takes fifty messages on one channel for much less than five on
//! each of ten.
//!
//! While few windows are on their way the next one goes at once; else it waits, and grows, until one is confirmed. It never waits
//! longer than [`PATIENCE`], so that a queue whose confirmations stay away holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Pool, WINDOW, WINDOW_BYTES};
use crate::{Error, Publication};

/// So many windows are on their way before the next one waits: the server writes one to its disk while it reads another.
const FEW: usize = 3;
/// The longest that a window waits for others to be confirmed.
const PATIENCE: Duration = Duration::from_millis(25);

/// Hears what became of each publication of a caller.
type Answer = oneshot::Sender<Vec<Result<(), Error>>>;

/// What one caller publishes: at most a window.
pub(super) struct Asked {
    pub(super) publications: Vec<Publication>,
    pub(super) answer: Answer,
}

/// Publishes what comes until nobody can ask any more.
pub(super) async fn run(pool: Arc<Pool>, mut waiting: mpsc::Receiver<Asked>) {
    let mut windows = JoinSet::new();
    let mut left = None;
    loop {
        let first = match left.take() {
            Some(asked) => asked,
            None => match next(&mut waiting, &mut windows).await {
                Some(asked) => asked,
                None => return,
            },
        };
        wait_for_others(&mut windows).await;
        let mut window = Window::default();
        window.add(first);
        while let Ok(asked) = waiting.try_recv() {
            if !window.has_room_for(&asked) {
                left = Some(asked);
                break;
            }
            window.add(asked);
        }
        let pool = Arc::clone(&pool);
        let Window { publications, callers, .. } = window;
        windows.spawn(async move { tell(callers, pool.publish_window(publications).await) });
    }
}

/// The next that is asked; meanwhile windows end.
async fn next(waiting: &mut mpsc::Receiver<Asked>, windows: &mut JoinSet<()>) -> Option<Asked> {
    loop {
        tokio::select! {
            biased;
            asked = waiting.recv() => return asked,
            Some(_) = windows.join_next() => {}
        }
    }
}

async fn wait_for_others(windows: &mut JoinSet<()>) {
    while windows.try_join_next().is_some() {}
    let until = Instant::now() + PATIENCE;
    while windows.len() >= FEW {
        tokio::select! {
            _ = windows.join_next() => {}
            () = sleep_until(until) => return,
        }
    }
}

/// What goes together, and who hears of how many of it.
#[derive(Default)]
struct Window {
    publications: Vec<Publication>,
    bytes: usize,
    callers: Vec<(usize, Answer)>,
}

impl Window {
    fn has_room_for(&self, asked: &Asked) -> bool {
        let fits = self.publications.len() + asked.publications.len() <= WINDOW;
        fits && self.bytes + bytes(&asked.publications) <= WINDOW_BYTES
    }

    fn add(&mut self, asked: Asked) {
        self.bytes += bytes(&asked.publications);
        self.callers.push((asked.publications.len(), asked.answer));
        self.publications.extend(asked.publications);
    }
}

/// Tells each caller what became of its own.
fn tell(callers: Vec<(usize, Answer)>, outcomes: Vec<Result<(), Error>>) {
    let mut outcomes = outcomes.into_iter();
    for (count, caller) in callers {
        // A caller that is gone wants no answer.
        caller.send(outcomes.by_ref().take(count).collect()).ok();
    }
}

fn bytes(publications: &[Publication]) -> usize {
    publications.iter().map(|publication| publication.message.body.len()).sum()
}
