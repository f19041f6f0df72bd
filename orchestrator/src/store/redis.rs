//! The store on Redis, one server or a cluster: what several orchestrators share. Also the members port.
//!
//! Every change is one script in one round trip; what several partitions send at once, the server syncs to disk together. Keys
//! are named in `redis/keys.rs` alone. A call whose fate stays unknown answers `Unavailable`, and the caller sends the same again. Its user needs the commands EVALSHA, SCRIPT LOAD, INFO and those the scripts and reads call;
//! CONFIG GET is asked, not needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use oarlock_protocol::{Span, chance};
use redis::{Cmd, FromRedisValue, Pipeline, Value};

use super::lease::{check_count, no_such_partition};
use super::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use connection::Target;
use encode::{Argument, encode, size};
pub use inspect::Usage;
use keys::{Names, PartitionNames, Place};
use lane::{Findings, Lane};

mod check;
mod connection;
mod encode;
mod fault;
mod inspect;
mod keys;
mod lane;
mod members;
mod scripts;

/// Connections that partitions share: two or more, so that a large answer holds up a part of them only.
const LANES: usize = 4;
/// Further connections where commits wait for replicas: such a wait holds up everything behind it on its connection.
const WAITING_LANES: usize = 8;
/// The most bytes one commit may write: hundreds of the largest payloads, and half of what a server takes from a client.
const LARGEST_COMMIT: usize = 512 * 1024 * 1024;
/// The most rows of one page: above it the numbers of a script lose digits, and no caller comes near.
const LARGEST_PAGE: usize = 1_000_000_000;

/// Where the store is, and what is asked of it.
#[derive(Clone)]
pub struct Settings {
    /// URLs `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Without a cluster the first one that is a
    /// usable primary is taken; with one any node tells of all others.
    pub nodes: Vec<String>,
    /// Whether the nodes are of a cluster.
    pub cluster: bool,
    /// The first part of every key: stores of different prefixes share a server.
    pub prefix: String,
    /// How many replicas confirm each commit before it is answered; 0 for none.
    pub replicas: u32,
    /// How long an answer may take; after it the fate of a call is unknown.
    pub response_timeout: Span,
    /// How long connecting to a node may take.
    pub connect_timeout: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: vec!["redis://127.0.0.1:6379".to_owned()],
            cluster: false,
            prefix: "oarlock".to_owned(),
            replicas: 0,
            response_timeout: Span::from_secs(5),
            connect_timeout: Span::from_secs(2),
        }
    }
}

/// A store on Redis.
pub struct Redis {
    names: Names,
    lanes: Vec<Lane>,
    /// For commits that wait for replicas.
    waiting: Vec<Lane>,
    replicas: u32,
    /// How long a commit waits for replicas: less than for its answer.
    wait: Span,
    /// By partition: the nonce of a take whose answer was lost. The next take repeats it, and need not wait for a lease
    /// that nobody holds.
    unanswered: Mutex<HashMap<u32, u128>>,
    findings: Findings,
}

impl Redis {
    /// A store as the settings say. It connects at first use.
    ///
    /// # Errors
    /// Settings that cannot be understood.
    pub fn connect(settings: Settings) -> Result<Self, Error> {
        let names = Names::new(&settings.prefix)?;
        let target = Arc::new(Target::new(&settings)?);
        let findings = Findings::default();
        let lanes = |count: usize| -> Vec<Lane> {
            (0..count).map(|_| Lane::new(Arc::clone(&target), Arc::clone(&findings))).collect()
        };
        Ok(Self {
            names,
            lanes: lanes(LANES),
            waiting: lanes(if settings.replicas == 0 { 0 } else { WAITING_LANES }),
            replicas: settings.replicas,
            // 0 would wait for ever.
            wait: Span::from_millis((settings.response_timeout.as_millis() / 2).max(1)),
            unanswered: Mutex::default(),
            findings,
        })
    }

    /// What the checks at the last connect warn of, in sentences; nothing before the first use.
    pub fn findings(&self) -> Vec<String> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn partition(&self, partition: u32) -> Result<PartitionNames<'_>, Error> {
        self.names.partition(partition).ok_or_else(|| no_such_partition(partition, self.names.count()))
    }

    /// Sends one command and reads its answer.
    async fn ask<T: FromRedisValue>(&self, place: Place, command: Cmd) -> Result<T, Error> {
        let answer = send(&self.lanes, place, &alone(command)).await?.pop().unwrap_or_default();
        redis::from_redis_value(answer).map_err(|error| fault::unexpected(&error))
    }

    /// Sends one command that changes something; with replicas, answers when enough of them have it.
    async fn change(&self, place: Place, command: Cmd) -> Result<Value, Error> {
        let mut commands = alone(command);
        if self.replicas == 0 {
            return Ok(send(&self.lanes, place, &commands).await?.pop().unwrap_or_default());
        }
        commands.cmd("WAIT").arg(self.replicas).arg(self.wait.as_millis());
        let mut answers = send(&self.waiting, place, &commands).await?;
        let confirmed = answers.pop().unwrap_or_default();
        let confirmed: u32 = redis::from_redis_value(confirmed).map_err(|error| fault::unexpected(&error))?;
        if confirmed < self.replicas {
            return Err(Error::Unavailable(format!(
                "only {confirmed} of {} replicas confirmed within {}",
                self.replicas, self.wait
            )));
        }
        Ok(answers.pop().unwrap_or_default())
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, HashMap<u32, u128>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Redis {
    async fn partitions(&self, wanted: u32) -> Result<u32, Error> {
        let name = self.names.count_key();
        let mut question = redis::cmd("GET");
        question.arg(&name.key);
        let mut fixed: Option<u32> = self.ask(name.place, question).await?;
        if fixed.is_none() {
            check_count(wanted)?;
            let mut call = scripts::PARTITIONS.call(&[&name.key]);
            call.arg(wanted);
            let answer = self.change(name.place, call).await?;
            fixed = redis::from_redis_value(answer).map_err(|error| fault::unexpected(&error))?;
        }
        let count = fixed.unwrap_or(wanted);
        check_count(count)?;
        self.names.fix(count);
        match self.names.count() {
            Some(known) if known != count => Err(Error::Unusable(format!(
                "it had {known} partitions and has {count} now: somebody emptied it; end every orchestrator that uses it"
            ))),
            _ => Ok(count),
        }
    }

    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        let names = self.partition(partition)?;
        let repeated = claim.token.is_none().then(|| self.unanswered().remove(&partition)).flatten();
        let (nonce, epoch) = match &claim.token {
            Some(token) => (token.nonce, token.epoch.to_string()),
            None => (repeated.unwrap_or_else(|| chance::fresh().as_u128()), String::new()),
        };
        let mut call = scripts::OWN.call(&[names.own()]);
        call.arg(&claim.holder).arg(claim.lease.as_millis()).arg(hex(nonce)).arg(epoch);
        let answer: Result<Vec<String>, Error> = self.ask(names.place(), call).await;
        if claim.token.is_none() && matches!(answer, Err(Error::Unavailable(_))) {
            self.unanswered().insert(partition, nonce);
        }
        read_ownership(partition, nonce, &answer?)
    }

    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error> {
        let names = self.partition(partition)?;
        let mut call = scripts::RELEASE.call(&[names.own()]);
        call.arg(token.epoch).arg(hex(token.nonce));
        self.ask::<Value>(names.place(), call).await.map(drop)
    }

    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error> {
        let names = self.partition(partition)?;
        let bytes = size(writes);
        if bytes > LARGEST_COMMIT {
            return Err(Error::Unusable(format!(
                "a commit of {bytes} bytes is larger than {LARGEST_COMMIT}"
            )));
        }
        let call = commit_call(names, token, seq, writes);
        match self.change(names.place(), call).await? {
            Value::Okay => Ok(()),
            Value::SimpleString(word) if word == "FENCED" => Err(Error::Fenced(partition)),
            Value::Int(stored) => {
                let stored = u64::try_from(stored).unwrap_or(0);
                Err(Error::RolledBack { partition, stored, mine: seq.saturating_sub(1) })
            }
            other => Err(fault::unexpected(&other)),
        }
    }

    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error> {
        let names = self.partition(partition)?;
        let key = names.key(key);
        match fields {
            Fields::All => {
                let mut question = redis::cmd("HGETALL");
                question.arg(key);
                self.ask(names.place(), question).await
            }
            Fields::Named(fields) if fields.is_empty() => Ok(Vec::new()),
            Fields::Named(fields) => {
                let mut question = redis::cmd("HMGET");
                question.arg(key).arg(&fields);
                let values: Vec<Option<Bytes>> = self.ask(names.place(), question).await?;
                let found = fields.into_iter().zip(values);
                Ok(found.filter_map(|(field, value)| value.map(|value| (field, value))).collect())
            }
        }
    }

    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error> {
        let names = self.partition(partition)?;
        let key = names.key(key);
        let limit = range.limit.min(LARGEST_PAGE);
        if limit == 0 || range.from > range.to {
            return Ok(Vec::new());
        }
        let within = |score: i64| if range.descending { score <= range.to } else { score >= range.from };
        let after = range.after.as_ref().filter(|(score, _)| within(*score));
        let question = match after {
            None => first_page(&key, range, limit),
            Some((score, member)) => {
                let mut call = scripts::PAGE.call(&[&key]);
                let way = if range.descending { "before" } else { "behind" };
                call.arg(*score).arg(member).arg(limit).arg(way);
                call
            }
        };
        let mut rows: Vec<(String, f64)> = self.ask(names.place(), question).await?;
        if after.is_some() && range.descending {
            rows.reverse();
        }
        // Scores are whole numbers within 53 bits, which a double keeps.
        let rows = rows.into_iter().map(|(member, score)| (member, score as i64));
        Ok(rows.take_while(|(_, score)| (range.from..=range.to).contains(score)).collect())
    }
}

async fn send(lanes: &[Lane], place: Place, commands: &Pipeline) -> Result<Vec<Value>, Error> {
    let number = usize::try_from(place.lane).unwrap_or(0) % lanes.len().max(1);
    let lane = lanes.get(number).ok_or_else(|| Error::Unusable("it has no connections".to_owned()))?;
    lane.send(place.slot, commands).await
}

fn alone(command: Cmd) -> Pipeline {
    let mut commands = Pipeline::with_capacity(2);
    commands.add_command(command);
    commands
}

fn commit_call(names: PartitionNames<'_>, token: &Token, seq: u64, writes: &[Write]) -> Cmd {
    let (keys, calls) = encode(writes);
    let keys: Vec<String> =
        std::iter::once(names.own()).chain(keys.into_iter().map(|key| names.key(key))).collect();
    let mut command = scripts::COMMIT.call(&keys);
    command.arg(token.epoch).arg(hex(token.nonce)).arg(seq);
    for call in calls {
        // KEYS counts from 1, and begins with `own`.
        command.arg(call.command).arg(call.key + 2).arg(call.arguments.len());
        for argument in call.arguments {
            match argument {
                Argument::Text(text) => command.arg(text),
                Argument::Bytes(bytes) => command.arg(bytes.as_ref()),
                Argument::Number(number) => command.arg(number),
            };
        }
    }
    command
}

fn first_page(key: &str, range: &Range, limit: usize) -> Cmd {
    let mut question = redis::cmd("ZRANGE");
    question.arg(key);
    if range.descending {
        question.arg(range.to).arg(range.from).arg("BYSCORE").arg("REV");
    } else {
        question.arg(range.from).arg(range.to).arg("BYSCORE");
    }
    question.arg("LIMIT").arg(0).arg(limit).arg("WITHSCORES");
    question
}

fn read_ownership(partition: u32, nonce: u128, answer: &[String]) -> Result<Ownership, Error> {
    let words: Vec<&str> = answer.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().map_err(|_| fault::unexpected(&text));
    match words.as_slice() {
        ["OWNED", epoch, seq, restarted] => {
            let token = Token { epoch: number(epoch)?, nonce };
            Ok(Ownership::Owned { token, seq: number(seq)?, restarted: *restarted == "1" })
        }
        ["HELD", holder, expires_in] => {
            let expires_in = Span::from_millis(number(expires_in)?);
            Ok(Ownership::HeldBy { holder: (*holder).to_owned(), expires_in })
        }
        ["FENCED"] => Err(Error::Fenced(partition)),
        _ => Err(fault::unexpected(&answer)),
    }
}

fn hex(nonce: u128) -> String {
    format!("{nonce:032x}")
}
