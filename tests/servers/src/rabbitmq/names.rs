//! Erlang's daemon that knows where its nodes listen (`epmd`), one for each private RabbitMQ or cluster of them.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::ports::Port;
use crate::process::Process;
use crate::{Result, programs, wait};

/// It takes milliseconds.
const START: Duration = Duration::from_secs(60);

/// A running `epmd`. Ends when dropped.
#[derive(Debug)]
pub(super) struct Names {
    _process: Process,
    port: Port,
}

impl Names {
    /// Starts one, whose log lies in `folder`, and waits until it answers.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let port = Port::take()?;
        let mut command = programs::command("epmd")?;
        command.args(["-address", "127.0.0.1", "-port", &port.number().to_string()]).current_dir(folder);
        let process = Process::start(command, &folder.join("names.log"))?;
        wait::until("epmd answers", START, || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.number()));
            stream.map(drop).map_err(|error| error.to_string())
        })?;
        Ok(Self { _process: process, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }
}
