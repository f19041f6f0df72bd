//! Any text is a definition or is refused with its problems; reading it ends and never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = oarlock_definition::read("fuzz.yaml", text);
});
