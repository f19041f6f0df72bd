//! Variable mappings as data: what of a task's output goes into which variable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Json;

/// What goes from a task's output into a variable. They run in order, each seeing the variables as the last left them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum VariableMapping {
    /// A part of the output, as it is.
    Direct {
        /// The path into the output, such as `quote.total`.
        source: String,
        /// The variable.
        target: String,
        /// Instead of a missing part; without it a missing part is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<Json>,
    },
    /// The value of an expression over `taskOutput`, `variables` and the rest of the scope.
    Expression {
        /// The expression, bare or wrapped in `${ }`.
        expression: String,
        /// The variable.
        target: String,
    },
    /// A part of the output, changed by a pipeline of named transformations.
    Transform {
        /// The path into the output.
        source: String,
        /// The variable.
        target: String,
        /// The transformations, in order.
        transformation: Vec<Transformation>,
        /// Instead of a missing part, transformed too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<Json>,
    },
    /// The short form `target: value`: a value with `${ }` in it.
    Value {
        /// The value.
        value: Json,
        /// The variable.
        target: String,
    },
}

impl VariableMapping {
    /// The variable it writes.
    pub fn target(&self) -> &str {
        match self {
            Self::Direct { target, .. }
            | Self::Expression { target, .. }
            | Self::Transform { target, .. }
            | Self::Value { target, .. } => target,
        }
    }
}

/// One named transformation: `trim`, or `{round: 2}` with its argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Transformation {
    /// Without an argument.
    Name(String),
    /// One name with its argument.
    WithArgument(BTreeMap<String, Json>),
}
