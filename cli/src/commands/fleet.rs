//! `oarlock fleet`: keeps as many worker processes on this machine as the orchestrators want, until it is told to end.
//!
//! `wanted.rs` asks how many, `plan.rs` decides who begins and who ends, `crew.rs` has the processes. It never ends work: a worker that
//! is not wanted takes no more, and ends what it holds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use oarlock_protocol::{Json, Span};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::{say, worker};
use crate::arguments::{Fleet, Global};
use crate::client::Client;
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::signals::Signals;

mod crew;
mod plan;
mod wanted;

use crew::{Crew, Lost};
use plan::Plan;
use wanted::{Heard, Wanted};

/// How often the fleet looks at its workers where nothing is heard.
const LOOK: Duration = Duration::from_secs(1);
/// Beyond their grace: what workers need to cancel what runs, and to say their last words.
const LAST_WORDS: Duration = Duration::from_secs(30);
/// How long workers may take that were told to leave at once.
const LEAVING: Duration = Duration::from_secs(2);

pub(super) async fn fleet(
    configuration: &Configuration,
    client: Client,
    file: Option<PathBuf>,
    arguments: Fleet,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let queues = queues(configuration, file.as_deref(), &arguments)?;
    let grace = arguments.grace.unwrap_or(configuration.worker.grace);
    // Now, while it is there: a newer one may take its place, and its workers are begun then.
    let program = std::env::current_exe()
        .map_err(|e| Failure::usage(format!("the path of this executable is unknown: {e}")))?;
    let mut signals = Signals::hear()?;
    let crew = Crew::new(program, worker_arguments(file.as_deref(), &arguments, grace, global));
    let (tell, mut heard) = watch::channel(Heard::Nothing);
    let asking = tokio::spawn(wanted::ask_for_ever(client, queues, tell));
    let mut keeper = Keeper {
        crew,
        plan: Plan::new(arguments.min, arguments.max),
        wanted: None,
        away: false,
        finish: arguments.finish,
        json: global.json,
    };
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = signals.told_to_end() => break,
            _ = ticks.tick() => {}
            (id, news) = keeper.crew.news() => {
                let lost = keeper.crew.hear(id, news);
                lost.into_iter().for_each(|lost| keeper.lost(&lost));
            }
            Ok(()) = heard.changed() => {
                let news = heard.borrow_and_update().clone();
                keeper.heard(news);
            }
        }
        keeper.act().await;
    }
    asking.abort();
    keeper.end(grace, &mut signals).await;
    Ok(ExitCode::SUCCESS)
}

/// The queues that are asked about, of workers whose settings are right.
fn queues(
    configuration: &Configuration,
    file: Option<&Path>,
    arguments: &Fleet,
) -> Result<Vec<String>, Failure> {
    if arguments.min > arguments.max {
        let Fleet { min, max, .. } = arguments;
        return Err(Failure::usage(format!(
            "--min is {min} and --max {max}: the fewest are not more than the most"
        )));
    }
    crate::fleet::check_broker(configuration)?;
    let settings = worker::load(file, &arguments.over, configuration)?;
    let all: Vec<String> = settings.queues().into_iter().map(str::to_owned).collect();
    if let Some(other) = arguments.queues.iter().find(|queue| !all.contains(queue)) {
        return Err(Failure::usage(format!(
            "--queue {other}: these workers take no task from it; they take from {}",
            all.join(", ")
        )));
    }
    Ok(if arguments.queues.is_empty() { all } else { arguments.queues.clone() })
}

/// What each worker is begun with: what this command was given.
fn worker_arguments(file: Option<&Path>, arguments: &Fleet, grace: Span, global: &Global) -> Vec<OsString> {
    let mut given: Vec<OsString> = vec!["worker".into(), "--kept".into()];
    let mut give = |flag: &str, value: OsString| given.extend([flag.into(), value]);
    give("--grace", grace.to_string().into());
    if let Some(file) = file {
        give("--config", file.into());
    }
    for command in &arguments.over.exec {
        give("--exec", command.into());
    }
    if let Some(slots) = arguments.over.slots {
        give("--slots", slots.to_string().into());
    }
    if let Some(folder) = &arguments.over.secrets.folder {
        give("--secrets", folder.into());
    }
    if let Some(level) = &global.log {
        give("--log", level.into());
    }
    given
}

/// Keeps the crew as large as it should be, and tells what changes.
struct Keeper {
    crew: Crew,
    plan: Plan,
    /// What was heard last: it counts until something else is heard.
    wanted: Option<Wanted>,
    away: bool,
    finish: Span,
    json: bool,
}

impl Keeper {
    fn heard(&mut self, news: Heard) {
        match news {
            Heard::Nothing => {}
            Heard::Wanted(wanted) => {
                if self.away {
                    self.tell("the orchestrators answer again", &json!({"away": null}));
                }
                self.away = false;
                self.wanted = Some(wanted);
            }
            Heard::Away(reason) => {
                if !self.away {
                    let present = self.crew.present();
                    let text =
                        format!("nobody says how many workers are wanted, {present} are kept: {reason}");
                    self.tell(&text, &json!({"away": reason, "workers": present}));
                }
                self.away = true;
            }
        }
    }

    /// Begins and ends what the plan says.
    async fn act(&mut self) {
        let before = self.crew.present();
        let wanted = self.wanted.as_ref().map(|wanted| wanted.workers);
        let steps = self.plan.steps(&self.crew.hands(), wanted, Instant::now());
        for _ in 0..steps.begin {
            if let Err(error) = self.crew.begin() {
                self.lost(&Lost {
                    name: "that was to begin".to_owned(),
                    how: format!("no process is given: {error}"),
                    lived: Duration::ZERO,
                });
                break;
            }
        }
        for id in steps.end {
            self.crew.end(id, self.finish).await;
        }
        let now = self.crew.present();
        if now != before {
            self.changed(before, now);
        }
    }

    fn changed(&self, before: usize, now: usize) {
        let (of, text) = match &self.wanted {
            Some(Wanted { queue, text, .. }) => (format!(" for {queue}"), text.as_str()),
            None => (String::new(), "the fewest, until the orchestrators say how many"),
        };
        let wanted = self.wanted.as_ref().map(|wanted| wanted.workers);
        let target = self.plan.target(wanted, now);
        let bound = match wanted {
            Some(wanted) if target < wanted as usize => ", no more than --max",
            Some(wanted) if target > wanted as usize => ", no fewer than --min",
            _ => "",
        };
        let queue = self.wanted.as_ref().map(|wanted| &wanted.queue);
        self.tell(
            &format!("{before} -> {now} workers{of}: {text}{bound}"),
            &json!({"before": before, "workers": now, "wanted": wanted, "queue": queue, "text": text}),
        );
    }

    fn lost(&mut self, lost: &Lost) {
        let Lost { name, how, lived } = lost;
        let pause = Span::from_millis(
            u64::try_from(self.plan.lost(*lived, Instant::now()).as_millis()).unwrap_or(u64::MAX),
        );
        let workers = self.crew.present();
        self.tell(
            &format!(
                "the worker {name} ended by itself ({how}): {workers} are left; it is replaced in {pause}"
            ),
            &json!({"lost": name, "how": how, "workers": workers, "again": pause}),
        );
    }

    /// Tells all workers to end, and waits until they have.
    async fn end(&mut self, grace: Span, signals: &mut Signals) {
        let (open, workers) = (self.crew.open(), self.crew.hands().len());
        self.tell(
            &format!(
                "ending {workers} workers: {open} tasks run on, {grace} at most (Ctrl-C or SIGTERM again leaves at once)"
            ),
            &json!({"ending": workers, "open": open}),
        );
        self.crew.end_all(grace).await;
        let deadline = Instant::now() + Duration::from(grace) + LAST_WORDS;
        tokio::select! {
            () = self.all_gone() => return,
            () = sleep_until(deadline) => {}
            _ = signals.told_to_end() => {
                self.crew.leave().await;
                if timeout(LEAVING, self.all_gone()).await.is_ok() {
                    return;
                }
            }
        }
        self.crew.kill();
        timeout(LEAVING, self.all_gone()).await.ok();
    }

    async fn all_gone(&mut self) {
        while !self.crew.is_empty() {
            let (id, news) = self.crew.news().await;
            self.crew.hear(id, news);
        }
    }

    fn tell(&self, text: &str, json: &Json) {
        if self.json { say(&json.to_string()) } else { say(text) }
    }
}
