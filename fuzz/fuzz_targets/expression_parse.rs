//! Any text compiles as expression, path and template, or is refused with a range inside it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oarlock_expression::{Expression, Path, Template};
use serde_json::Value;

fuzz_target!(|source: &str| {
    match Expression::compile(source) {
        Ok(expression) => {
            for reference in expression.references() {
                assert!(source.get(reference.range.clone()).is_some());
            }
        }
        Err(error) => assert!(source.get(error.range).is_some()),
    }
    if let Err(error) = Path::compile(source) {
        assert!(source.get(error.range).is_some());
    }
    if let Err(errors) = Template::compile(&Value::from(source)) {
        assert!(errors.iter().all(|error| source.get(error.error.range.clone()).is_some()));
    }
});
