//! Writes a text as a quoted YAML scalar, for the fixes that diagnostics show.

/// The text in the quotes that need the fewest escapes.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains(char::is_control) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_chosen_by_what_is_inside() {
        assert_eq!(quoted("!done"), "\"!done\"");
        assert_eq!(quoted("a == \"x\""), "'a == \"x\"'");
        assert_eq!(quoted("it's \"x\""), "'it''s \"x\"'");
        assert_eq!(quoted("a\tb"), "\"a\\tb\"");
    }
}
