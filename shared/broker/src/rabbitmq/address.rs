//! The URI of one node: read, checked, and told without its password.
//!
//! Used by [`super::RabbitMq::connect`] and the supervisor. It opens nothing but the file of certificates that a URI names.

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};
use oarlock_protocol::Span;

use crate::Error;

/// The query parameter that names a file of trusted authorities, as in RabbitMQ's own clients.
const AUTHORITIES: &str = "cacertfile=";

/// Where one node of the cluster is, and how to log in. It has no `Debug`: it holds a password.
pub(super) struct Node {
    pub(super) uri: AMQPUri,
    /// The authorities trusted beside those of the system.
    pub(super) tls: OwnedTLSConfig,
}

impl Node {
    /// Reads a URI. [`Error::Refused`] names it without its password.
    pub(super) fn parse(text: &str, heartbeat: Span) -> Result<Self, Error> {
        let refused =
            |reason: String| Error::Refused(format!("'{}' is no URI of RabbitMQ: {reason}", hidden(text)));
        // The parser's own words may repeat the whole text.
        let mut uri: AMQPUri = text.parse().map_err(|reason: String| refused(reason.replace(text, "it")))?;
        if let Some(address) = bracketed(text) {
            uri.authority.host = address.to_owned();
        }
        uri.query.heartbeat =
            Some(u16::try_from(heartbeat.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1));
        let mut tls = OwnedTLSConfig::default();
        if let Some(path) = authorities(text) {
            let pem = std::fs::read_to_string(&path);
            tls.cert_chain = Some(pem.map_err(|error| refused(format!("its cacertfile '{path}': {error}")))?);
        }
        Ok(Self { uri, tls })
    }

    /// Host and port.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }

    /// Who logs in.
    pub(super) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }
}

/// Who logs in at every node; none where that differs, or where it is not the URI that tells.
pub(super) fn user_of_all(nodes: &[Node]) -> Option<&str> {
    let first = nodes.first()?;
    let same = |node: &Node| {
        node.user() == first.user() && node.uri.query.auth_mechanism != Some(SASLMechanism::External)
    };
    nodes.iter().all(same).then(|| first.user())
}

/// An IPv6 address, which lapin's parser passes over.
fn bracketed(text: &str) -> Option<&str> {
    let authority = text.split_once("://")?.1.split(['/', '?']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(address, _)| address)
}

/// The file of trusted authorities.
fn authorities(text: &str) -> Option<String> {
    let query = text.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(AUTHORITIES)).map(decoded)
}

/// The text with its `%XX` resolved; what is none stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text without what stands between the name of the user and the host.
fn hidden(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    // The last one: a password that is not escaped may hold others.
    let Some(end) = text.rfind('@').filter(|end| *end >= start) else { return text.to_owned() };
    match text[start..end].split_once(':') {
        Some((user, _)) => format!("{}{user}:***{}", &text[..start], &text[end..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text, Span::from_millis(1500)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_uri_is_read() {
        let node = node("amqps://user%40x:p%2Fw@host:1234/v%2Fhost");
        assert_eq!((node.place().as_str(), node.user(), node.is_encrypted()), ("host:1234", "user@x", true));
        assert_eq!((node.uri.vhost.as_str(), node.uri.query.heartbeat), ("v/host", Some(2)));
    }

    #[test]
    fn an_address_in_brackets_is_the_host() {
        assert_eq!(node("amqp://u:p@[::1]:1234/v?x=[y]").place(), "::1:1234");
        assert_eq!(node("amqp://u:p@host:1234/[v]").place(), "host:1234");
    }

    #[test]
    fn a_password_is_never_told() {
        for text in ["http://u:secret@h/", "amqp:u:secret@h", "amqp://u:sec@secret@h:x/", "u:secret@h"] {
            let error = Node::parse(text, Span::from_secs(1)).err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("{text} is none"));
            assert!(!error.contains("secret") && error.contains(":***@h"), "{error}");
        }
    }

    #[test]
    fn a_file_of_authorities_must_be_there() {
        let error = Node::parse("amqps://h?x=1&cacertfile=/no%20where", Span::from_secs(1)).err();
        assert!(matches!(&error, Some(Error::Refused(text)) if text.contains("'/no where'")), "{error:?}");
    }
}
