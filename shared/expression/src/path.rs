//! A path into a value: the `source` of DIRECT and TRANSFORM mappings, such as `a.b[0]["odd key"]`.
//!
//! Unlike an expression it calculates nothing; what it does not lead to is simply not there.

use serde_json::Value as Json;

use crate::error::CompileError;
use crate::lexer::{self, Token};
use crate::scope::{self, Scope};

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    source: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Position(usize),
}

impl Step {
    fn of<'a>(&self, value: &'a Json) -> Option<&'a Json> {
        match self {
            Step::Key(key) => value.get(key),
            Step::Position(position) => value.get(position),
        }
    }
}

const FORM: &str = "write a path such as quote.total, items[0].id or map[\"odd key\"]";

impl Path {
    /// Compiles a path of at least one step.
    pub fn compile(source: &str) -> Result<Path, CompileError> {
        let lexemes = lexer::all(source, 0..source.len())?;
        let mut steps = Vec::new();
        let mut rest = lexemes.as_slice();
        loop {
            let tokens: Vec<&Token<'_>> = rest.iter().take(3).map(|lexeme| &lexeme.token).collect();
            let (step, length) = match tokens.as_slice() {
                [Token::End, ..] if !steps.is_empty() => {
                    return Ok(Path { source: source.to_owned(), steps });
                }
                [Token::Name(name), ..] if steps.is_empty() => (Step::Key((*name).to_owned()), 1),
                [Token::Symbol("."), Token::Name(name), ..] if !steps.is_empty() => {
                    (Step::Key((*name).to_owned()), 2)
                }
                [Token::Symbol("["), Token::Text(key), Token::Symbol("]")] => (Step::Key(key.clone()), 3),
                [Token::Symbol("["), Token::Integer(position), Token::Symbol("]")] => {
                    (Step::Position(usize::try_from(*position).unwrap_or(usize::MAX)), 3)
                }
                _ => {
                    let range = rest.first().map_or(0..0, |lexeme| lexeme.range.clone());
                    return Err(CompileError::new(format!("'{source}' is no path"), range).help(FORM));
                }
            };
            steps.push(step);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// The value the path leads to, if there is one.
    pub fn find<'a>(&self, value: &'a Json) -> Option<&'a Json> {
        self.steps.iter().try_fold(value, |value, step| step.of(value))
    }

    /// As [`Path::find`], through values that refer to data kept elsewhere; what it leads to is not opened itself.
    ///
    /// # Errors
    /// Why such data is not at hand.
    pub fn find_through<'a>(
        &self,
        value: &'a Json,
        scope: &'a dyn Scope,
    ) -> Result<Option<&'a Json>, String> {
        let mut value = value;
        for step in &self.steps {
            let holder = scope::data_of(value, scope)?.unwrap_or(value);
            match step.of(holder) {
                Some(found) => value = found,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    /// The text it was compiled from.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_keys_positions_and_odd_keys() {
        let value = json!({"a": {"b": [{"odd key": 7}]}, "in": null});
        let find = |path: &str| Path::compile(path).unwrap().find(&value).cloned();
        assert_eq!(find(r#"a.b[0]["odd key"]"#), Some(json!(7)));
        assert_eq!(find("['a'].b [ 0 ]"), Some(json!({"odd key": 7})));
        assert_eq!(find("in"), Some(json!(null)));
        assert_eq!(find("a.c"), None);
        assert_eq!(find("a.b[1]"), None);
        assert_eq!(find("a.b.c"), None);
        assert_eq!(find("a[0]"), None);
        assert_eq!(Path::compile(" a.b ").unwrap().as_str(), " a.b ");
    }

    #[test]
    fn what_is_no_path_says_how_one_is_written() {
        for wrong in [
            "", " ", ".a", "a.", "a..b", "a[", "a[b]", "a[-1]", "a b", "a-b", "a + b", "f()", "${ a }",
            "a[1.5]",
        ] {
            let error = Path::compile(wrong).unwrap_err();
            assert!(error.range.end <= wrong.len(), "{wrong}");
            assert!(error.help.is_some(), "{wrong}: {error}");
        }
    }
}
