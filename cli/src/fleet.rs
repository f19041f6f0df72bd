//! What the processes of a fleet share: reaching RabbitMQ, and telling operators for what they wait.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::rabbitmq::RabbitMq;
use oarlock_broker::{Broker, Error, Health};

use crate::configuration::Configuration;
use crate::exit::Failure;

/// How often what is still waited for is told again.
pub(crate) const REMIND: Duration = Duration::from_secs(30);

/// How long a collector may take to receive the last spans of a process.
pub(crate) const LAST_SPANS: Duration = Duration::from_secs(1);

/// Begins to connect to RabbitMQ. `name` is what its operators see.
///
/// A login that is refused is waited on like a server that is away: whoever corrects the user in RabbitMQ, or brings back
/// what it asks about users, finds the fleet working, not in a circle of restarts.
pub(crate) fn broker(configuration: &Configuration, name: String) -> Result<Arc<RabbitMq>, Failure> {
    RabbitMq::connect(configuration.rabbitmq(name)).map(Arc::new).map_err(unfit)
}

/// Checks the addresses of RabbitMQ without connecting.
pub(crate) fn check_broker(configuration: &Configuration) -> Result<(), Failure> {
    configuration.rabbitmq(String::new()).check().map_err(unfit)
}

fn unfit(error: Error) -> Failure {
    match error {
        Error::Refused(reason) => Failure::usage(format!("broker.nodes: {reason}")),
        other => Failure::usage(other.to_string()),
    }
}

/// What keeps the broker from being used; nothing where it can be.
pub(crate) fn problem(health: &Health) -> Option<String> {
    match health {
        Health::Ready => None,
        Health::Blocked(reason) => Some(format!("the broker takes no messages: {reason}")),
        Health::Down(reason) => Some(format!("the broker is not there: {reason}")),
    }
}

/// Reminds operators of a broker that stays away. The adapter tells it when it goes and comes.
pub(crate) async fn remind_for_ever(broker: Arc<dyn Broker>) {
    let mut health = broker.health();
    loop {
        if health.wait_for(|health| *health != Health::Ready).await.is_err() {
            return std::future::pending().await;
        }
        let back = health.wait_for(|health| *health == Health::Ready);
        if tokio::time::timeout(REMIND, back).await.is_err()
            && let Some(problem) = problem(&health.borrow())
        {
            tracing::warn!("still waiting: {problem}");
        }
    }
}
