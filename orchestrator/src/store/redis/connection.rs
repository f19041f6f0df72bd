//! Connections to one server or to a cluster, as one type. [`super::lane`] keeps them. A connection is answered only after its
//! servers were checked and have the scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisResult, Value,
};

use super::check::{Expected, judge};
use super::{Settings, fault, scripts};
use crate::store::Error;

/// As many bytes may wait to be sent before a sender waits: a few common commits.
const SEND_BUFFER: usize = 256 * 1024;
/// An idle connection is tried so often, so that a silent end of it is noticed.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What to connect to.
pub(super) struct Target {
    nodes: Vec<ConnectionInfo>,
    cluster: bool,
    replicas: u32,
    connect_timeout: Duration,
    response_timeout: Duration,
}

/// A connection that many calls share. Clones are the same connection.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server.
    Single(MultiplexedConnection, String),
    /// To the primaries of a cluster.
    Cluster(ClusterConnection),
}

impl Target {
    /// Reads the settings.
    ///
    /// # Errors
    /// Addresses that cannot be understood. The text shows none: they may hold a password.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let response_timeout = settings.response_timeout.into();
        if settings.nodes.is_empty() {
            return Err(Error::Unusable("no Redis node is named".to_owned()));
        }
        if settings.response_timeout.is_zero() || settings.connect_timeout.is_zero() {
            return Err(Error::Unusable("the timeouts of Redis must be longer than nothing".to_owned()));
        }
        let read = |(number, url): (usize, &String)| {
            let known = url.starts_with("redis://") || url.starts_with("rediss://");
            let info = known.then(|| url.as_str().into_connection_info().ok()).flatten();
            let info = info.map(|info| info.set_tcp_settings(tcp_settings(response_timeout)));
            info.ok_or_else(|| {
                Error::Unusable(format!(
                    "Redis node {} is no URL such as redis://user:password@host:6379 (rediss:// for TLS); a password \
                     with other characters than letters and digits is written with %XX",
                    number + 1
                ))
            })
        };
        Ok(Self {
            nodes: settings.nodes.iter().enumerate().map(read).collect::<Result<_, _>>()?,
            cluster: settings.cluster,
            replicas: settings.replicas,
            connect_timeout: settings.connect_timeout.into(),
            response_timeout,
        })
    }

    /// How many calls in a row may fail before the connection is made anew. That to a cluster mends itself, and a failed
    /// primary is no reason to leave the others.
    pub(super) fn patience(&self) -> u32 {
        if self.cluster { 3 } else { 1 }
    }

    /// Connects, checks and loads the scripts; answers the connection and what there is to say about its servers.
    pub(super) async fn open(&self) -> Result<(Connection, Vec<String>), Error> {
        if self.cluster { self.open_cluster().await } else { self.open_single().await }
    }

    /// Takes the first node that can be used.
    async fn open_single(&self) -> Result<(Connection, Vec<String>), Error> {
        let mut failed = None;
        for node in &self.nodes {
            let outcome = match self.connect(node).await {
                Ok(connection) => self.greet(&connection, 0).await.map(|findings| (connection, findings)),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(opened) => return Ok(opened),
                // What somebody has to change is worth more words than what may pass.
                Err(error) if matches!(failed, Some(Error::Unusable(_))) => drop(error),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| Error::Unusable("no Redis node is named".to_owned())))
    }

    async fn open_cluster(&self) -> Result<(Connection, Vec<String>), Error> {
        self.try_seeds().await?;
        let client = ClusterClient::builder(self.nodes.iter().cloned())
            .connection_timeout(self.connect_timeout)
            .response_timeout(self.response_timeout)
            .tcp_settings(tcp_settings(self.response_timeout))
            .write_backpressure_boundary(SEND_BUFFER)
            .build();
        let client = client.map_err(|e| Error::Unusable(format!("its nodes do not fit together: {e}")))?;
        let bound = self.connect_timeout + self.response_timeout;
        let connection = match tokio::time::timeout(bound, client.get_async_connection()).await {
            Ok(connected) => connected.map_err(|error| fault::lost(&error))?,
            Err(_) => {
                return Err(Error::Unavailable("the Redis cluster does not answer in time".to_owned()));
            }
        };
        let connection = Connection::Cluster(connection);
        let findings = self.greet(&connection, 0).await?;
        Ok((connection, findings))
    }

    /// Asks the nodes one by one until one answers as a node of a cluster: the errors of a cluster connection tell little.
    async fn try_seeds(&self) -> Result<(), Error> {
        let mut failed = None;
        for node in &self.nodes {
            let outcome = match self.connect(node).await {
                Ok(connection) => self.check(&connection, 0, &node.addr().to_string()).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(_) => return Ok(()),
                Err(error @ Error::Unusable(_)) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn connect(&self, node: &ConnectionInfo) -> Result<Connection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
            .set_write_backpressure_boundary(SEND_BUFFER);
        let address = node.addr().to_string();
        let connecting = async {
            let client = Client::open(node.clone())?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        let connection = connecting.await.map_err(|error| fault::connecting(node.addr(), &error))?;
        Ok(Connection::Single(connection, address))
    }

    /// Checks the servers behind a connection and gives them the scripts: all primaries of a cluster that can be reached,
    /// that of `slot` in any case. Answers what there is to say about them.
    pub(super) async fn greet(&self, connection: &Connection, slot: u16) -> Result<Vec<String>, Error> {
        let places = match connection {
            Connection::Single(_, address) => BTreeMap::from([(address.clone(), slot)]),
            Connection::Cluster(_) => primaries(connection, slot).await?,
        };
        let greetings = places.iter().map(async |(address, slot)| {
            let findings = self.check(connection, *slot, address).await?;
            load(connection, *slot).await?;
            Ok(findings)
        });
        let (mut findings, mut greeted, mut failed) = (Vec::new(), false, None);
        for outcome in join_all(greetings).await {
            match outcome {
                Ok(found) => {
                    greeted = true;
                    findings.extend(found);
                }
                Err(error @ Error::Unusable(_)) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if !greeted => Err(error),
            _ => Ok(findings),
        }
    }

    async fn check(&self, connection: &Connection, slot: u16, address: &str) -> Result<Vec<String>, Error> {
        let mut questions = redis::pipe();
        questions.cmd("INFO").cmd("CONFIG").arg("GET").arg("appendfsync");
        let mut answers = connection.send(slot, &questions).await.map_err(|error| fault::lost(&error))?;
        let appendfsync = match answers.pop() {
            // Some users may not ask.
            None | Some(Value::ServerError(_)) => None,
            Some(pair) => {
                redis::from_redis_value::<Vec<String>>(pair).ok().and_then(|pair| pair.into_iter().nth(1))
            }
        };
        if let Some(error) = fault::first(&answers) {
            return Err(fault::reply(error));
        }
        let info = answers.pop().unwrap_or_default();
        let info: String = redis::from_redis_value(info).map_err(|error| fault::unexpected(&error))?;
        let expected = Expected { address, cluster: self.cluster, replicas: self.replicas };
        judge(&info, appendfsync.as_deref(), &expected)
    }
}

impl Connection {
    /// Sends commands to the server that holds `slot`; answers a value for each, which may be an error of that server.
    pub(super) async fn send(&self, slot: u16, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(connection, _) => {
                connection.clone().send_packed_commands(commands, 0, commands.len()).await
            }
            Self::Cluster(connection) => {
                let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                connection.clone().route_pipeline(commands.clone(), 0, commands.len(), route).await
            }
        }
    }
}

/// The primaries of a cluster by address, with a slot of each; the holder of `slot` among them.
async fn primaries(connection: &Connection, slot: u16) -> Result<BTreeMap<String, u16>, Error> {
    let mut question = redis::pipe();
    question.cmd("CLUSTER").arg("SLOTS");
    let mut answers = connection.send(slot, &question).await.map_err(|error| fault::lost(&error))?;
    if let Some(error) = fault::first(&answers) {
        return Err(fault::reply(error));
    }
    let ranges = answers.pop().unwrap_or_default();
    let Value::Array(ranges) = ranges else { return Err(fault::unexpected(&ranges)) };
    let mut places = BTreeMap::new();
    for range in ranges {
        let Value::Array(range) = range else { return Err(fault::unexpected(&range)) };
        let mut parts = range.into_iter();
        let (first, last, primary) = (parts.next(), parts.next(), parts.next());
        let number = |value: Option<Value>| redis::from_redis_value::<u16>(value.unwrap_or_default());
        let read = (number(first), number(last), primary);
        let (Ok(first), Ok(last), Some(Value::Array(primary))) = read else {
            return Err(fault::unexpected(&"CLUSTER SLOTS"));
        };
        let node: Vec<Value> = primary.into_iter().take(2).collect();
        let Ok((host, port)) = redis::from_redis_value::<(String, u16)>(Value::Array(node)) else {
            return Err(fault::unexpected(&"CLUSTER SLOTS"));
        };
        let here = (first..=last).contains(&slot);
        let place = places.entry(format!("{host}:{port}")).or_insert(first);
        if here {
            *place = slot;
        }
    }
    Ok(places)
}

async fn load(connection: &Connection, slot: u16) -> Result<(), Error> {
    let mut commands = redis::pipe();
    for script in scripts::all() {
        commands.cmd("SCRIPT").arg("LOAD").arg(script);
    }
    let answers = connection.send(slot, &commands).await.map_err(|error| fault::lost(&error))?;
    fault::first(&answers).map_or(Ok(()), |error| Err(fault::reply(error)))
}

fn tcp_settings(response_timeout: Duration) -> TcpSettings {
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    // Data that nobody acknowledges ends the connection as soon as its calls are given up.
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(response_timeout);
    #[cfg(not(target_os = "linux"))]
    let _ = response_timeout;
    settings
}
