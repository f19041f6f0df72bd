//! Reads `worker.toml`: every fault is told with its file, line and column, and what would be right.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use oarlock_protocol::Span;
use oarlock_protocol::name::check_task_name;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::near::near;
use super::{CommandSettings, Error, Settings};
use crate::exec::DEFAULT_KILL_GRACE;
use crate::hosts::HostPattern;

/// A longer grace would hold a slot for a command that is not ending.
const LONGEST_KILL_GRACE: Span = Span::from_secs(600);

/// The earliest and the latest early acknowledgement: a broker's own limit is 30 minutes where nobody changed it.
const EARLY_ACK: std::ops::RangeInclusive<Span> = Span::from_secs(1)..=Span::from_secs(20 * 60);
/// The file's own keys.
const OWN_KEYS: [&str; 4] = ["slots", "early_ack", "exec", "http"];
/// Sections of the settings of the binary, which reads them itself.
const OTHER_SECTIONS: [&str; 6] = ["broker", "limits", "log", "payloads", "telemetry", "worker"];

/// The settings in `text`, the content of `file`; its commands run in `folder`.
pub(super) fn settings(text: &str, file: &Path, folder: PathBuf) -> Result<Settings, Error> {
    let reader = Reader { text, file };
    let table = DeTable::parse(text)
        .map_err(|error| reader.wrong(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut settings = Settings::empty(folder);
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "slots" => settings.slots = Some(reader.slots(value)?),
            "exec" => settings.commands = reader.commands(value)?,
            "http" => settings.allow_hosts = Some(reader.http(value)?),
            "worker" => {
                settings.secrets = reader.secrets(value)?.map(|secrets| settings.folder.join(secrets))
            }
            "early_ack" => settings.early_ack = Some(reader.early_ack(value)?.into()),
            other if OTHER_SECTIONS.contains(&other) => {}
            other => return Err(reader.unknown(key, other, &[&OWN_KEYS[..], &OTHER_SECTIONS].concat())),
        }
    }
    Ok(settings)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    fn slots(&self, value: &Value<'_>) -> Result<usize, Error> {
        let number = match value.get_ref() {
            DeValue::Integer(integer) => usize::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let slots = number.filter(|slots| (1..=usize::from(u16::MAX)).contains(slots));
        slots.ok_or_else(|| self.wrong(value.span().start, "`slots` is a number from 1 to 65535, such as 4"))
    }

    fn early_ack(&self, value: &Value<'_>) -> Result<Span, Error> {
        let span: Span =
            self.text(value, "early_ack")?.parse().map_err(|error| self.wrong(value.span().start, error))?;
        if EARLY_ACK.contains(&span) {
            return Ok(span);
        }
        let (least, most) = (EARLY_ACK.start(), EARLY_ACK.end());
        Err(self.wrong(value.span().start, format!("`early_ack` is {least} to {most}, such as \"30s\"")))
    }

    fn commands(&self, value: &Value<'_>) -> Result<BTreeMap<String, CommandSettings>, Error> {
        let mut commands = BTreeMap::new();
        let expected =
            "`exec` is a table of tasks and their commands, such as \"log.check\" = \"sh check.sh\"";
        for (name, value) in self.table(value, expected)? {
            let task = name.get_ref().as_ref();
            if matches!(value.get_ref(), DeValue::Table(_)) && check_task_name(task).is_ok() {
                self.not_dotted(task, value)?;
            }
            check_task_name(task).map_err(|error| self.wrong(name.span().start, error))?;
            commands.insert(task.to_owned(), self.command(value)?);
        }
        Ok(commands)
    }

    /// An unquoted `log.check = "…"` is a table `log` with a key `check`: TOML's trap for dotted names.
    fn not_dotted(&self, task: &str, value: &Value<'_>) -> Result<(), Error> {
        let DeValue::Table(table) = value.get_ref() else { return Ok(()) };
        let strange = table.keys().find(|key| !COMMAND_KEYS.contains(&key.get_ref().as_ref()));
        let Some(key) = strange.filter(|key| near(key.get_ref(), &COMMAND_KEYS).is_none()) else {
            return Ok(());
        };
        if table.contains_key("command") {
            return Ok(());
        }
        let message =
            format!("a task's name that has a dot is written in quotes: \"{task}.{}\"", key.get_ref());
        Err(self.wrong(key.span().start, message))
    }

    fn command(&self, value: &Value<'_>) -> Result<CommandSettings, Error> {
        let mut settings =
            CommandSettings { command: String::new(), queue: None, kill_grace: DEFAULT_KILL_GRACE };
        if let DeValue::String(command) = value.get_ref() {
            settings.command = command.to_string();
        } else {
            let expected = "a task's command is a text, or a table with `command`, `queue` and `kill_grace`";
            for (key, value) in self.table(value, expected)? {
                match key.get_ref().as_ref() {
                    "command" => settings.command = self.text(value, "command")?.to_owned(),
                    "queue" => settings.queue = Some(self.queue(value)?),
                    "kill_grace" => settings.kill_grace = self.kill_grace(value)?.into(),
                    other => return Err(self.unknown(key, other, &COMMAND_KEYS)),
                }
            }
        }
        if settings.command.trim().is_empty() {
            return Err(self.wrong(value.span().start, "the task has no command: write command = \"…\""));
        }
        Ok(settings)
    }

    fn queue(&self, value: &Value<'_>) -> Result<String, Error> {
        let queue = self.text(value, "queue")?;
        check_task_name(queue).map_err(|error| self.wrong(value.span().start, error))?;
        Ok(queue.to_owned())
    }

    fn kill_grace(&self, value: &Value<'_>) -> Result<Span, Error> {
        let grace: Span =
            self.text(value, "kill_grace")?.parse().map_err(|error| self.wrong(value.span().start, error))?;
        if grace > LONGEST_KILL_GRACE {
            return Err(
                self.wrong(value.span().start, format!("`kill_grace` is {LONGEST_KILL_GRACE} at most"))
            );
        }
        Ok(grace)
    }

    fn http(&self, value: &Value<'_>) -> Result<Vec<HostPattern>, Error> {
        let mut hosts = Vec::new();
        for (key, value) in self.table(value, "`http` is a table with `allow_hosts`")? {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("allow_hosts", DeValue::Array(patterns)) => {
                    for pattern in patterns {
                        let text = self.text(pattern, "allow_hosts")?;
                        hosts.push(text.parse().map_err(|error| self.wrong(pattern.span().start, error))?);
                    }
                }
                ("allow_hosts", _) => {
                    return Err(self.wrong(
                        value.span().start,
                        "`allow_hosts` is a list, such as [\"api.example.com\"]",
                    ));
                }
                (other, _) => return Err(self.unknown(key, other, &["allow_hosts"])),
            }
        }
        Ok(hosts)
    }

    /// The folder of secrets in `[worker]`, whose other keys the binary reads.
    fn secrets(&self, value: &Value<'_>) -> Result<Option<PathBuf>, Error> {
        let table = self.table(value, "`worker` is a table, such as one with `secrets`")?;
        let Some(secrets) = table.get("secrets") else { return Ok(None) };
        let folder = self.text(secrets, "secrets")?;
        Ok(Some(folder).filter(|folder| !folder.is_empty()).map(PathBuf::from))
    }

    fn table<'v, 'i>(&self, value: &'v Value<'i>, expected: &str) -> Result<&'v DeTable<'i>, Error> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong(value.span().start, expected)),
        }
    }

    fn text<'v>(&self, value: &'v Value<'_>, name: &str) -> Result<&'v str, Error> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong(value.span().start, format!("`{name}` wants a text in quotes"))),
        }
    }

    fn unknown<T>(&self, key: &Spanned<T>, name: &str, known: &[&str]) -> Error {
        let list = known.join(", ");
        let message = match near(name, known) {
            Some(meant) => format!("unknown key '{name}': did you mean '{meant}'? (known here: {list})"),
            None => format!("unknown key '{name}' (known here: {list})"),
        };
        self.wrong(key.span().start, message)
    }

    fn wrong(&self, at: usize, message: impl Display) -> Error {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Error::Wrong {
            place: format!("{}:{line}:{column}", self.file.display()),
            message: message.to_string(),
        }
    }
}

/// The keys of a command's long form.
const COMMAND_KEYS: [&str; 3] = ["command", "queue", "kill_grace"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> Result<Settings, Error> {
        settings(text, Path::new("worker.toml"), PathBuf::from("."))
    }

    #[test]
    fn both_forms_of_a_command_and_the_hosts_are_read() {
        let settings = read(
            "slots = 4\nearly_ack = \"1m\"\n[broker]\nnodes = []\n[payloads]\nurl = \"file:///p\"\n[telemetry]\nsample_ratio = 1\n[exec]\n\"log.check\" = \"sh check.sh\"\n[exec.\"log.split\"]\ncommand = \"sh split.sh\"\n\
             queue = \"logs\"\nkill_grace = \"5s\"\n[http]\nallow_hosts = [\"api.example.com\", \"127.0.0.1:*\"]\n",
        )
        .unwrap();
        assert_eq!((settings.slots(), settings.early_ack()), (Some(4), Some(Duration::from_secs(60))));
        assert_eq!(settings.commands()["log.check"].command, "sh check.sh");
        let split = &settings.commands()["log.split"];
        assert_eq!((split.queue.as_deref(), split.kill_grace), (Some("logs"), Duration::from_secs(5)));
        assert_eq!(settings.allow_hosts.unwrap().len(), 2);
    }

    #[test]
    fn the_folder_of_secrets_is_named_from_the_folder_of_the_file() {
        let read = |text: &str| settings(text, Path::new("a/worker.toml"), PathBuf::from("a")).unwrap();
        for (text, folder) in [
            ("[worker]\ngrace = \"1s\"\nsecrets = \"s\"\n", Some("a/s")),
            ("[worker]\nsecrets = \"/run/secrets\"\n", Some("/run/secrets")),
            ("[worker]\nsecrets = \"\"\n", None),
            ("[worker]\ngrace = \"1s\"\n", None),
        ] {
            assert_eq!(read(text).secrets(), folder.map(Path::new), "{text}");
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place_and_remedy() {
        for (text, told) in [
            ("slots = 4\nslotz = 4\n", "worker.toml:2:1: unknown key 'slotz': did you mean 'slots'?"),
            (
                "colour = 4\n",
                "worker.toml:1:1: unknown key 'colour' (known here: slots, early_ack, exec, http, broker, limits, log, payloads, telemetry, worker)",
            ),
            ("early_ack = \"1h\"\n", "worker.toml:1:13: `early_ack` is 1s to 20m, such as \"30s\""),
            ("early_ack = 30\n", "worker.toml:1:13: `early_ack` wants a text in quotes"),
            ("slots = 0\n", "worker.toml:1:9: `slots` is a number from 1 to 65535"),
            ("slots = \"4\"\n", "worker.toml:1:9: `slots` is a number"),
            (
                "[exec]\nlog.check = \"x\"\n",
                "worker.toml:2:5: a task's name that has a dot is written in quotes: \"log.check\"",
            ),
            ("[exec]\n\"a b\" = \"x\"\n", "worker.toml:2:1: 'a b' is no valid task"),
            ("[exec]\na = 7\n", "worker.toml:2:5: a task's command is a text, or a table"),
            ("[exec]\na = \" \"\n", "worker.toml:2:5: the task has no command"),
            ("[exec.a]\nqueue = \"q\"\n", "worker.toml:1:1: the task has no command"),
            (
                "[exec.a]\ncommand = \"x\"\nqeue = \"q\"\n",
                "worker.toml:3:1: unknown key 'qeue': did you mean 'queue'?",
            ),
            ("[exec.a]\ncommand = \"x\"\nkill_grace = \"2\"\n", "worker.toml:3:14: '2' is no duration"),
            (
                "[exec.a]\ncommand = \"x\"\nkill_grace = \"1d\"\n",
                "worker.toml:3:14: `kill_grace` is 10m at most",
            ),
            ("[http]\nallow_hosts = [\"http://a\"]\n", "worker.toml:2:16: 'http://a' is no pattern of hosts"),
            ("[http]\nallow_hosts = \"a\"\n", "worker.toml:2:15: `allow_hosts` is a list"),
            (
                "[http]\nallow_host = []\n",
                "worker.toml:2:1: unknown key 'allow_host': did you mean 'allow_hosts'?",
            ),
            ("worker = 1\n", "worker.toml:1:10: `worker` is a table"),
            ("[worker]\nsecrets = 1\n", "worker.toml:2:11: `secrets` wants a text in quotes"),
            ("exec = 1\n", "worker.toml:1:8: `exec` is a table of tasks"),
            ("slots = \n", "worker.toml:1:9: "),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{text}\n  told:   {error}\n  wanted: {told}");
        }
    }
}
