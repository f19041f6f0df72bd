//! Any text is a definition or is refused with its problems; reading it ends and never panics, and what it accepts holds
//! when it is checked again. Seeds are the corpus of the reader, words the dictionary beside this folder:
//! `cargo +nightly fuzz run definition_parse shared/definition/corpus/good shared/definition/corpus/broken -- -dict=fuzz/definition.dict`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oarlock_definition::{Severity, check, read};

fuzz_target!(|text: &str| {
    for file in ["fuzz.yaml", "fuzz.json"] {
        if let Some(definition) = read(file, text).definition {
            assert!(check(&definition).iter().all(|told| told.severity == Severity::Warning));
        }
    }
});
