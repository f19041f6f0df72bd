//! Follows accepted runs to their ends, tells them what they wait for, and looks at each again after its end.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::super::harness::run_of;
use super::RETENTION;
use super::load::{Accepted, Load, workflow};
use super::workflows::Prompt;

/// How long between two looks at a run.
const PAUSE: Duration = Duration::from_millis(700);
/// How long between two looks of a follower at what is due.
const ROUND: Duration = Duration::from_millis(20);
/// When a run is looked at again after its end was seen.
const AGAIN: Duration = Duration::from_secs(8);

/// A run from its start to its end.
#[derive(Debug)]
struct Followed {
    accepted: Accepted,
    due: Instant,
    told: bool,
    ended: Option<Ended>,
}

/// A run that has ended, and the runs it started.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) n: usize,
    pub(super) run: Json,
    pub(super) children: Vec<Json>,
    /// How long it took its client to have it accepted.
    pub(super) asked: Duration,
    /// Whether it was looked at again, and was the same.
    pub(super) again: bool,
}

/// What became of the runs.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) ended: Vec<Ended>,
    /// Those that did not end, or not once, each with what was seen of it last.
    pub(super) lost: Vec<(usize, String)>,
}

impl Outcome {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.ended.extend(other.ended);
        self.lost.extend(other.lost);
        self
    }
}

/// Follows runs until no more are accepted and all have ended, at most until `limit`.
pub(super) fn follow(load: &Load, over: impl Fn() -> bool, limit: Instant) -> Outcome {
    let (mut outcome, mut runs) = (Outcome::default(), Vec::<Followed>::new());
    loop {
        let is_over = over();
        let accepted = load.take_accepted().into_iter();
        runs.extend(accepted.map(|one| Followed { accepted: one, due: one.at, told: false, ended: None }));
        if is_over && runs.is_empty() || Instant::now() >= limit {
            break;
        }
        let due = runs.extract_if(.., |run| run.due <= Instant::now()).collect::<Vec<_>>();
        for mut run in due {
            run.due = Instant::now() + PAUSE;
            match run.look(load) {
                Ok(true) => outcome.ended.extend(run.ended),
                Ok(false) => runs.push(run),
                Err(why) => outcome.lost.push((run.accepted.n, why)),
            }
        }
        std::thread::sleep(ROUND);
    }
    let explained = runs.into_iter().map(|run| (run.accepted.n, run.explained(load)));
    outcome.lost.extend(explained);
    outcome
}

impl Followed {
    /// Looks at it once; returns whether all is seen.
    fn look(&mut self, load: &Load) -> Result<bool, String> {
        let n = self.accepted.n;
        let Some((status, run)) = get(load, n, &self.id()) else { return Ok(false) };
        if let Some(ended) = &mut self.ended {
            // Its retention may be over.
            ended.again = status == 200;
            let same = status == 404 || run == ended.run;
            return if same { Ok(true) } else { Err(format!("{:#}\nhad ended, and is\n{run:#}", ended.run)) };
        }
        match status {
            200 => {}
            404 if self.accepted.at.elapsed() < RETENTION => {
                return Err("404 after it was accepted".to_owned());
            }
            404 => return Err("it has left before its end was seen".to_owned()),
            _ => return Ok(false),
        }
        if run["endTime"].is_null() {
            self.told = self.told || tell(load, n, &self.id(), &run);
            return Ok(false);
        }
        let ids: Vec<_> = run["taskInstances"].as_array().into_iter().flatten().filter_map(child).collect();
        let children: Option<Vec<_>> =
            ids.iter().map(|id| get(load, n, id).filter(|(status, _)| *status == 200)).collect();
        let Some(children) = children else { return Ok(false) };
        let children = children.into_iter().map(|(_, run)| run).collect();
        self.ended = Some(Ended { n, run, children, asked: self.accepted.asked, again: false });
        self.due = Instant::now() + AGAIN;
        Ok(false)
    }

    fn id(&self) -> String {
        run_of(workflow(self.accepted.n).id, &self.accepted.n.to_string()).to_string()
    }

    /// What it stands at, for whoever looks for the reason.
    fn explained(&self, load: &Load) -> String {
        if self.ended.is_some() {
            return "it has ended, and no one shows it again".to_owned();
        }
        let id = self.id();
        let path = format!("/v1/runs/{id}/explain");
        let explained =
            (0..3).find_map(|turn| load.client(turn).get(&path).ok().filter(|one| one.status == 200));
        let run = get(load, self.accepted.n, &id);
        format!("run {id}: {}\n{run:#?}", explained.map_or_else(String::new, |one| one.body))
    }
}

/// A run as one of the nodes shows it; nothing where none does now.
fn get(load: &Load, n: usize, id: &str) -> Option<(u16, Json)> {
    (0..2).find_map(|turn| {
        let answer = load.client(n + turn).get(&format!("/v1/runs/{id}")).ok()?;
        match answer.status {
            200 => Some((200, answer.json())),
            404 => Some((404, Json::Null)),
            _ => None,
        }
    })
}

/// The run that a step has started.
fn child(task: &Json) -> Option<String> {
    task["childId"].as_str().map(str::to_owned)
}

/// Tells a run what it is to be told; returns whether there is nothing more to tell.
fn tell(load: &Load, n: usize, id: &str, run: &Json) -> bool {
    let at_gate = || {
        let tasks = run["taskInstances"].as_array().into_iter().flatten();
        tasks
            .into_iter()
            .any(|task| task["executionContext"]["taskPath"] == "/gate" && !task["startTime"].is_null())
    };
    let (path, body) = match workflow(n).prompt {
        Prompt::Nothing => return true,
        Prompt::CancelAtGate if !at_gate() => return false,
        Prompt::Signal => ("signals", json!({"name": "go", "payload": {"n": 5}, "id": format!("go-{n}")})),
        Prompt::CancelAtGate | Prompt::CancelAnywhere => ("cancel", json!({"reason": "enough"})),
    };
    let answer = load.client(n).post(&format!("/v1/runs/{id}/{path}"), &body.to_string());
    answer.is_ok_and(|answer| (200..300).contains(&answer.status))
}
