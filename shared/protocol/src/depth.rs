//! How deep a JSON value nests. What comes from outside is checked with it before it is stored or sent on.

use crate::Json;

/// The deepest value that is taken from outside. A reader of JSON refuses 128 levels, and rows and messages put a few
/// of their own around a value, so half of that can always be read again.
pub const DEEPEST: usize = 64;

/// Whether arrays and objects lie at most `depth` deep in `value`; a text or a number alone is 0 deep.
/// Never looks deeper than that, so a value of any depth may be asked about.
pub fn nests_within(value: &Json, depth: usize) -> bool {
    let within = |inner: &Json| depth.checked_sub(1).is_some_and(|left| nests_within(inner, left));
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
        Json::Array(items) => depth > 0 && items.iter().all(within),
        Json::Object(map) => depth > 0 && map.values().all(within),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A value of this depth, objects and arrays by turns.
    fn nested(depth: usize) -> Json {
        (0..depth).fold(Json::from(1), |inner, level| match level % 2 {
            0 => json!([inner]),
            _ => json!({"in": inner}),
        })
    }

    #[test]
    fn depth_is_counted_in_arrays_and_objects() {
        for depth in [0, 1, 2, DEEPEST] {
            assert!(nests_within(&nested(depth), depth), "{depth}");
            assert!(!nests_within(&nested(depth + 1), depth), "{depth}");
        }
        assert!(!nests_within(&json!([1, [2, {"x": []}], 3]), 3));
        assert!(!nests_within(&json!([]), 0));
    }

    #[test]
    fn a_scalar_fits_everywhere_beside_what_is_full() {
        assert!(nests_within(&json!([1, "x", null]), 1));
        assert!(nests_within(&json!({"a": true, "b": {}}), 2));
    }
}
