//! Where the values of secrets are: a folder with a file for each, else the worker's environment.
//!
//! Nothing is kept: a value that is replaced counts from the next task on.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use oarlock_protocol::code::Code;
use oarlock_protocol::name::check_identifier;

use crate::TaskError;

/// What the name of an environment variable that holds a secret begins with; the secret's name in capitals follows.
pub const ENVIRONMENT_PREFIX: &str = "OARLOCK_SECRET_";

/// The largest value: a chain of certificates with its key has a tenth of it.
const LARGEST_BYTES: u64 = 64 * 1024;

/// Where a worker finds the values of secrets.
pub struct Secrets(Place);

enum Place {
    /// A folder, where there is one; then the environment of the process.
    Outside(Option<PathBuf>),
    Given(BTreeMap<String, String>),
}

impl Secrets {
    /// The files of `folder`, each named like its secret, and for those it does not have the environment variables
    /// `OARLOCK_SECRET_<NAME>`, the name in capitals. Both are read anew for each task.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self(Place::Outside(folder))
    }

    /// These values by name: for tests, and for programs that fetch them themselves.
    pub fn of<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(Place::Given(values.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// Reads a secret; blocks on the file system.
    ///
    /// # Errors
    /// SECRET_MISSING, naming the secret and where it was looked for.
    pub(super) fn read(&self, name: &str) -> Result<String, TaskError> {
        // A name is checked where it is read from the input; here it becomes a path.
        check_identifier(name).map_err(|error| missing(name, &error.to_string()))?;
        let value = match &self.0 {
            Place::Outside(folder) => self::outside(folder.as_deref(), name)?,
            Place::Given(values) => {
                values.get(name).cloned().ok_or_else(|| missing(name, "this worker was not given it"))?
            }
        };
        if value.is_empty() {
            return Err(missing(name, "its value is empty"));
        }
        Ok(value)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Outside(folder) => f.debug_tuple("Secrets").field(folder).finish(),
            Place::Given(values) => f.debug_tuple("Secrets").field(&values.keys()).finish(),
        }
    }
}

fn outside(folder: Option<&Path>, name: &str) -> Result<String, TaskError> {
    let file = folder.map(|folder| folder.join(name));
    if let Some(file) = &file {
        match read_file(file) {
            Ok(value) => return Ok(value),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(missing(name, &format!("the file {} cannot be used: {error}", file.display())));
            }
        }
    }
    let variable = format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase());
    match std::env::var(&variable) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(missing(name, &format!("the environment variable {variable} is no UTF-8")))
        }
        Err(std::env::VarError::NotPresent) => {
            let file = file.map_or_else(
                || "a file (this worker has no folder of secrets: --secrets DIR)".to_owned(),
                |file| format!("the file {}", file.display()),
            );
            Err(missing(name, &format!("there is neither {file} nor the environment variable {variable}")))
        }
    }
}

/// The text of a file without the newline at its end.
fn read_file(path: &Path) -> io::Result<String> {
    // Without waiting: a pipe in the place of a file must not hold the task.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(io::Error::other(format!("it is larger than {LARGEST_BYTES} bytes")));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is no UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn missing(name: &str, why: &str) -> TaskError {
    let message = format!("the secret '{name}' is missing: {why}");
    TaskError::system(Code::SecretMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_the_newline_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        for (content, value) in
            [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("a\nb\n\n", "a\nb\n"), (" a ", " a ")]
        {
            std::fs::write(folder.path().join("token"), content).unwrap();
            assert_eq!(secrets.read("token"), Ok(value.to_owned()));
        }
    }

    #[test]
    fn a_missing_secret_names_both_places() {
        let folder = tempfile::tempdir().unwrap();
        let error = Secrets::new(Some(folder.path().to_owned())).read("api_key").unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), ("SECRET_MISSING", true));
        let file = folder.path().join("api_key").display().to_string();
        for named in ["'api_key'", &file, "OARLOCK_SECRET_API_KEY"] {
            assert!(error.message.contains(named), "{error}");
        }
        let error = Secrets::new(None).read("api_key").unwrap_err();
        assert!(error.message.contains("--secrets") && error.message.contains("OARLOCK_SECRET_API_KEY"));
    }

    #[test]
    fn what_is_no_sound_file_is_told_and_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("large"), vec![b'a'; 64 * 1024 + 1]).unwrap();
        std::fs::write(at("most"), vec![b'a'; 64 * 1024]).unwrap();
        std::fs::write(at("bytes"), [0xff, 0xfe]).unwrap();
        std::fs::write(at("empty"), "\n").unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        for (name, said) in [
            ("large", "larger than 65536 bytes"),
            ("bytes", "no UTF-8"),
            ("empty", "empty"),
            ("folder", "no file"),
            ("pipe", "no file"),
        ] {
            let error = secrets.read(name).unwrap_err();
            assert!(error.code == "SECRET_MISSING" && error.message.contains(said), "{name}: {error}");
        }
        assert!(secrets.read("most").is_ok());
    }

    #[test]
    fn a_name_is_never_a_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "abc").unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        let secrets = Secrets::new(Some(folder.path().join("inner")));
        for name in ["../key", "..", ".", "", "a/../../key", "/etc/hostname"] {
            assert_eq!(secrets.read(name).unwrap_err().code, "SECRET_MISSING", "{name}");
        }
    }

    #[test]
    fn no_value_is_shown() {
        let secrets = Secrets::of([("token", "hush")]);
        let shown = format!("{secrets:?}");
        assert!(shown.contains("token") && !shown.contains("hush"), "{shown}");
        assert_eq!(secrets.read("token"), Ok("hush".to_owned()));
        assert!(secrets.read("other").unwrap_err().message.contains("'other'"));
    }
}
