//! Asks a server for all that `top` shows, each question for itself, so that a slow answer holds up no other.

use std::sync::Arc;
use std::time::Duration;

use oarlock_orchestrator::explain::Explanation;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::answers::{Queues, Runs, Scaling};
use super::state::News;
use crate::client::{Client, path_segment};
use crate::commands::explain;

/// How often each question is asked.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Of so many queues, those with the most work, is asked how many workers they want: no screen has more rows.
const MOST_SCALED: usize = 30;
/// The most runs of a status that are looked at: the list begins with the newest.
const MOST_RUNS: usize = 200;

/// What is asked again and again.
#[derive(Clone, Copy)]
enum Question {
    Ready,
    Queues,
    Workers,
    Anomalies,
    Runs,
}

/// Begins to ask, until it is dropped.
pub(super) fn begin(client: &Arc<Client>, tell: &mpsc::Sender<News>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for question in
        [Question::Ready, Question::Queues, Question::Workers, Question::Anomalies, Question::Runs]
    {
        tasks.spawn(again(Arc::clone(client), question, tell.clone()));
    }
    tasks
}

async fn again(client: Arc<Client>, question: Question, tell: mpsc::Sender<News>) {
    let mut ticks = interval(ASKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let news = match question {
            Question::Ready => News::Ready(ready(&client).await),
            Question::Queues => News::Queues(queues(&client).await),
            Question::Workers => News::Workers(get(&client, "/v1/workers", &[]).await),
            Question::Anomalies => News::Anomalies(get(&client, "/v1/anomalies", &[]).await),
            Question::Runs => News::Runs(runs(&client).await),
        };
        if tell.send(news).await.is_err() {
            return;
        }
    }
}

async fn get<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    query: &[(&str, String)],
) -> Result<T, String> {
    match timeout(ANSWER, client.get(path, query)).await {
        Ok(answer) => answer.map_err(|failure| failure.to_string()),
        Err(_) => Err(late(client)),
    }
}

/// What is said of an answer that does not come; another server is asked the next time, where there are several.
fn late(client: &Client) -> String {
    client.turn();
    format!("no answer within {} s", ANSWER.as_secs())
}

async fn ready(client: &Client) -> Result<super::answers::Ready, String> {
    let answer = match timeout(ANSWER, client.readiness()).await {
        Ok(answer) => answer.map_err(|failure| failure.to_string())?,
        Err(_) => return Err(late(client)),
    };
    serde_json::from_value(answer).map_err(|error| format!("/readyz answers what is no Oarlock: {error}"))
}

async fn queues(client: &Client) -> Result<Queues, String> {
    let mut view: Queues = get(client, "/v1/queues", &[]).await?;
    for queue in view.queues.iter_mut().take(MOST_SCALED) {
        let path = format!("/v1/scaling/{}", path_segment(&queue.queue));
        queue.wanted = Some(get::<Scaling>(client, &path, &[]).await?.wanted);
    }
    Ok(view)
}

/// The runs that are under way or paused, the oldest first.
async fn runs(client: &Client) -> Result<Runs, String> {
    let mut all = Runs::default();
    for status in ["RUNNING", "PAUSED"] {
        let query = [("status", status.to_owned()), ("limit", MOST_RUNS.to_string())];
        let page: Runs = get(client, "/v1/runs", &query).await?;
        all.runs.extend(page.runs);
        all.next = all.next.or(page.next);
    }
    all.runs.sort_by_key(|run| run.created_at);
    Ok(all)
}

/// What a run waits for, as `oarlock explain` says it.
pub(super) async fn explain(client: &Client, run: String) -> News {
    let explanation: Result<Explanation, String> = get(client, &format!("/v1/runs/{run}/explain"), &[]).await;
    News::Explained(run, explanation.map(|explanation| explain::text(&explanation)))
}
