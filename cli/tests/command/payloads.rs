//! Inputs and outputs larger than a message takes: through HTTP, commands and back.

use serde_json::{Value as Json, json};

use crate::harness::Folder;
use crate::server::Server;

const MIB: usize = 1024 * 1024;

/// Takes a large text, makes a large text, and looks into both.
const LARGE: &str = "id: large
version: 1
tasks:
  - {id: size, task: size, inputMappings: {text: \"${ input.text }\"}}
  - {id: make, task: make}
  - {id: again, task: size, inputMappings: {text: \"${ make.output.text }\"}, condition: size(make.output.text) > 10}
output: {sizes: [\"${ tasks.size.output }\", \"${ tasks.again.output }\"], first: \"${ substring(input.text, 0, 3) }\"}
";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("large.yaml", LARGE);
    std::fs::create_dir(folder.join("store")).unwrap();
    let make = r#"printf '{"text": "'; head -c 2000000 /dev/zero | tr '\0' y; printf '"}'"#;
    folder.commands(&[("size", "wc -c"), ("make", make)]);
    let store = folder.join("store");
    folder.write("settings.toml", &format!("[payloads]\nurl = \"file://{}\"\n", store.display()));
    folder
}

fn server(folder: &Folder) -> Server {
    Server::start(folder, &["--config", "settings.toml", "large.yaml"])
}

fn post(server: &Server, text_bytes: usize) -> (u16, Json) {
    let body = json!({"workflow": "large", "input": {"text": "x".repeat(text_bytes), "id": 7}}).to_string();
    let headers = ["content-type: application/json"];
    server.http("POST", "/v1/runs", &headers, body.as_bytes()).expect("an answer")
}

#[test]
fn what_is_larger_than_a_message_goes_through_the_store_and_is_shown_on_demand() {
    let folder = folder();
    let server = server(&folder);
    let (status, started) = post(&server, 3 * MIB);
    assert_eq!(status, 201, "{started}");
    let id = started["id"].as_str().unwrap();
    let (_, run) = server.http("GET", &format!("/v1/runs/{id}?waitMs=30000"), &[], b"").unwrap();
    let sizes = json!([3 * MIB + r#"{"text":""}"#.len(), 2_000_000 + r#"{"text":""}"#.len()]);
    assert_eq!(run["output"], json!({"sizes": sizes, "first": "xxx"}), "{run}");
    assert_eq!(run["input"]["text"]["$payload"]["size"], json!(3 * MIB + 2));
    assert_eq!(run["input"]["id"], 7);
    let inline = server.json(&folder, &["get", id, "--payloads"]);
    assert_eq!(inline["input"]["text"].as_str().map(str::len), Some(3 * MIB));
    let made =
        inline["taskInstances"].as_array().unwrap().iter().find(|task| task["taskDefinitionId"] == "make");
    assert_eq!(made.unwrap()["output"]["text"].as_str().map(str::len), Some(2_000_000));
    let (status, error) = server.http("GET", &format!("/v1/runs/{id}?payloads=yes"), &[], b"").unwrap();
    assert_eq!((status, &error["code"]), (400, &json!("INVALID_REQUEST")));
}

#[test]
fn an_input_beyond_the_largest_payload_is_refused() {
    let folder = folder();
    folder.write(
        "settings.toml",
        &format!("{}[limits]\npayload_store_bytes = {MIB}\n", folder.read("settings.toml")),
    );
    let server = server(&folder);
    for bytes in [MIB, 5 * MIB] {
        let (status, error) = post(&server, bytes);
        assert_eq!((status, &error["code"]), (413, &json!("PAYLOAD_TOO_LARGE")), "{bytes}: {error}");
    }
    assert_eq!(post(&server, MIB - 100).0, 201);
}

#[test]
fn without_a_store_a_large_input_is_refused_as_ever() {
    let folder = folder();
    let server = Server::start(&folder, &["large.yaml"]);
    let (status, error) = post(&server, 3 * MIB);
    assert_eq!((status, &error["code"]), (413, &json!("PAYLOAD_TOO_LARGE")), "{error}");
}

#[test]
fn a_store_that_cannot_be_used_is_told_at_the_start() {
    let folder = folder();
    folder.write("settings.toml", "[payloads]\nurl = \"file:///no/such/directory\"\n");
    for arguments in [
        &["--config", "settings.toml", "dev", "large.yaml"][..],
        &["--config", "settings.toml", "orchestrator", "--check"],
        &["--config", "settings.toml", "run", "large.yaml"],
    ] {
        let ended = folder.oarlock(arguments).exits(2);
        assert!(ended.stderr.contains("/no/such/directory"), "{arguments:?}: {}", ended.stderr);
    }
}
