//! Payloads kept elsewhere: what is too large for a message lies in a directory or an object store, and the reserved value
//! `{"$payload": {uri, size, sha256}}` stands for it.
//!
//! Workers put outputs there and read inputs, orchestrators put inputs there and read what an expression looks into, and
//! remove what a forgotten run leaves. Nothing here knows runs, brokers or HTTP.

mod error;
mod object;
mod payloads;
mod port;

pub use error::Error;
pub use object::{Objects, OpenError};
pub use payloads::{Limits, Payloads};
pub use port::Store;
