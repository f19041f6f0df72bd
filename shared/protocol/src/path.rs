//! Where a task stands in its run: `/fulfil/ship[2]/label`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The place of a task instance in its run, iterations in brackets; the run itself is `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskPath(Arc<str>);

impl TaskPath {
    /// The path of the run itself.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The path of the child `id` of this place.
    pub fn child(&self, id: &str) -> Self {
        if self.is_root() { Self(format!("/{id}").into()) } else { Self(format!("{}/{id}", self.0).into()) }
    }

    /// Whether this is the run itself.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TaskPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TaskPath {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskPath({})", self.0)
    }
}

impl Serialize for TaskPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TaskPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self(text.as_ref().into()))
    }
}
