//! The times that a cron expression means in a time zone. The only file that knows time zones: everything else is UTC.
//!
//! Used by the rule of schedules and by who checks one. Where clocks are put forward, a fixed time of day that does not exist is
//! due at the first moment after the gap; where they are put back, one that exists twice is due the first time only. What is
//! due every so many minutes, hours or seconds goes by the time that passes: nothing is made up, nothing is left out.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use oarlock_protocol::Timestamp;

use super::Invalid;

/// The longest expression: a list of all minutes and hours is shorter.
const LONGEST: usize = 512;
/// The most times that are passed over because clocks were put back: all seconds of the longest such time.
const MOST_PASSED_OVER: usize = 3 * 3600;
/// The longest gap that clocks ever left is a day, where a zone crossed the date line.
const LONGEST_GAP: TimeDelta = TimeDelta::hours(26);

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    cron: Cron,
    zone: Tz,
    /// Whether it names times of day, and not every so many hours, minutes or seconds.
    is_of_day: bool,
}

impl Calendar {
    /// Reads the expression and the name of the zone.
    ///
    /// # Errors
    /// The field that cannot be read, with an example.
    pub fn read(cron: &str, zone: &str) -> Result<Self, Invalid> {
        let (cron, zone) = (read_cron(cron)?, read_zone(zone)?);
        // As the expression is once a name such as @daily is written out: what stands before day, month and weekday.
        let written = cron.pattern.to_string();
        let fields: Vec<&str> = written.split_whitespace().collect();
        let is_of_day = fields.iter().take(fields.len().saturating_sub(3)).all(|field| !field.contains('*'));
        Ok(Self { cron, zone, is_of_day })
    }

    /// The first time that is due after `after`; none where there is none any more.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let local = DateTime::from_timestamp_millis(after.as_millis())?.with_timezone(&self.zone);
        let due = if self.is_of_day {
            self.next_of_day(&local)?
        } else {
            let found = self.cron.find_next_occurrence(&local, false).ok()?;
            Timestamp::from(found.with_nanosecond(0).unwrap_or(found).to_utc())
        };
        // What does not go on would be looked at for ever.
        (due > after).then_some(due)
    }

    /// The same for times of day, each of which is due once: the expression is followed on the wall, and what it comes to put
    /// into the time that passes.
    fn next_of_day(&self, after: &DateTime<Tz>) -> Option<Timestamp> {
        let mut wall = after.naive_local();
        for _ in 0..MOST_PASSED_OVER {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let due = self.moment(wall)?;
            if due > after.to_utc() {
                return Some(due.into());
            }
        }
        None
    }

    /// When the clock on the wall shows that time: the first time it does, or the first moment after the gap that it is in.
    fn moment(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        if let Some(found) = self.zone.from_local_datetime(&wall).earliest() {
            return Some(found.to_utc());
        }
        let offset = |moment: DateTime<Utc>| self.zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
        let (mut before, mut behind) = (wall.and_utc() - LONGEST_GAP, wall.and_utc() + LONGEST_GAP);
        let old = offset(before);
        // Halved until the change is found to the second: a day has fewer than 2^18 of them.
        while behind - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((behind - before).num_seconds() / 2);
            if offset(middle) == old { before = middle } else { behind = middle }
        }
        Some(behind)
    }
}

fn read_cron(text: &str) -> Result<Cron, Invalid> {
    let how = "write minute, hour, day of the month, month and day of the week, such as '30 3 * * MON-FRI', with seconds before them \
               where they matter, or one of @hourly, @daily, @weekly, @monthly and @yearly";
    let invalid = |reason: String| {
        Invalid::new("cron", format!("'{}' is no cron expression: {reason}; {how}", shown(text)))
    };
    if text.len() > LONGEST {
        return Err(invalid(format!("it has more than {LONGEST} bytes")));
    }
    let count = text.split_whitespace().count();
    if !text.trim_start().starts_with('@') && !(5..=6).contains(&count) {
        return Err(invalid(format!("it has {count} fields instead of 5 or 6")));
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| invalid(error.to_string().trim_end_matches('.').to_owned()))
}

fn read_zone(text: &str) -> Result<Tz, Invalid> {
    text.parse().map_err(|_| {
        // A city alone, or another case, is what people write first.
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let wanted = last(&text.replace(' ', "_"));
        let near = TZ_VARIANTS.iter().find(|zone| last(zone.name()) == wanted).map(|zone| zone.name());
        let near = near.map(|near| format!("did you mean '{near}'? ")).unwrap_or_default();
        let told = format!(
            "'{}' is no time zone: {near}write its IANA name, such as 'Europe/Berlin' or 'UTC'",
            shown(text)
        );
        Invalid::new("timeZone", told)
    })
}

/// As much of a text as an error shows of it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
