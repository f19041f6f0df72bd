//! Ports of the loopback address that stay a server's own, also while it is down.
//!
//! The system's own free ports (`bind` to 0) would not do: while a killed server is down, any outgoing connection of the machine may
//! take its port. So ports come from below that range, and a locked file keeps each from other test processes.

use std::fs::{File, OpenOptions, Permissions, create_dir_all, set_permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{Error, Result};

/// Below what Linux (from 32768) and macOS (from 49152) give to outgoing connections.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port nobody else takes while this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Takes a free one.
    pub(crate) fn take() -> Result<Self> {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let folder = std::env::temp_dir().join("oarlock-ports");
        create_dir_all(&folder).map_err(Error::io("the folder of taken ports"))?;
        // Other users take ports here too; it fails where another one made the folder, and did this.
        let _ = set_permissions(&folder, Permissions::from_mode(0o1777));
        // Processes begin at different places, so that they seldom try the same.
        let start = (std::process::id() % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let step = TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = FIRST + (start + step) % COUNT;
            if let Some(lock) = lock(&folder.join(number.to_string())).filter(|_| is_free(number)) {
                return Ok(Self { number, _lock: lock });
            }
        }
        let none = std::io::ErrorKind::AddrInUse.into();
        Err(Error::io(format!("a free port from {FIRST} on"))(none))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// The locked file of a port; nothing where another process has it.
fn lock(path: &Path) -> Option<File> {
    let existing = File::open(path);
    let file =
        existing.or_else(|_| OpenOptions::new().write(true).create(true).truncate(false).open(path)).ok()?;
    file.try_lock().is_ok().then_some(file)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_once_while_it_is_held() {
        let held: Vec<Port> = (0..50).map(|_| Port::take().unwrap()).collect();
        let mut numbers: Vec<u16> = held.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        let folder = std::env::temp_dir().join("oarlock-ports");
        let can_be_taken = |number: &u16| lock(&folder.join(number.to_string())).is_some();
        assert!(!numbers.iter().any(can_be_taken), "another process could take one");
        drop(held);
        // Another process may have taken one meanwhile, not all.
        assert!(numbers.iter().any(can_be_taken), "they stay taken for ever");
    }
}
