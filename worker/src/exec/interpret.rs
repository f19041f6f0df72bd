//! What a command's end means: pure, from its exit, its output and the end of its stderr.

use std::borrow::Cow;
use std::sync::Arc;

use oarlock_protocol::Json;
use oarlock_protocol::code::Code;
use serde_json::json;

use super::conversation::Spoken;
use super::process::Exit;
use crate::handler::Answer;
use crate::secrets::Mask;
use crate::{TaskError, later};

/// What a command begins its last line on stderr with to name its failure itself.
const OWN_CODE: &str = "oarlock-error:";
/// The longest code a command may give itself.
const LONGEST_CODE: usize = 100;
/// As much of an output that is no JSON as shows what it is.
const SHOWN_BYTES: usize = 200;
/// As much of a line of stderr as fits a message.
const SHOWN_CHARACTERS: usize = 500;
/// What `sh` exits with where there is no such command, and where it may not be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// What a command exits with that is to be run again later: EX_TEMPFAIL, which asks for the same.
const DEFERRED: i32 = 75;
/// What a command exits with whose task somebody else completes.
const ACCEPTED: i32 = 76;

/// The result of `command`, whose output may have `limit` bytes. Its output may hold the secrets of `mask`; what is shown of
/// it in an error does not.
pub(super) fn result(
    command: &str,
    limit: usize,
    spoken: Spoken,
    mask: Option<&Arc<Mask>>,
) -> Result<Answer, TaskError> {
    let stderr = spoken.stderr.text();
    let with_stderr = |error: TaskError| match stderr.is_empty() {
        true => error,
        false => error.with_details(json!({ "stderr": stderr })),
    };
    let outcome = match spoken.exit {
        _ if spoken.too_large => Err(too_large(command, limit)),
        Err(error) => {
            let message = format!("how '{command}' ended cannot be told: {error}");
            Err(TaskError::system(Code::Crashed, message))
        }
        Ok(exit) if exit.code == 0 => output(command, &spoken.output, mask).map(Answer::Completed),
        // Without an output it is what any other command means by that status.
        Ok(Exit { code: code @ (DEFERRED | ACCEPTED), .. }) if !is_blank(&spoken.output) => {
            output(command, &spoken.output, mask).and_then(|form| not_done(command, code, &form))
        }
        Ok(exit) => Err(failure(command, exit.code, &stderr)),
    };
    outcome.map_err(with_stderr)
}

/// The answer of a command that has not done its work, from its exit status and what it wrote.
fn not_done(command: &str, code: i32, form: &Json) -> Result<Answer, TaskError> {
    let (read, expected) = match code {
        DEFERRED => (later::deferred(form), r#"{"after": "10s", "state": …} for a later look"#),
        _ => (later::accepted(form), r#"{"accepted": true} where somebody else completes the task"#),
    };
    read.map_err(|why| {
        let message = format!("'{command}' ended with exit status {code}, which wants {expected}; {why}");
        TaskError::system(Code::InvalidOutput, message)
    })
}

fn is_blank(output: &[u8]) -> bool {
    output.iter().all(u8::is_ascii_whitespace)
}

fn output(command: &str, output: &[u8], mask: Option<&Arc<Mask>>) -> Result<Json, TaskError> {
    if is_blank(output) {
        return Ok(Json::Null);
    }
    serde_json::from_slice(output).map_err(|error| {
        // Hidden before it is cut: a part of a secret is not found.
        let shown = mask.map_or(Cow::Borrowed(output), |mask| mask.bytes(output));
        let shown = String::from_utf8_lossy(shown.get(..SHOWN_BYTES).unwrap_or(&shown)).into_owned();
        let message = format!(
            "the standard output of '{command}' is no JSON ({error}): it must be one JSON value and nothing else; \
             write everything for people to stderr. It begins with: {shown}"
        );
        TaskError::system(Code::InvalidOutput, message)
    })
}

fn too_large(command: &str, limit: usize) -> TaskError {
    let message = format!(
        "'{command}' wrote more than the {limit} bytes that are allowed and was ended; keep large data in a file or \
         elsewhere and answer its address"
    );
    TaskError::system(Code::PayloadTooLarge, message)
}

fn failure(command: &str, code: i32, stderr: &str) -> TaskError {
    let last = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if let Some((own, message)) = own_code(last) {
        return TaskError::new(own, message);
    }
    let shown: String = last.chars().take(SHOWN_CHARACTERS).collect();
    let said = if shown.is_empty() { String::new() } else { format!(": {shown}") };
    let remedy = match code {
        NOT_FOUND => "; a command was not found: check worker.toml and the worker's PATH",
        NOT_EXECUTABLE => "; a command may not be executed: check its permissions",
        _ => "",
    };
    let ended = match code {
        129.. => format!("was ended by signal {}", code - 128),
        _ => format!("ended with exit status {code}"),
    };
    TaskError::system(Code::Exit(code), format!("'{command}' {ended}{said}{remedy}"))
}

/// The code and message of a line such as `oarlock-error: CARD_DECLINED the card has expired`.
fn own_code(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(OWN_CODE)?.trim_start();
    let (code, message) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let spelled = code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (spelled && !code.is_empty() && code.len() <= LONGEST_CODE).then(|| (code, message.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_may_name_the_failure() {
        let error = failure("pay", 3, "trying\noarlock-error: CARD_DECLINED the card has expired\n\n");
        assert_eq!((error.code.as_str(), error.message.as_str()), ("CARD_DECLINED", "the card has expired"));
        for line in ["oarlock-error: lower case", "oarlock-error:", "CARD_DECLINED", "x oarlock-error: A b"] {
            assert_eq!(failure("pay", 3, line).code, "EXIT_3", "{line}");
        }
    }

    #[test]
    fn a_missing_command_says_where_to_look() {
        let error = failure("frob x", 127, "sh: 1: frob: not found\n");
        assert_eq!(error.code, "EXIT_127");
        assert!(
            error.message.contains("frob: not found") && error.message.contains("worker.toml"),
            "{error}"
        );
    }

    #[test]
    fn a_signal_is_named() {
        let error = failure("x", 137, "");
        assert_eq!((error.code.as_str(), error.message.as_str()), ("EXIT_137", "'x' was ended by signal 9"));
    }

    #[test]
    fn output_is_one_json_value_or_nothing() {
        assert_eq!(output("x", b" \n", None).unwrap(), Json::Null);
        assert_eq!(output("x", b"{\"a\": 1}\n", None).unwrap(), json!({"a": 1}));
        let error = output("x", b"hello\n{}", None).unwrap_err();
        assert_eq!(error.code, "INVALID_OUTPUT");
        assert!(error.message.contains("hello") && error.message.contains("stderr"), "{error}");
        assert!(output("x", &[0xff; 1000], None).unwrap_err().message.len() < 1200);
    }
}
