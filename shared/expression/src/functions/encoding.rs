//! Functions between text, JSON, Base64, hexadecimal and URLs, and hashes of text.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Call, Function, Outcome};
use crate::value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "toJson",
        signature: "toJson(value) -> string",
        about: "The value as compact JSON text.",
        example: ("toJson({'a': [1, null]})", r#""{\"a\":[1,null]}""#),
        arguments: (1, 1),
        apply: |call| call.made(value::compact(call.get(0), call.meter)?),
    },
    Function {
        name: "parseJson",
        signature: "parseJson(text) -> value",
        about: "The value of a JSON text.",
        example: ("parseJson('{\"a\": 1}').a", "1"),
        arguments: (1, 1),
        apply: parse_json,
    },
    Function {
        name: "base64Encode",
        signature: "base64Encode(text) -> string",
        about: "The text's UTF-8 bytes in Base64, with padding.",
        example: ("base64Encode('user:pass')", "\"dXNlcjpwYXNz\""),
        arguments: (1, 1),
        apply: |call| call.made(STANDARD.encode(call.text(0)?)),
    },
    Function {
        name: "base64Decode",
        signature: "base64Decode(text) -> string",
        about: "The text of Base64 with padding; what is no UTF-8 text is an error.",
        example: ("base64Decode('dXNlcjpwYXNz')", "\"user:pass\""),
        arguments: (1, 1),
        apply: base64_decode,
    },
    Function {
        name: "hexEncode",
        signature: "hexEncode(text) -> string",
        about: "The text's UTF-8 bytes in hexadecimal.",
        example: ("hexEncode('AZ')", "\"415a\""),
        arguments: (1, 1),
        apply: |call| call.made(hex(call.text(0)?.as_bytes())),
    },
    Function {
        name: "hexDecode",
        signature: "hexDecode(text) -> string",
        about: "The text of hexadecimal; what is no UTF-8 text is an error.",
        example: ("hexDecode('415a')", "\"AZ\""),
        arguments: (1, 1),
        apply: hex_decode,
    },
    Function {
        name: "urlEncode",
        signature: "urlEncode(text) -> string",
        about: "The text for one part of a URL: everything but letters, digits and - . _ ~ as %XX.",
        example: ("urlEncode('a b&ü')", "\"a%20b%26%C3%BC\""),
        arguments: (1, 1),
        apply: url_encode,
    },
    Function {
        name: "urlDecode",
        signature: "urlDecode(text) -> string",
        about: "The text of a URL's part; + stays +.",
        example: ("urlDecode('a%20b')", "\"a b\""),
        arguments: (1, 1),
        apply: url_decode,
    },
    Function {
        name: "sha256",
        signature: "sha256(text) -> string",
        about: "The SHA-256 of the text's UTF-8 bytes in hexadecimal.",
        example: ("sha256('abc').substring(0, 8)", "\"ba7816bf\""),
        arguments: (1, 1),
        apply: sha256,
    },
    Function {
        name: "uuid5",
        signature: "uuid5(namespace, name) -> string",
        about: "The same UUID for the same name, always; the namespace is a UUID, or one of dns, url, oid.",
        example: ("uuid5('dns', 'example.org')", "\"aad03681-8b63-5304-89e0-8ca8f49461b5\""),
        arguments: (2, 2),
        apply: uuid5,
    },
];

fn parse_json(call: Call<'_>) -> Outcome<'_> {
    let text = call.text(0)?;
    call.meter.produce(text.len())?;
    let value: Json = serde_json::from_str(text).map_err(|error| format!("the text is no JSON: {error}"))?;
    Ok(Cow::Owned(value))
}

fn base64_decode(call: Call<'_>) -> Outcome<'_> {
    let bytes =
        STANDARD.decode(call.text(0)?.trim()).map_err(|error| format!("the text is no Base64: {error}"))?;
    utf8(&call, bytes)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn hex_decode(call: Call<'_>) -> Outcome<'_> {
    let (pairs, rest) = call.text(0)?.trim().as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|pair| hex_byte(pair)).collect();
    match bytes {
        Some(bytes) if rest.is_empty() => utf8(&call, bytes),
        _ => Err("the text is no hexadecimal".to_owned()),
    }
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    }
}

fn url_encode(call: Call<'_>) -> Outcome<'_> {
    let mut encoded = String::new();
    for byte in call.text(0)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            // Writing to a String cannot fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    call.made(encoded)
}

fn url_decode(call: Call<'_>) -> Outcome<'_> {
    let text = call.text(0)?.as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    let mut position = 0;
    while let Some(byte) = text.get(position) {
        if *byte == b'%' {
            let pair = text.get(position + 1..position + 3);
            bytes.push(pair.and_then(hex_byte).ok_or("a % must be followed by two hexadecimal digits")?);
            position += 3;
        } else {
            bytes.push(*byte);
            position += 1;
        }
    }
    utf8(&call, bytes)
}

fn sha256(call: Call<'_>) -> Outcome<'_> {
    let text = call.text(0)?;
    // Hashing is some ten times slower than looking.
    call.meter.scan(text.len().saturating_mul(10))?;
    call.made(hex(&Sha256::digest(text)))
}

fn uuid5(call: Call<'_>) -> Outcome<'_> {
    let namespace = match call.text(0)? {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        other => {
            Uuid::parse_str(other).map_err(|_| "argument 1 must be a UUID, dns, url or oid".to_owned())?
        }
    };
    let name = call.text(1)?;
    call.meter.scan(name.len().saturating_mul(10))?;
    call.made(Uuid::new_v5(&namespace, name.as_bytes()).to_string())
}

fn utf8<'b>(call: &Call<'_>, bytes: Vec<u8>) -> Outcome<'b> {
    call.made(String::from_utf8(bytes).map_err(|_| "the bytes are no UTF-8 text".to_owned())?)
}
