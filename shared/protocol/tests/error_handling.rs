//! Holds the table of codes in docs/error-handling.md to [`Code`]; with `OARLOCK_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::fs::{read_to_string, write};

use oarlock_protocol::code::Code;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/error-handling.md");
const BEGIN: &str = "<!-- codes: written from oarlock_protocol::code::Code by `OARLOCK_BLESS=1 cargo test -p oarlock-protocol` -->\n";
const END: &str = "<!-- end of codes -->";

#[test]
fn the_table_of_codes_is_up_to_date() {
    let page = read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("OARLOCK_BLESS").is_some() {
        write(PAGE, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert!(written == table(), "write the table anew: OARLOCK_BLESS=1 cargo test -p oarlock-protocol");
}

#[test]
fn every_code_has_a_text_of_its_own() {
    let texts = Code::ALL.map(|code| code.as_str());
    let alone = |text: &str| texts.iter().filter(|other| *other == text).count() == 1;
    assert!(texts.iter().all(|text| alone(text)), "{texts:?}");
}

fn table() -> String {
    let rows = Code::ALL.map(|code| {
        let name = match code {
            Code::Exit(_) => "EXIT_<n>".to_owned(),
            named => named.as_str().into_owned(),
        };
        let retryable = if code.retryable() { "yes" } else { "no" };
        let meaning = code.meaning().replace("<n>", "`n`");
        format!("| `{name}` | {retryable} | {meaning} |\n")
    });
    format!("\n| Code | Retryable | What happened, and what to do |\n|---|---|---|\n{}\n", rows.concat())
}
