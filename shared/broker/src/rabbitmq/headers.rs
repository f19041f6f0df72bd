//! Headers, as AMQP has them and as the port has them: texts.
//!
//! Called by `wire.rs`. Values of other kinds, which only strangers send, become text; nothing is refused for them.

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use crate::Error;
use crate::port::REASON_HEADER;

/// The server's count of earlier deliveries.
const COUNT: &str = "x-delivery-count";
/// What the server tells of a dead letter: a list, the last death first.
const DEATHS: &str = "x-death";
/// The server's word for a message that was delivered too often.
const LIMIT: &str = "delivery_limit";

/// Headers by which a sender asks the server to route a message elsewhere too. The server takes lists in them and nothing else, and
/// ends the channel over a text; nobody here asks for that.
const ROUTING: [&str; 2] = ["CC", "BCC"];
/// The largest headers, in bytes: with all properties they have to fit into one frame, of 128 KiB where nobody changed it.
const LARGEST: usize = 64 * 1024;

/// The headers of a message that is sent.
pub(super) fn encode(mut headers: Vec<(String, String)>) -> Result<Option<FieldTable>, Error> {
    headers.retain(|(name, _)| !ROUTING.contains(&name.as_str()));
    if headers.is_empty() {
        return Ok(None);
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LARGEST {
        return Err(Error::Refused(format!("the headers have {bytes} bytes; at most {LARGEST} are taken")));
    }
    let mut table = FieldTable::default();
    for (name, value) in headers {
        let name = ShortString::try_new(name)
            .map_err(|error| Error::Refused(format!("the name of a header is too long: {error}")))?;
        table.insert(name, AMQPValue::LongString(LongString::from(value)));
    }
    Ok(Some(table))
}

/// What the headers of a received message say.
#[derive(Default)]
pub(super) struct Received {
    pub(super) headers: Vec<(String, String)>,
    /// How often the server handed it out before, where the queue counts.
    pub(super) earlier_deliveries: Option<u32>,
}

/// Reads the headers of a received message. The server's own ones about deliveries and deaths are taken out: they are not
/// the publisher's, and would mislead whoever publishes the message again. The reason of a death stands in
/// [`REASON_HEADER`].
pub(super) fn decode(table: &FieldTable) -> Received {
    let mut received = Received::default();
    let reason = table.inner().get(DEATHS).and_then(last_reason);
    for (name, value) in table {
        match name.as_str() {
            COUNT => received.earlier_deliveries = number(value),
            DEATHS => {}
            REASON_HEADER if reason.is_some() => {}
            name => received.headers.push((name.to_owned(), text(value))),
        }
    }
    received.headers.extend(reason.map(|reason| (REASON_HEADER.to_owned(), reason)));
    received
}

fn last_reason(deaths: &AMQPValue) -> Option<String> {
    let AMQPValue::FieldArray(deaths) = deaths else { return None };
    let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else { return None };
    let reason = text(last.inner().get("reason")?);
    Some(if reason == LIMIT { "delivery-limit".to_owned() } else { reason })
}

fn number(value: &AMQPValue) -> Option<u32> {
    match value {
        AMQPValue::LongLongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some(*number),
        AMQPValue::ShortInt(number) => u32::try_from(*number).ok(),
        AMQPValue::ShortUInt(number) => Some(u32::from(*number)),
        AMQPValue::ShortShortInt(number) => u32::try_from(*number).ok(),
        AMQPValue::ShortShortUInt(number) => Some(u32::from(*number)),
        _ => None,
    }
}

fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::Timestamp(seconds) => seconds.to_string(),
        AMQPValue::Float(number) => number.to_string(),
        AMQPValue::Double(number) => number.to_string(),
        AMQPValue::Void => String::new(),
        AMQPValue::ByteArray(bytes) => String::from_utf8_lossy(bytes.as_slice()).into_owned(),
        AMQPValue::DecimalValue(_) | AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) => {
            format!("{value:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn table(entries: Vec<(&str, AMQPValue)>) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(name.into(), value);
        }
        table
    }

    fn death(reason: &str) -> AMQPValue {
        AMQPValue::FieldTable(table(vec![("reason", AMQPValue::LongString(reason.into()))]))
    }

    #[test]
    fn texts_come_back_as_they_went() {
        let headers = vec![("a".to_owned(), "1 ü".to_owned()), ("b".to_owned(), String::new())];
        let table = encode(headers.clone()).ok().flatten().unwrap_or_default();
        assert_eq!(decode(&table).headers, headers);
    }

    #[test]
    fn values_of_strangers_become_text() {
        let foreign = table(vec![
            ("flag", AMQPValue::Boolean(true)),
            ("list", AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(7)]))),
            ("number", AMQPValue::LongLongInt(-5)),
        ]);
        let headers = decode(&foreign).headers;
        let values: Vec<_> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!((values[0], values[2]), ("true", "-5"));
        assert!(values[1].contains('7'), "{}", values[1]);
    }

    #[test]
    fn a_dead_letter_tells_its_last_death_and_no_forged_one() {
        let deaths = FieldArray::from(vec![death("delivery_limit"), death("rejected")]);
        let received = decode(&table(vec![
            (DEATHS, AMQPValue::FieldArray(deaths)),
            (REASON_HEADER, AMQPValue::LongString("forged".into())),
            (COUNT, AMQPValue::LongLongInt(3)),
        ]));
        assert_eq!(received.headers, [(REASON_HEADER.to_owned(), "delivery-limit".to_owned())]);
        assert_eq!(received.earlier_deliveries, Some(3));
    }

    #[test]
    fn a_name_that_amqp_cannot_hold_is_refused() {
        assert!(matches!(encode(vec![("x".repeat(256), String::new())]), Err(Error::Refused(_))));
    }
}
