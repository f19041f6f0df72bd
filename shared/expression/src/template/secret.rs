//! Secrets in templates: which expressions name one, and the reserved values that stand for them.
//!
//! Used by the template alone. No expression ever sees a secret's value: here is only its name.

use oarlock_protocol::name::check_identifier;
use oarlock_protocol::secret::{SecretName, SecretPiece, SecretReference, SecretText};

use serde_json::Value as Json;

use crate::error::{Cause, EvaluationError};
use crate::expression::Expression;
use crate::scope::{Resolved, SECRETS, Scope};

/// What is told where a secret stands in the wrong place.
pub(super) const MISPLACED: &str =
    "a secret may stand only in the inputMappings of a task, where its worker puts it in";

/// What is told of a value that looks like a reference and was not made of `${ secrets.name }`.
pub(super) const RESERVED: &str =
    "the value has the reserved key '$secret'; a secret is named by ${ secrets.name } and by nothing else";

/// Whether a template may name secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    Refused,
    Referred,
}

/// `${ secrets.name }`.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) expression: Expression,
}

impl Secret {
    /// The secret that an expression names and does nothing else with.
    pub(super) fn of(expression: &Expression) -> Option<Self> {
        match expression.path()? {
            [root, name] if root == SECRETS && check_identifier(name).is_ok() => {
                Some(Self { name: name.clone(), expression: expression.clone() })
            }
            _ => None,
        }
    }
}

/// Whether `value` is what stands in a task's input where the expression points. What looks like a reference in there is one:
/// that input was made by a template too. What was looked up in data kept elsewhere is not: nobody has checked that.
pub(super) fn stands_in_task_input(expression: &Expression, value: &Json, scope: &dyn Scope) -> bool {
    let Some(path) = expression.path().filter(|path| path.first().is_some_and(|root| root == "taskInput"))
    else {
        return false;
    };
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let Resolved::Found { value: found, consumed } = scope.resolve(&names) else { return false };
    let mut inside = names.iter().skip(consumed);
    inside.try_fold(&*found, |holder, name| holder.get(*name)) == Some(value)
}

/// [`RESERVED`] about a string or a key as a whole.
pub(super) fn reserved_key() -> EvaluationError {
    EvaluationError { message: RESERVED.to_owned(), range: 0..0, cause: Cause::Expression }
}

/// A text under construction, from its pieces.
#[derive(Default)]
pub(super) struct Text<'t> {
    before: Vec<SecretPiece>,
    text: String,
    first: Option<&'t Expression>,
}

/// A text that is made.
pub(super) enum Made<'t> {
    Plain(String),
    /// It has secrets in it; the first is named by this expression.
    Secret(SecretReference, &'t Expression),
}

impl<'t> Text<'t> {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn refer(&mut self, secret: &'t Secret) {
        self.first.get_or_insert(&secret.expression);
        self.cut();
        self.before.push(SecretPiece::Secret(SecretName { name: secret.name.clone() }));
    }

    pub(super) fn finish(mut self) -> Made<'t> {
        let Some(first) = self.first else { return Made::Plain(self.text) };
        self.cut();
        Made::Secret(SecretReference::Text(SecretText { text: self.before }), first)
    }

    fn cut(&mut self) {
        if !self.text.is_empty() {
            self.before.push(SecretPiece::Literal(std::mem::take(&mut self.text)));
        }
    }
}
