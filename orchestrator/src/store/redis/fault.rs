//! What went wrong between this process and Redis, as the port's errors and in words. It never shows a URL: those hold passwords.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use redis::{ConnectionAddr, ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

use crate::store::Error;

/// Why a connection to `node` could not be made.
pub(super) fn connecting(node: &ConnectionAddr, error: &RedisError) -> Error {
    let address = node.to_string();
    let with_tls = matches!(node, ConnectionAddr::TcpTls { .. });
    let unavailable = |what: String| Error::Unavailable(format!("Redis at {address} {what}"));
    let unusable = |what: String| Error::Unusable(format!("Redis at {address} {what}"));
    if let Some(answered) = answered(error) {
        return reply(&answered);
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            return unusable("refuses the user or the password: correct them in its URL".to_owned());
        }
        ErrorKind::InvalidClientConfig => return unusable(format!("cannot be addressed so: {error}")),
        _ => {}
    }
    let Some(cause) = cause(error) else {
        return unavailable(format!("cannot be reached: {error}"));
    };
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => {
            unavailable("cannot be reached: nothing listens there".to_owned())
        }
        // A server without TLS waits for more of what it takes for a command.
        io::ErrorKind::TimedOut if with_tls => {
            unavailable("does not answer in time (a port without TLS needs redis://)".to_owned())
        }
        io::ErrorKind::TimedOut => unavailable("does not answer in time".to_owned()),
        // This is how the TLS library tells its errors.
        io::ErrorKind::InvalidData => unusable(format!(
            "fails the TLS handshake: {cause}. Use rediss:// only for a port with TLS, and a certificate of an authority \
             that this machine trusts (SSL_CERT_FILE names further ones)"
        )),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            unavailable("closes the connection (a port with TLS needs rediss://)".to_owned())
        }
        _ if cause.to_string().contains("lookup") => unavailable(format!("has no such host: {cause}")),
        _ => unavailable(format!("cannot be reached: {cause}")),
    }
}

/// Why a call on a connection has no answer: it may have been carried out.
pub(super) fn lost(error: &RedisError) -> Error {
    if let Some(answered) = answered(error) {
        return reply(&answered);
    }
    let timed_out = error.is_timeout();
    Error::Unavailable(if timed_out {
        "Redis did not answer in time".to_owned()
    } else {
        format!("the connection to Redis was lost: {error}")
    })
}

/// What an error that Redis answered means.
pub(super) fn reply(error: &ServerError) -> Error {
    let text = format!("Redis answers {} {}", error.code(), error.details().unwrap_or_default());
    let text = text.trim_end().to_owned();
    match error.kind() {
        Some(ServerErrorKind::NoPerm) => {
            Error::Unusable(format!("the user may not do all that is needed: {text}"))
        }
        // The words of Redis for a limit that may pass.
        Some(ServerErrorKind::ResponseError) if text.contains("max number of clients") => {
            Error::Unavailable(text)
        }
        Some(ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot | ServerErrorKind::ExecAbort) => {
            Error::Unusable(text)
        }
        Some(_) => Error::Unavailable(text),
        None => match error.code() {
            "NOAUTH" | "WRONGPASS" => {
                Error::Unusable(format!("give its user and password in the URL: {text}"))
            }
            "OOM" => Error::Unavailable(format!("Redis is full: raise its maxmemory. {text}")),
            "WRONGTYPE" => Error::Unusable(format!("something else uses the same prefix: {text}")),
            _ => Error::Unavailable(text),
        },
    }
}

/// The first error among the answers to a pipeline.
pub(super) fn first(values: &[Value]) -> Option<&ServerError> {
    values.iter().find_map(|value| match value {
        Value::ServerError(error) => Some(error),
        _ => None,
    })
}

/// An answer that makes no sense.
pub(super) fn unexpected(value: &impl std::fmt::Debug) -> Error {
    // Cut off: an answer may hold megabytes.
    let text: String = format!("{value:?}").chars().take(200).collect();
    Error::Unusable(format!("Redis answers what no script of this release answers: {text}"))
}

fn cause(error: &RedisError) -> Option<&io::Error> {
    let source = error.source()?;
    // The library shares its causes, and hands out the share.
    let shared = source.downcast_ref::<Arc<dyn StdError + Send + Sync>>();
    shared.map_or(source, |shared| &**shared as &(dyn StdError + 'static)).downcast_ref()
}

fn answered(error: &RedisError) -> Option<ServerError> {
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.clone())
}
