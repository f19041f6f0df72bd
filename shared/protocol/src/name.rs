//! The spelling of names: what an id, a task name, a queue or a tenant may look like.

/// The longest name of any kind, so that a path of a hundred names still fits a key.
pub const LONGEST: usize = 200;

/// A name that is not spelled as its kind must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is no valid {kind}: {rule}")]
pub struct InvalidName {
    name: String,
    kind: &'static str,
    rule: &'static str,
}

/// Checks an id of a task, a variable or an `as` name: `[A-Za-z_][A-Za-z0-9_]*`.
pub fn check_identifier(name: &str) -> Result<(), InvalidName> {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let rule = "it begins with a letter or _ and goes on with letters, digits and _ (at most 200 of them)";
    verdict(first && rest, name, "identifier", rule)
}

/// Checks the id of a task definition or a queue, such as `payment.charge`: letters, digits, `_`, `-` and `.`.
pub fn check_task_name(name: &str) -> Result<(), InvalidName> {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let inside = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let rule =
        "it is made of letters, digits, _, - and ., and neither begins nor ends with - or . (at most 200)";
    verdict(
        inside && ends(name.chars().next()) && ends(name.chars().last()),
        name,
        "task or queue name",
        rule,
    )
}

/// Checks a tenant's id: letters, digits, `_`, `-`, `.` and `@`, never a `/`, which separates the parts of a key.
pub fn check_tenant(name: &str) -> Result<(), InvalidName> {
    let inside = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'));
    verdict(
        inside && !name.is_empty(),
        name,
        "tenant",
        "it is made of letters, digits, _, -, . and @ (1 to 200)",
    )
}

fn verdict(good: bool, name: &str, kind: &'static str, rule: &'static str) -> Result<(), InvalidName> {
    if good && name.len() <= LONGEST {
        return Ok(());
    }
    let name = name.chars().take(80).collect();
    Err(InvalidName { name, kind, rule })
}
