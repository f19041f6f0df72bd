//! `oarlock dev --data DIR`, killed again and again in the midst of work: nothing accepted is lost, nothing done is done
//! again.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};

use crate::harness::{Folder, eventually};
use crate::server::{Server, request};

/// How often the server is killed, and after how long at most: some die before the first run, some in full work.
const KILLS: u64 = 15;
const LONGEST_LIFE_MS: u64 = 500;
/// About what one life can do: every kill hits work, and the last server ends what is left soon.
const RUNS_A_LIFE: usize = 30;
const SEED: u64 = 0x0a71_0c4b;

const STEPS: [&str; 3] = ["first", "second", "third"];
const WORKFLOW: &str = "id: steps
version: 1
tasks:
  - {id: first, task: step, inputMappings: {n: \"${ input.n }\"}}
  - {id: second, task: step, inputMappings: {n: \"${ tasks.first.output.n + 1 }\"}}
  - {id: third, task: step, inputMappings: {n: \"${ tasks.second.output.n + 1 }\"}}
output: ${ tasks.third.output.n }
";
/// Notes its execution and the life of the server that began it, then answers its input.
const STEP: &str = "echo $LIFE $OARLOCK_RUN $OARLOCK_TASK_PATH >> executions; cat";

/// What the client knows for sure, because a server has answered it.
#[derive(Default)]
struct Client {
    /// Accepted runs by the number in their key.
    accepted: HashMap<usize, String>,
    /// Tasks that were seen COMPLETED, and in which life of the server.
    completed: HashMap<(String, String), u64>,
}

impl Client {
    /// Starts runs and looks at them until the server is gone.
    fn work(&mut self, address: &str, life: u64) {
        let most = RUNS_A_LIFE * usize::try_from(life + 1).unwrap();
        for turn in self.accepted.len().. {
            let number = self.accepted.len();
            if number < most {
                let Some(run) = start(address, number) else { return };
                self.accepted.insert(number, run);
            }
            // Here one that has just begun, there one that has long ended.
            let run = self.accepted[&(turn * 7 % self.accepted.len())].clone();
            if self.look(address, &run, life).is_none() {
                return;
            }
        }
    }

    /// Notes which tasks of a run have ended; the run, where the server answers.
    fn look(&mut self, address: &str, run: &str, life: u64) -> Option<Json> {
        let (status, found) = request(address, "GET", &format!("/v1/runs/{run}"), &[], b"")?;
        assert_eq!(status, 200, "an accepted run is there: {found:#}");
        for task in found["taskInstances"].as_array().unwrap() {
            if task["status"] == "COMPLETED" {
                let path = task["executionContext"]["taskPath"].as_str().unwrap().to_owned();
                self.completed.entry((run.to_owned(), path)).or_insert(life);
            }
        }
        Some(found)
    }
}

/// Starts the run of this number; its id, where the server answers.
fn start(address: &str, number: usize) -> Option<String> {
    let body =
        json!({"workflow": "steps", "key": format!("run-{number}"), "input": {"n": number}}).to_string();
    let headers = ["content-type: application/json"];
    let (status, started) = request(address, "POST", "/v1/runs", &headers, body.as_bytes())?;
    assert!(status == 200 || status == 201, "{status} {started:#}");
    Some(started["id"].as_str()?.to_owned())
}

/// A small generator of numbers that look random, the same for each seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn server(folder: &Folder, life: u64) -> Server {
    let mut command = folder.command(&["dev", "--listen", "127.0.0.1:0", "--data", "data", "workflow.yaml"]);
    let started = Server::start_by(command.env("LIFE", life.to_string()));
    started.unwrap_or_else(|said| panic!("life {life} does not begin:\n{said}"))
}

#[test]
fn nothing_accepted_is_lost_and_nothing_done_is_done_again() {
    let folder = Folder::with(WORKFLOW, &[("step", STEP)]);
    let mut random = Random(SEED);
    let mut client = Client::default();
    for life in 0..KILLS {
        let server = server(&folder, life);
        let killer = kill_after(server.id(), Duration::from_millis(random.below(LONGEST_LIFE_MS)));
        client.work(server.address(), life);
        killer.join().unwrap();
        server.end();
    }
    assert!(client.accepted.len() > 20 && client.completed.len() > 20, "hardly anything happened");

    let last = server(&folder, KILLS);
    every_run_completes(&mut client, &last);
    every_start_is_remembered(&client, &last);
    no_task_was_done_again(&client, &folder.read("executions"));
    last.stop().exits(0);
}

fn kill_after(id: Pid, life: Duration) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        thread::sleep(life);
        kill_process(id, Signal::KILL).unwrap();
    })
}

fn every_run_completes(client: &mut Client, server: &Server) {
    for (number, run) in client.accepted.clone() {
        let mut found = Json::Null;
        eventually(&format!("run {number} ({run}) has ended"), || {
            found = client.look(server.address(), &run, KILLS).expect("an answer");
            found["endTime"].is_string()
        });
        assert_eq!(
            (&found["status"], &found["output"]),
            (&json!("COMPLETED"), &json!(number + 2)),
            "{found:#}"
        );
    }
}

fn every_start_is_remembered(client: &Client, server: &Server) {
    for (number, run) in &client.accepted {
        assert_eq!(start(server.address(), *number).as_ref(), Some(run));
    }
    let (_, page) = server.http("GET", "/v1/runs?limit=1000", &[], b"").unwrap();
    let listed: HashSet<_> =
        page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert!(client.accepted.values().all(|run| listed.contains(run.as_str())));
    // At most the last start of each life was committed and not answered; a later one with its key found it.
    assert!(listed.len() <= client.accepted.len() + 1, "{} of {}", listed.len(), client.accepted.len());
}

/// Only an attempt that was open when its server died is executed again, and that by a later one.
fn no_task_was_done_again(client: &Client, executions: &str) {
    let mut seen = HashSet::new();
    let mut lives: HashMap<_, Vec<u64>> = HashMap::new();
    for line in executions.lines() {
        let [life, run, path] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(seen.insert(line), "executed twice in one life: {line}");
        lives.entry((run.to_owned(), path.to_owned())).or_default().push(life.parse().unwrap());
    }
    for run in client.accepted.values() {
        for step in STEPS {
            assert!(
                lives.contains_key(&(run.clone(), format!("/{step}"))),
                "{run} {step} was never executed"
            );
        }
    }
    for (task, completed_in) in &client.completed {
        let later = lives[task].iter().find(|life| *life > completed_in);
        assert_eq!(later, None, "{task:?} had completed in life {completed_in}");
    }
}
