//! Reads schedules as people write them: YAML or JSON text, as a file or the body of a request. Used by the HTTP interface and by
//! `oarlock schedule apply`.

use oarlock_definition::Diagnostic;
use oarlock_engine::schedule::{self, Invalid};
use oarlock_protocol::schedule::ScheduleDefinition;
use oarlock_protocol::{Json, Timestamp};

/// Why a text is no schedule.
#[derive(Debug)]
pub enum Error {
    /// It is no YAML or JSON as it has to be: every problem with its place.
    Text(Vec<Diagnostic>),
    /// A field is not as it has to be; the text names it, with an example.
    Field(String),
}

/// The smallest schedule, shown where a field is missing.
const SMALLEST: &str = "the smallest schedule is {id: nightly, workflow: report, cron: '0 3 * * *'}";

/// Reads a schedule that is to begin at `now`. Where `id` is given it is the schedule's, and may be left out of the text.
///
/// # Errors
/// What is wrong with it.
pub fn read(file: &str, text: &str, id: Option<&str>, now: Timestamp) -> Result<ScheduleDefinition, Error> {
    let mut data = oarlock_definition::read_data(file, text).map_err(Error::Text)?;
    if let (Some(id), Json::Object(fields)) = (id, &mut data) {
        fields.entry("id").or_insert_with(|| Json::String(id.to_owned()));
    }
    let definition: ScheduleDefinition = serde_path_to_error::deserialize(data).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { String::new() } else { format!("`{place}`: ") };
        Error::Field(format!("{place}{}; {SMALLEST}", error.inner()))
    })?;
    schedule::check(&definition, now).map_err(|error: Invalid| Error::Field(error.to_string()))?;
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, id: Option<&str>) -> String {
        match read("a.yaml", text, id, Timestamp::from_millis(0)) {
            Ok(definition) => definition.id,
            Err(Error::Field(told)) => told,
            Err(Error::Text(diagnostics)) => diagnostics[0].message.clone(),
        }
    }

    #[test]
    fn a_text_becomes_a_schedule_or_tells_what_is_wrong_with_it() {
        let good = "workflow: report\ncron: '0 3 * * *'\n";
        assert_eq!(told(&format!("id: nightly\n{good}"), None), "nightly");
        assert_eq!(told(good, Some("nightly")), "nightly");
        for (text, problem) in [
            (good, "missing field `id`"),
            ("id: a\nworkflow: b\ncorn: '@daily'\n", "unknown field `corn`"),
            ("id: a\nworkflow: b\ncron: '@daily'\ncatchUp: 5\n", "`catchUp`: invalid type"),
            ("id: a\nworkflow: b\ncron: '@daily'\noverlap: MAYBE\n", "`overlap`: unknown variant `MAYBE`"),
            ("id: a\nworkflow: b\ncron: '99 * * * *'\n", "`cron`: '99 * * * *' is no cron expression"),
            ("id: a\nid: b\n", "is written twice"),
            ("[1]", "invalid type"),
        ] {
            assert!(told(text, None).contains(problem), "{text}: {}", told(text, None));
        }
    }
}
