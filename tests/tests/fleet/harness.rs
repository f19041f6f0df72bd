//! A fleet to test: its processes, what they run over, and what tests ask of it. Everything ends with it, by process id.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oarlock_protocol::RunId;
use oarlock_test_servers::{Vhost, shared};
use oarlock_tests::resp::RemovesKeys;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::client::{Answer, Client};
use super::program::{PATIENCE, Program, until};

pub(crate) const PARTITIONS: u32 = 8;
/// Long enough that a busy machine does not lose a lease by itself, short enough to wait for.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// The tenant of requests that name none.
const TENANT: &str = "default";
/// Where this variable is set, all logs of a test that fails are kept.
pub(crate) const KEEP: &str = "OARLOCK_TEST_KEEP";
/// How many lines of a log a failed test shows.
const SHOWN: usize = 60;

/// Two tasks in a row; the output is the input plus one.
pub(crate) const STEPS: &str = "
id: steps
version: 1
tasks:
  - {id: a, task: quick, inputMappings: {n: '${ input.n }'}}
  - {id: b, task: quick, inputMappings: {n: '${ tasks.a.output.n + 1 }'}}
output: {n: '${ tasks.b.output.n }'}
";
/// One task that lasts until the gate is opened.
pub(crate) const GATED: &str =
    "{id: gated, version: 1, tasks: [{id: a, task: gated}], output: '${ tasks.a.output }'}";

/// The processes and what they share.
pub(crate) struct Fleet {
    pub(crate) orchestrators: Vec<Program>,
    pub(crate) workers: Vec<Program>,
    settings: Vec<(String, String)>,
    // Dropped after the processes.
    _vhost: Option<Vhost>,
    _keys: Option<RemovesKeys>,
    folder: TempDir,
    started: AtomicU32,
}

/// One line of the log that every task's command writes at its begin.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) id: String,
    /// The idempotency key of its task.
    pub(crate) key: String,
    /// The process id of its worker.
    pub(crate) worker: u32,
}

impl Fleet {
    /// Nobody yet, over the shared servers.
    pub(crate) fn new() -> Self {
        let vhost = Vhost::create(&shared().management).unwrap();
        let uri = vhost.uri();
        Self::over(uri, Some(vhost))
    }

    /// Nobody yet, over this broker.
    pub(crate) fn over(broker: String, vhost: Option<Vhost>) -> Self {
        let keys = RemovesKeys::of(&[shared().redis.clone()]);
        let mut fleet = Self::of(&broker, &shared().redis, keys.prefix());
        (fleet._vhost, fleet._keys) = (vhost, Some(keys));
        fleet
    }

    /// Nobody yet, over servers of the test's own.
    pub(crate) fn of(broker: &str, store: &str, prefix: &str) -> Self {
        let settings = [
            ("BROKER__NODES", broker.to_owned()),
            ("BROKER__HEARTBEAT", "1s".to_owned()),
            ("STORE__NODES", store.to_owned()),
            ("STORE__PREFIX", prefix.to_owned()),
            ("ORCHESTRATOR__PARTITIONS", PARTITIONS.to_string()),
            ("ORCHESTRATOR__LEASE", format!("{}s", LEASE.as_secs())),
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (format!("OARLOCK_{name}"), value));
        Self {
            orchestrators: Vec::new(),
            workers: Vec::new(),
            settings: settings.into(),
            _vhost: None,
            _keys: None,
            folder: tempfile::Builder::new().prefix("oarlock-fleet-").tempdir().unwrap(),
            started: AtomicU32::new(0),
        }
    }

    /// Two orchestrators over the shared servers, each owning some partitions.
    #[track_caller]
    pub(crate) fn of_two() -> Self {
        let mut fleet = Self::new();
        fleet.add_pair();
        fleet
    }

    /// Another setting, for processes started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let name = format!("OARLOCK_{name}");
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
    }

    /// Starts orchestrators and waits until they share the partitions.
    #[track_caller]
    pub(crate) fn add_orchestrators(&mut self, count: usize) {
        for index in 0..count {
            let orchestrator = self.orchestrator(&node_name(index));
            self.orchestrators.push(orchestrator);
        }
        self.settled();
    }

    /// Two orchestrators, each owning some partitions.
    #[track_caller]
    pub(crate) fn add_pair(&mut self) {
        self.add_orchestrators(2);
        // Once in a hundred times chance gives one of them nothing.
        while self.settled().contains(&0) {
            let mut last = self.orchestrators.pop().unwrap();
            last.tell_to_end();
            assert_eq!(last.exit_code(), Some(0), "{}", last.log());
            let another = self.orchestrator(&node_name(1));
            self.orchestrators.push(another);
        }
    }

    /// Starts an orchestrator that is not among those of the fleet yet.
    pub(crate) fn orchestrator(&self, node: &str) -> Program {
        let mut settings = self.settings.clone();
        settings.push(("OARLOCK_ORCHESTRATOR__NODE".to_owned(), node.to_owned()));
        Program::start(&self.log_name(node), self.folder.path(), &["orchestrator"], &settings)
    }

    /// Starts a worker with the commands of the tests and so many slots.
    pub(crate) fn add_worker(&mut self, slots: usize) -> &mut Program {
        let quick = format!("quick={}; read -r input; printf '%s' \"$input\"", self.writes_log());
        let gated =
            format!("gated={}; {}; echo '{{\"gate\": \"open\"}}'", self.writes_log(), self.waits_for_gate());
        let slots = slots.to_string();
        self.add_worker_with(&["--exec", &quick, "--exec", &gated, "--slots", &slots])
    }

    pub(crate) fn add_worker_with(&mut self, arguments: &[&str]) -> &mut Program {
        let worker = self.worker(arguments);
        self.workers.push(worker);
        self.workers.last_mut().unwrap()
    }

    /// Starts a worker that is not among those of the fleet yet.
    pub(crate) fn worker(&self, arguments: &[&str]) -> Program {
        let arguments = [&["worker"], arguments].concat();
        // Workers read the sections of a worker alone.
        let ours = |(name, _): &&(String, String)| name.starts_with("OARLOCK_BROKER__");
        let settings: Vec<_> = self.settings.iter().filter(ours).cloned().collect();
        Program::start(&self.log_name("worker"), self.folder.path(), &arguments, &settings)
    }

    /// A command that notes its execution. One short line, appended: those of several workers do not mix.
    pub(crate) fn writes_log(&self) -> String {
        let call = "$OARLOCK_EXECUTION_ID $OARLOCK_IDEMPOTENCY_KEY $PPID";
        format!("echo \"{call}\" >> {}", self.path("executions").display())
    }

    /// A command that waits until the gate is open; a worker that is killed leaves it behind, so it ends with the folder.
    fn waits_for_gate(&self) -> String {
        let (gate, folder) = (self.path("gate"), self.folder.path());
        format!("until [ -e {} ]; do [ -d {} ] || exit 1; sleep 0.05; done", gate.display(), folder.display())
    }

    pub(crate) fn open_gate(&self) {
        std::fs::write(self.path("gate"), "").unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log_name(&self, name: &str) -> String {
        format!("{name}.{}", self.started.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// What was executed so far.
    pub(crate) fn executions(&self) -> Vec<Execution> {
        let log = std::fs::read_to_string(self.path("executions")).unwrap_or_default();
        let read = |line: &str| {
            let [id, key, worker] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            Execution { id: id.to_owned(), key: key.to_owned(), worker: worker.parse().unwrap() }
        };
        log.lines().map(read).collect()
    }

    /// A client of every orchestrator, in their order.
    #[track_caller]
    pub(crate) fn clients(&mut self) -> Vec<Client> {
        self.orchestrators.iter_mut().map(Program::client).collect()
    }

    /// Waits until the orchestrators share the partitions; returns how many each owns.
    #[track_caller]
    pub(crate) fn settled(&mut self) -> Vec<usize> {
        let clients = self.clients();
        until("the orchestrators share the partitions", PATIENCE, || {
            let owned: Option<Vec<Vec<u32>>> =
                clients.iter().map(|client| owned(client, clients.len())).collect();
            let owned = owned?;
            let mut all = owned.concat();
            all.sort_unstable();
            all.iter().eq(&(0..PARTITIONS).collect::<Vec<_>>()).then(|| owned.iter().map(Vec::len).collect())
        })
    }

    /// Registers a definition at the first orchestrator.
    #[track_caller]
    pub(crate) fn register(&mut self, yaml: &str) {
        let answer = self.orchestrators[0].client().post("/v1/definitions", yaml).unwrap();
        assert!([200, 201].contains(&answer.status), "{answer:?}");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if std::env::var_os(KEEP).is_some() {
            self.folder.disable_cleanup(true);
            println!("all logs are in {}", self.folder.path().display());
        }
        for program in self.orchestrators.iter().chain(&self.workers) {
            let log = program.log();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
            println!("\n== the end of the log of {} (process {})\n{end}", program.name, program.pid());
        }
    }
}

/// The name of the orchestrator that stands there in the fleet.
pub(crate) fn node_name(index: usize) -> String {
    format!("node-{index}")
}

/// What an orchestrator owns, where it is ready and knows so many members.
pub(crate) fn owned(client: &Client, members: usize) -> Option<Vec<u32>> {
    let ready = client.get("/readyz").ok().filter(|answer| answer.status == 200)?.json();
    let knows = ready["members"].as_array()?.len();
    let owned = ready["partitionsOwned"].as_array()?.iter().map(|number| number.as_u64().unwrap() as u32);
    (knows == members).then(|| owned.collect())
}

/// The run that this key names.
pub(crate) fn run_of(workflow: &str, key: &str) -> RunId {
    RunId::keyed(TENANT, workflow, key)
}

/// Starts a run of `steps`; returns its id.
#[track_caller]
pub(crate) fn start(client: &Client, workflow: &str, key: &str, n: usize) -> String {
    let answer = client.start(workflow, key, &json!({"n": n})).unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    run_of(workflow, key).to_string()
}

/// The run when it has ended.
#[track_caller]
pub(crate) fn ended(client: &Client, run: &str) -> Json {
    ended_within(client, run, PATIENCE)
}

/// As [`ended`], for a run that lasts.
#[track_caller]
pub(crate) fn ended_within(client: &Client, run: &str, limit: Duration) -> Json {
    until(&format!("run {run} has ended"), limit, || {
        let answer = client.get(&format!("/v1/runs/{run}?waitMs=20000")).unwrap();
        assert_eq!(answer.status, 200, "never a 404 after an accepted start: {answer:?}");
        let run = answer.json();
        (!run["endTime"].is_null()).then_some(run)
    })
}

/// Asks the clients in turn until one accepts the start; returns how often it was asked in vain.
pub(crate) fn start_at_any(
    mut client: impl FnMut(usize) -> Client,
    workflow: &str,
    key: &str,
    n: usize,
) -> (usize, Answer) {
    let mut tries = 0;
    let accepted = until("a start is accepted", PATIENCE, || {
        let answer = client(tries).start(workflow, key, &json!({"n": n}));
        tries += 1;
        let answer = answer.ok().filter(|answer| answer.status != 503)?;
        assert_eq!(answer.status, 201, "{answer:?}");
        Some(answer)
    });
    (tries - 1, accepted)
}
