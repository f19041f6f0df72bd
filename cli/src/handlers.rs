//! The settings of a worker as all commands read them that begin one: those of its file, and the flags that hold before them.
//!
//! `run`, `dev`, `worker` and `fleet` call it. It starts nothing.

use std::path::Path;

use oarlock_worker::settings::{self, Settings};

use crate::arguments::Over;
use crate::configuration::Configuration;
use crate::exit::Failure;

/// Reads the file, where there is one, then the flags; paths of commands count from the file's folder, else from `folder`.
///
/// # Errors
/// The file or a flag is wrong, or the folder of the secrets is not there.
pub(crate) fn settings(
    file: Option<&Path>,
    folder: &Path,
    over: &Over,
    configuration: &Configuration,
) -> Result<Settings, Failure> {
    let wrong = |error: settings::Error| Failure::usage(error.to_string());
    let mut settings = match file {
        Some(file) => Settings::load(file).map_err(wrong)?,
        None => Settings::empty(folder.to_path_buf()),
    };
    for flag in &over.exec {
        let (name, command) = settings::parse_exec_flag(flag).map_err(wrong)?;
        settings.add_command(name, command);
    }
    if let Some(slots) = over.slots {
        settings.set_slots(slots);
    }
    if let Some(secrets) = configuration.secrets(&over.secrets) {
        settings.set_secrets(secrets);
    }
    settings.check_secrets().map_err(wrong)?;
    Ok(settings)
}
