//! Named transformations and pipelines of them: what a TRANSFORM mapping does to a value.
//!
//! Every function of the language is a transformation of its first argument; programs that embed Oarlock register
//! their own. A pipeline is compiled at registration, so an unknown name never reaches a run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::budget::{Limits, Meter};
use crate::error::{Cause, CompileError, EvaluationError};
use crate::functions::{self, Call, Function};
use crate::near;

/// Other names for functions, by the words people look for first.
pub(crate) const ALIASES: [(&str, &str); 3] =
    [("uppercase", "upper"), ("lowercase", "lower"), ("default", "coalesce")];

/// The transformations a definition may name.
#[derive(Clone)]
pub struct Registry {
    transformations: BTreeMap<String, Transformation>,
}

#[derive(Clone)]
struct Transformation {
    doc: String,
    apply: Apply,
}

/// A transformation of an embedding program: the value and its argument to a value, or the reason there is none.
type Own = dyn Fn(Json, Option<&Json>) -> Result<Json, String> + Send + Sync;

#[derive(Clone)]
enum Apply {
    Function(&'static Function),
    Own(Arc<Own>),
}

impl Registry {
    /// The functions of the language, and a few of them by second names.
    pub fn standard() -> Registry {
        let of = |function: &'static Function| Transformation {
            doc: format!("{} {}", function.signature, function.about),
            apply: Apply::Function(function),
        };
        let mut transformations: BTreeMap<String, Transformation> =
            functions::all().map(|function| (function.name.to_owned(), of(function))).collect();
        for (alias, name) in ALIASES {
            if let Some(function) = functions::find(name) {
                transformations.insert(alias.to_owned(), of(function));
            }
        }
        Registry { transformations }
    }

    /// Adds a transformation, or replaces the one of that name; `doc` is a sentence for people.
    pub fn register(
        &mut self,
        name: &str,
        doc: &str,
        apply: impl Fn(Json, Option<&Json>) -> Result<Json, String> + Send + Sync + 'static,
    ) {
        let transformation = Transformation { doc: doc.to_owned(), apply: Apply::Own(Arc::new(apply)) };
        self.transformations.insert(name.to_owned(), transformation);
    }

    /// Names and docs, in the order of the names.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.transformations.iter().map(|(name, transformation)| (name.as_str(), transformation.doc.as_str()))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.transformations.keys()).finish()
    }
}

/// A compiled pipeline of transformations.
#[derive(Clone)]
pub struct Pipeline {
    steps: Vec<Step>,
}

#[derive(Clone)]
struct Step {
    name: String,
    apply: Apply,
    argument: Option<Json>,
}

impl Pipeline {
    /// Compiles `steps`, each a name with its argument; an error's range is empty, its message names the step.
    pub fn compile(steps: &[(String, Option<Json>)], registry: &Registry) -> Result<Pipeline, CompileError> {
        if steps.is_empty() {
            return Err(CompileError::new("a transformation names at least one step", 0..0)
                .help("write such as [trim, uppercase], or use DIRECT"));
        }
        let steps: Result<Vec<Step>, CompileError> =
            steps.iter().map(|(name, argument)| compile_step(name, argument.as_ref(), registry)).collect();
        Ok(Pipeline { steps: steps? })
    }

    /// The value after every step; all of them share the default budget.
    pub fn apply(&self, value: Json) -> Result<Json, EvaluationError> {
        let meter = Meter::new(&Limits::default());
        let failed = |message: String| EvaluationError { message, range: 0..0, cause: Cause::Expression };
        let value = self.steps.iter().try_fold(value, |value, step| {
            step.apply(value, &meter).map_err(|message| failed(format!("{}: {message}", step.name)))
        })?;
        meter.check_depth(&value, 0).map_err(failed)?;
        Ok(value)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| &step.name)).finish()
    }
}

fn compile_step(name: &str, argument: Option<&Json>, registry: &Registry) -> Result<Step, CompileError> {
    let Some(transformation) = registry.transformations.get(name) else {
        let error = CompileError::new(format!("there is no transformation '{name}'"), 0..0);
        return Err(match near::question(name, registry.transformations.keys().map(String::as_str)) {
            Some(question) => error.help(question),
            None => error.help("docs/expressions.md lists them"),
        });
    };
    let step =
        Step { name: name.to_owned(), apply: transformation.apply.clone(), argument: argument.cloned() };
    if let Apply::Function(function) = &step.apply {
        let count = 1 + spread(function, argument).len();
        if !(function.arguments.0..=function.arguments.1).contains(&count) {
            let message = format!("the transformation '{name}' does not take {} arguments", count - 1);
            return Err(CompileError::new(message, 0..0)
                .help(format!("it is {} with the value as first argument", function.signature)));
        }
    }
    Ok(step)
}

/// The arguments after the value: of a function that takes several, a list gives them one by one.
fn spread<'a>(function: &Function, argument: Option<&'a Json>) -> Vec<&'a Json> {
    match argument {
        Some(Json::Array(items)) if function.arguments.1 > 2 => items.iter().collect(),
        argument => argument.into_iter().collect(),
    }
}

impl Step {
    fn apply(&self, value: Json, meter: &Meter) -> Result<Json, String> {
        match &self.apply {
            Apply::Function(function) => {
                let mut arguments = vec![Cow::Owned(value)];
                arguments.extend(spread(function, self.argument.as_ref()).into_iter().map(Cow::Borrowed));
                meter.own((function.apply)(Call::new(arguments, meter))?)
            }
            Apply::Own(apply) => apply(value, self.argument.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(steps: &[(&str, Option<Json>)], value: Json) -> Result<Json, String> {
        let steps: Vec<_> =
            steps.iter().map(|(name, argument)| ((*name).to_owned(), argument.clone())).collect();
        let pipeline = Pipeline::compile(&steps, &Registry::standard()).map_err(|error| error.to_string())?;
        pipeline.apply(value).map_err(|error| error.to_string())
    }

    #[test]
    fn steps_apply_in_order_with_their_arguments() {
        assert_eq!(apply(&[("trim", None), ("uppercase", None)], json!(" ab ")), Ok(json!("AB")));
        assert_eq!(apply(&[("round", Some(json!(2)))], json!(2.675)), Ok(json!(2.68)));
        assert_eq!(apply(&[("replace", Some(json!([".", "/"])))], json!("a.b")), Ok(json!("a/b")));
        assert_eq!(apply(&[("pick", Some(json!(["a"])))], json!({"a": 1, "b": 2})), Ok(json!({"a": 1})));
        assert_eq!(apply(&[("default", Some(json!(0)))], json!(null)), Ok(json!(0)));
        assert_eq!(apply(&[("get", Some(json!(["k", 5])))], json!({})), Ok(json!(5)));
        assert_eq!(apply(&[("split", Some(json!(","))), ("last", None)], json!("a,b")), Ok(json!("b")));
    }

    #[test]
    fn a_failing_step_is_named() {
        assert_eq!(
            apply(&[("trim", None)], json!(5)),
            Err("trim: argument 1 must be a string, not a number".to_owned())
        );
        assert!(apply(&[("repeat", Some(json!(1e9)))], json!("ab")).unwrap_err().contains("bytes"));
    }

    #[test]
    fn unknown_names_and_wrong_arguments_are_found_at_compile() {
        let compile = |name: &str, argument| {
            Pipeline::compile(&[(name.to_owned(), argument)], &Registry::standard()).unwrap_err()
        };
        let error = compile("upercase", None);
        assert_eq!(error.message, "there is no transformation 'upercase'");
        assert_eq!(error.help.as_deref(), Some("did you mean 'uppercase'?"));
        assert!(compile("trim", Some(json!(1))).message.contains("'trim' does not take 1 arguments"));
        assert!(compile("replace", None).message.contains("'replace'"));
        assert!(Pipeline::compile(&[], &Registry::standard()).is_err());
    }

    #[test]
    fn a_program_registers_its_own() {
        let mut registry = Registry::standard();
        registry.register("mask", "Hides a text.", |value, argument| match value {
            Json::String(_) => Ok(argument.cloned().unwrap_or_else(|| json!("***"))),
            _ => Err("only text is masked".to_owned()),
        });
        let pipeline = Pipeline::compile(&[("mask".to_owned(), None)], &registry).unwrap();
        assert_eq!(pipeline.apply(json!("secret")).unwrap(), json!("***"));
        assert_eq!(pipeline.apply(json!(1)).unwrap_err().message, "mask: only text is masked");
        assert!(registry.list().any(|(name, doc)| name == "mask" && doc == "Hides a text."));
    }
}
