//! The registered definitions: kept by their home partition, read by every other, compiled once per process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use oarlock_engine::Plan;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::depth::nests_within;

use self::changes::Changes;
use crate::layout;
use crate::store::{self, Fields, Key, Store, Write};

pub mod changes;

/// How many compiled definitions are kept; all go when there are more.
const KEPT: usize = 1_000;
/// The deepest definition, as JSON. A reader of JSON refuses 128 levels, and the messages that carry a definition put a few of
/// their own around it; a text is taken to 64 levels.
const DEEPEST: usize = 120;

/// Reads definitions, and keeps the compiled ones.
#[derive(Clone)]
pub struct Definitions {
    store: Arc<dyn Store>,
    partitions: u32,
    plans: Arc<Mutex<HashMap<String, Arc<Plan>>>>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such definition is registered.
    #[error("no workflow '{id}'{} is registered in this tenant; register it with `oarlock apply`", version.map(|v| format!(" of version {v}")).unwrap_or_default())]
    NotFound {
        /// Its id.
        id: String,
        /// The version asked for.
        version: Option<u32>,
    },
    /// The (id, version) is registered with another content.
    #[error(
        "workflow '{id}' version {version} is registered with another content; a version never changes: give the new one a greater number. What differs:{changes}"
    )]
    Conflict {
        /// Its id.
        id: String,
        /// Its version.
        version: u32,
        /// What differs from the registered one.
        changes: Changes,
    },
    /// The definition cannot be used: refused when it is registered, or stored by another release.
    #[error("{0}")]
    Unusable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Definitions {
    /// The definitions of this store.
    pub fn new(store: Arc<dyn Store>, partitions: u32) -> Self {
        Self { store, partitions, plans: Arc::default() }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The partition that keeps definitions of this name.
    pub fn home(&self, tenant: &str, id: &str) -> u32 {
        layout::home(tenant, id, self.partitions)
    }

    /// The compiled definition; the newest version where none is named.
    ///
    /// # Errors
    /// None is registered, or it cannot be read.
    pub async fn plan(&self, tenant: &str, id: &str, version: Option<u32>) -> Result<Arc<Plan>, Error> {
        let not_found = || Error::NotFound { id: id.to_owned(), version };
        let version = match version {
            Some(version) => version,
            None => self.newest(tenant, id).await?.ok_or_else(not_found)?,
        };
        let field = layout::definition_field(tenant, id, version);
        if let Some(plan) = self.kept().get(&field) {
            return Ok(plan.clone());
        }
        let definition = self.read(tenant, id, &field).await?.ok_or_else(not_found)?;
        let plan = Plan::compile(Arc::new(definition)).map_err(|e| Error::Unusable(e.to_string()))?;
        let plan = Arc::new(plan);
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(field, plan.clone());
        Ok(plan)
    }

    /// Decides the registration of a definition, for its home partition to commit. Registering the same again writes nothing.
    ///
    /// # Errors
    /// The version is registered with another content, or cannot be compiled.
    pub async fn register(&self, tenant: &str, definition: &WorkflowDefinition) -> Result<Vec<Write>, Error> {
        check_depth(definition)?;
        Plan::compile(Arc::new(definition.clone())).map_err(|e| Error::Unusable(e.to_string()))?;
        let (id, version) = (&definition.id, definition.version);
        let field = layout::definition_field(tenant, id, version);
        match self.read(tenant, id, &field).await? {
            Some(known) if known == *definition => return Ok(Vec::new()),
            Some(known) => {
                let changes = Changes::between(&known, definition);
                return Err(Error::Conflict { id: id.clone(), version, changes });
            }
            None => {}
        }
        let value = serde_json::to_vec(definition).map_err(|e| Error::Unusable(e.to_string()))?;
        let mut writes = vec![Write::HashSet { key: Key::Definitions, field, value: value.into() }];
        if self.newest(tenant, id).await?.is_none_or(|newest| newest < version) {
            let field = layout::newest_field(tenant, id);
            writes.push(Write::HashSet {
                key: Key::Definitions,
                field,
                value: Bytes::from(version.to_string()),
            });
        }
        Ok(writes)
    }

    /// Forgets the compiled ones: each is read from the store again when it is asked for.
    pub(crate) fn forget(&self) {
        self.kept().clear();
    }

    async fn newest(&self, tenant: &str, id: &str) -> Result<Option<u32>, Error> {
        let value = self.field(tenant, id, &layout::newest_field(tenant, id)).await?;
        Ok(value.and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok()))
    }

    async fn read(&self, tenant: &str, id: &str, field: &str) -> Result<Option<WorkflowDefinition>, Error> {
        let Some(value) = self.field(tenant, id, field).await? else { return Ok(None) };
        let read = serde_json::from_slice(&value);
        read.map(Some)
            .map_err(|e| Error::Unusable(format!("the stored definition '{field}' cannot be read: {e}")))
    }

    async fn field(&self, tenant: &str, id: &str, field: &str) -> Result<Option<Bytes>, Error> {
        let fields = Fields::Named(vec![field.to_owned()]);
        let read = self.store.read_hash(self.home(tenant, id), &Key::Definitions, fields).await?;
        Ok(read.into_iter().next().map(|(_, value)| value))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Plan>>> {
        // A panic elsewhere leaves at worst a plan less in the map.
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that a definition can be read again once it is written.
///
/// # Errors
/// It nests too deeply.
pub(crate) fn check_depth(definition: &WorkflowDefinition) -> Result<(), Error> {
    let written = serde_json::to_value(definition).map_err(|e| Error::Unusable(e.to_string()))?;
    if nests_within(&written, DEEPEST) {
        return Ok(());
    }
    Err(Error::Unusable(format!(
        "the definition nests deeper than {DEEPEST} levels, more than can be read again; a `workflow` step can take over inner steps"
    )))
}
