//! Reads number and text literals with CEL's escapes; used by the lexer only.

use std::ops::Range;

use crate::lexer::Token;

/// Reads the number `source` begins with; fails with a message and the length of what looked like one.
pub(crate) fn number(source: &str) -> Result<(Token<'static>, usize), (String, usize)> {
    let length = number_length(source);
    let text = &source[..length];
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return match u64::from_str_radix(digits, 16) {
            Ok(value) => Ok((Token::Integer(value), length)),
            Err(_) => Err((format!("'{text}' is no hexadecimal number of up to 64 bits"), length)),
        };
    }
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((format!("'{text}': a number does not begin with 0"), length));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse() {
            Ok(value) => Ok((Token::Integer(value), length)),
            Err(_) => Err((format!("'{text}' does not fit in a 64-bit integer"), length)),
        };
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Float(value), length)),
        _ => Err((format!("'{text}' is no number"), length)),
    }
}

/// The length of the longest beginning that could be meant as one number.
fn number_length(source: &str) -> usize {
    let bytes = source.as_bytes();
    let is_hex = bytes.get(1).is_some_and(|byte| matches!(byte, b'x' | b'X'));
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let next_is_digit = bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        let after_exponent = !is_hex && length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => length += 1,
            b'.' if next_is_digit => length += 1,
            b'+' | b'-' if after_exponent && next_is_digit => length += 1,
            _ => break,
        }
    }
    length
}

/// Reads the quoted text `source` begins with; fails with a message and a range within `source`.
pub(crate) fn text(source: &str, raw: bool) -> Result<(String, usize), (String, Range<usize>)> {
    let quote = &source[..1];
    let tripled = quote.repeat(3);
    let delimiter = if source.starts_with(&tripled) { tripled.as_str() } else { quote };
    let mut content = String::new();
    let mut position = delimiter.len();
    loop {
        let rest = &source[position..];
        if rest.starts_with(delimiter) {
            return Ok((content, position + delimiter.len()));
        }
        match rest.chars().next() {
            None => return Err((format!("this text is never closed by {delimiter}"), 0..delimiter.len())),
            Some('\\') if !raw => {
                let (character, length) =
                    escape(rest).map_err(|(message, length)| (message, position..position + length))?;
                content.push(character);
                position += length;
            }
            Some(character) => {
                content.push(character);
                position += character.len_utf8();
            }
        }
    }
}

/// The character an escape stands for and the escape's length.
fn escape(source: &str) -> Result<(char, usize), (String, usize)> {
    let Some(letter) = source.chars().nth(1) else {
        return Err(("a text ends in the middle of an escape".to_owned(), 1));
    };
    let simple = match letter {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '"' | '\'' | '`' | '?' => letter,
        'x' | 'X' => return code_point(source, 2, 2, 16),
        'u' => return code_point(source, 2, 4, 16),
        'U' => return code_point(source, 2, 8, 16),
        '0'..='3' => return code_point(source, 1, 3, 8),
        _ => {
            return Err((
                format!("'\\{letter}' is no escape; write \\\\ for a backslash"),
                1 + letter.len_utf8(),
            ));
        }
    };
    Ok((simple, 2))
}

fn code_point(
    source: &str,
    start: usize,
    digits: usize,
    radix: u32,
) -> Result<(char, usize), (String, usize)> {
    let end = start + digits;
    let character = source
        .get(start..end)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, radix).ok())
        .and_then(char::from_u32);
    character
        .map(|character| (character, end))
        .ok_or_else(|| ("this escape names no character".to_owned(), start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(number("12+3"), Ok((Token::Integer(12), 2)));
        assert_eq!(number("1.5e-3)"), Ok((Token::Float(0.0015), 6)));
        assert_eq!(number("0xfF "), Ok((Token::Integer(255), 4)));
        assert_eq!(number("1.size()"), Ok((Token::Integer(1), 1)));
        assert_eq!(number("18446744073709551615"), Ok((Token::Integer(u64::MAX), 20)));
        for wrong in ["18446744073709551616", "007", "12abc", "1e999", "0x", "5u", "1_000"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_have_both_quotes_triples_escapes_and_raw_forms() {
        let read = |source: &str| text(source, false).unwrap().0;
        assert_eq!(read(r#""it's""#), "it's");
        assert_eq!(read(r#"'a\'b\n\x41\u00e4\U0001F600\101'"#), "a'b\nAä😀A");
        assert_eq!(read("\"\"\"a\"b\"\"\""), "a\"b");
        assert_eq!(read("''"), "");
        assert_eq!(text(r"'\d+'", true).unwrap().0, r"\d+");
    }

    #[test]
    fn broken_texts_point_at_the_break() {
        assert_eq!(text("'abc", false).unwrap_err().1, 0..1);
        assert_eq!(text(r"'a\d'", false).unwrap_err().1, 2..4);
        assert!(text(r"'\ud83d'", false).is_err());
        assert!(text("'\\", false).is_err());
    }
}
