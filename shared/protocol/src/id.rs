//! Names of things that exist once: runs, task instances, attempts, workers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Timestamp, chance};

/// Makes a newtype over a UUID with its JSON, text and parse forms.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// Names a run: one workflow instance.
    RunId
);
uuid_id!(
    /// Names a task instance; the same over all its attempts, and so its idempotency key.
    TaskInstanceId
);
uuid_id!(
    /// Names an attempt: one dispatch of a task instance.
    ExecutionId
);

/// The namespace of run ids that are made from a producer's key.
const KEYED_RUNS: Uuid = Uuid::from_u128(0x0a21_0c4b_6f1e_5d0c_9d3e_7b1f_52a6_c801);

/// The namespace of the ids of child runs.
const CHILD_RUNS: Uuid = Uuid::from_u128(0x4d7b_91c2_5e38_5f0a_8b6c_20d4_e917_f3aa);

/// The namespace of the ids of runs that schedules start.
const SCHEDULED_RUNS: Uuid = Uuid::from_u128(0x7c19_e4d0_21ab_5b63_a4f8_93d5_0e6b_c172);

impl RunId {
    /// The id of a run without a key: new at every call and sorted by time.
    pub fn random() -> Self {
        Self(chance::fresh_by_time())
    }

    /// The id of the run that `key` names among the runs of `definition` of `tenant`: the same at every call.
    pub fn keyed(tenant: &str, definition: &str, key: &str) -> Self {
        // Length prefixes keep ("a", "bc") and ("ab", "c") apart.
        let text = format!("{}:{tenant}{}:{definition}{key}", tenant.len(), definition.len());
        Self(Uuid::new_v5(&KEYED_RUNS, text.as_bytes()))
    }

    /// The id of the run that an attempt of a step of another run is: the same at every call.
    pub fn child_of(attempt: ExecutionId) -> Self {
        Self(Uuid::new_v5(&CHILD_RUNS, attempt.0.as_bytes()))
    }

    /// The id of the run that a schedule of `tenant` starts for what `occasion` tells: the same at every call.
    pub fn scheduled(tenant: &str, schedule: &str, occasion: &str) -> Self {
        let text = format!("{}:{tenant}{}:{schedule}{occasion}", tenant.len(), schedule.len());
        Self(Uuid::new_v5(&SCHEDULED_RUNS, text.as_bytes()))
    }

    /// Whether a key names the run, so that the same request can come again.
    pub fn is_keyed(&self) -> bool {
        self.0.get_version_num() == 5
    }

    /// The slice of all runs this one belongs to, of `partitions` in all.
    pub fn partition(&self, partitions: u32) -> u32 {
        let folded = self.0.as_u128() ^ (self.0.as_u128() >> 64);
        // The low half of a v7 id is random and that of a v5 id a hash: both spread evenly; the product mixes them.
        let mixed = (folded as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u32::try_from((mixed >> 32) % u64::from(partitions.max(1))).unwrap_or(0)
    }
}

impl TaskInstanceId {
    /// The id of the task instance at `path` of a run: the same at every call, so a decision made twice names it once.
    pub fn of(run: RunId, path: &str) -> Self {
        Self(Uuid::new_v5(&run.0, path.as_bytes()))
    }
}

impl TaskInstanceId {
    /// What the attempts of this task instance are named after where generation `generation` of its run, from 1, made
    /// it anew.
    #[must_use]
    pub fn made_again(self, generation: u64) -> Self {
        Self(Uuid::new_v5(&self.0, &generation.to_be_bytes()))
    }
}

impl ExecutionId {
    /// The id of attempt `attempt` (counted from 1, over all generations) of a task instance.
    pub fn of(task: TaskInstanceId, attempt: u32) -> Self {
        Self(Uuid::new_v5(&task.0, &attempt.to_be_bytes()))
    }
}

/// Names a run together with its tenant: the address that every key, timer and message carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunKey {
    /// Whose run it is.
    #[serde(rename = "tenantId")]
    pub tenant: std::sync::Arc<str>,
    /// Which run.
    #[serde(rename = "workflowInstanceId")]
    pub run: RunId,
}

impl RunKey {
    /// The address of `run` of `tenant`.
    pub fn new(tenant: impl Into<std::sync::Arc<str>>, run: RunId) -> Self {
        Self { tenant: tenant.into(), run }
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.run)
    }
}

/// Names a schedule together with its tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleKey {
    /// Whose it is.
    pub tenant: std::sync::Arc<str>,
    /// Which one.
    pub id: std::sync::Arc<str>,
}

impl ScheduleKey {
    /// The name of the schedule `id` of `tenant`.
    pub fn new(tenant: impl Into<std::sync::Arc<str>>, id: impl Into<std::sync::Arc<str>>) -> Self {
        Self { tenant: tenant.into(), id: id.into() }
    }

    /// Reads the text of a name; none where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (tenant, id) = text.split_once('/')?;
        let whole = !tenant.is_empty() && !id.is_empty() && !id.contains('/');
        whole.then(|| Self::new(tenant, id))
    }

    /// The run for a due time: the same at every call.
    pub fn run_due(&self, due: Timestamp) -> RunId {
        RunId::scheduled(&self.tenant, &self.id, &format!("at {due}"))
    }

    /// The run that somebody asked for under `key`: the same at every call.
    pub fn run_triggered(&self, key: &str) -> RunId {
        RunId::scheduled(&self.tenant, &self.id, &format!("by {key}"))
    }
}

impl fmt::Display for ScheduleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.id)
    }
}

/// Names one start of a worker process: a process that starts again has another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(String);

impl WorkerId {
    /// A fresh id that begins with a readable `name`, such as the host's.
    pub fn fresh(name: &str) -> Self {
        let random = chance::fresh().simple().to_string();
        Self(format!("{name}-{}", &random[..12]))
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for WorkerId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
