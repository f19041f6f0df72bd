//! The expression language of Oarlock, evaluated over JSON values.
//!
//! Called by the definition reader (compile, references) and by the engine (evaluate). It is pure: no clock, no I/O, no
//! randomness, and nothing a definition says can make it hang, crash or allocate without bound.
//!
//! ```
//! use oarlock_expression::{Expression, Limits};
//! use serde_json::json;
//!
//! let total = Expression::compile("input.items.map(i, i.price * i.count).sum() > 100")?;
//! let scope = json!({"input": {"items": [{"price": 60, "count": 2}]}});
//! assert!(total.evaluate_bool(&scope, &Limits::default())?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ast;
mod budget;
mod calls;
mod cursor;
mod documentation;
mod each;
mod error;
mod evaluate;
mod expression;
mod functions;
mod lexer;
mod literal;
mod lookup;
mod macros;
mod near;
mod number;
mod operators;
mod parser;
mod path;
mod pattern;
mod scope;
mod template;
mod transform;
mod value;

pub use ast::Reference;
pub use budget::Limits;
pub use documentation::documentation;
pub use error::{Cause, CompileError, EvaluationError, TemplateError, TemplateEvaluationError};
pub use expression::Expression;
pub use lexer::LONGEST_SOURCE_BYTES;
pub use parser::{DEEPEST_NESTING, MOST_NODES};
pub use path::Path;
pub use scope::{Opened, Resolved, Scope};
pub use template::Template;
pub use transform::{Pipeline, Registry};

#[cfg(test)]
mod tests;
