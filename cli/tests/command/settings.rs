//! Settings: defaults, then a file, then the environment, then flags.

use crate::harness::{Folder, Process};
use crate::server::Server;

const WORKFLOW: &str = "id: who
version: 1
tasks:
  - {id: mark, set: {by: \"${ workflow.tenantId }\"}}
output: ${ variables.by }
";

/// What a run says its tenant is, by these arguments and this environment.
fn tenant(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = folder.command(&[&["run", "workflow.yaml"], arguments].concat());
    let ended = Process::start(command.envs(environment.iter().copied())).end().exits(0);
    ended.json().as_str().unwrap().to_owned()
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("workflow.yaml", WORKFLOW);
    folder.write("oarlock.toml", "[principal]\ntenant = \"of-the-file\"\n");
    folder
}

#[test]
fn later_sources_win() {
    let folder = folder();
    let file = ["--config", "oarlock.toml"];
    let environment = [("OARLOCK_PRINCIPAL__TENANT", "of-the-environment")];
    assert_eq!(tenant(&folder, &[], &[]), "default");
    assert_eq!(tenant(&folder, &file, &[]), "of-the-file");
    assert_eq!(tenant(&folder, &[], &[("OARLOCK_CONFIG", "oarlock.toml")]), "of-the-file");
    assert_eq!(tenant(&folder, &file, &environment), "of-the-environment");
    assert_eq!(
        tenant(&folder, &[&file[..], &["--tenant", "of-the-flag"]].concat(), &environment),
        "of-the-flag"
    );
}

#[test]
fn what_is_wrong_is_named_with_its_file() {
    let folder = folder();
    let rows = [
        ("[http]\nlisen = \"127.0.0.1:1\"\n", "lisen"),
        ("[htpp]\nlisten = \"127.0.0.1:1\"\n", "htpp"),
        ("[http]\nlisten = 7\n", "listen"),
        ("[timeouts]\nexecution = \"an hour\"\n", "execution"),
        ("[principal]\ntenant = \"a/b\"\n", "a/b"),
        ("not toml", "settings"),
    ];
    for (text, named) in rows {
        folder.write("wrong.toml", text);
        let ended = folder.oarlock(&["run", "workflow.yaml", "--config", "wrong.toml"]).exits(2);
        ended.says(&["wrong.toml", named]);
    }
    folder.oarlock(&["list", "--config", "missing.toml"]).exits(2).says(&["missing.toml cannot be read"]);
    let mut command = folder.command(&["run", "workflow.yaml"]);
    let ended = Process::start(command.env("OARLOCK_HTTP__LISEN", "127.0.0.1:1")).end();
    ended.exits(2).says(&["lisen"]);
    folder.oarlock(&["run", "workflow.yaml", "--log", "a=b=c"]).exits(2).says(&["a=b=c"]);
}

#[test]
fn the_address_of_the_server_is_a_setting() {
    let folder = folder();
    let listen = ("OARLOCK_HTTP__LISTEN", "127.0.0.1:0");
    let server = Server::start_by(folder.command(&["dev"]).envs([listen])).unwrap();
    let mut list = folder.command(&["list"]);
    Process::start(list.env("OARLOCK_CLIENT__SERVER", server.url())).end().exits(0);
    folder.write("oarlock.toml", &format!("[client]\nserver = \"{}\"\n", server.url()));
    folder.oarlock(&["list", "--config", "oarlock.toml"]).exits(0);
}

#[test]
fn limits_are_settings() {
    let folder = Folder::with(
        "id: w\nversion: 1\ntasks:\n  - {id: a, task: a}\n",
        &[("a", "printf '\"'; head -c 3000 /dev/zero | tr '\\0' x; printf '\"'")],
    );
    folder.write("oarlock.toml", "[limits]\npayload_bytes = 2048\n");
    folder.oarlock(&["run", "workflow.yaml"]).exits(0);
    let ended = folder.oarlock(&["run", "workflow.yaml", "--config", "oarlock.toml"]).exits(1);
    ended.says(&["PAYLOAD_TOO_LARGE", "2048"]);
}
