//! Bare HTTP requests, as clients in other languages make them, and as those make them who do it wrong.

use serde_json::{Value as Json, json};

use crate::server::Server;
use crate::starts::{folder, server};

const MIB: usize = 1024 * 1024;

#[track_caller]
fn answers(server: &Server, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, Json) {
    server.http(method, path, headers, body.as_bytes()).expect("an answer")
}

#[test]
fn it_lives_and_is_ready() {
    let folder = folder();
    let server = server(&folder);
    assert_eq!(answers(&server, "GET", "/healthz", &[], ""), (200, json!({"status": "UP"})));
    let (status, ready) = answers(&server, "GET", "/readyz", &[], "");
    assert_eq!((status, &ready["status"], &ready["broker"]), (200, &json!("READY"), &json!("READY")));
    assert_eq!((&ready["problems"], &ready["staleEvents"]), (&json!([]), &json!(0)));
    assert_eq!(ready["partitionsOwned"], ready["partitionsWanted"]);
    assert_eq!(ready["members"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_run_is_started_seen_and_awaited() {
    let folder = folder();
    let server = server(&folder);
    let headers =
        ["content-type: application/json", "oarlock-user: ada", "oarlock-permissions: a.read, b.write"];
    let body = r#"{"workflow": "answer", "input": {"n": 1}, "key": "k"}"#;
    let (status, started) = answers(&server, "POST", "/v1/runs", &headers, body);
    assert_eq!((status, &started["version"]), (201, &json!(1)));
    let path = format!("/v1/runs/{}", started["id"].as_str().unwrap());
    let (status, run) = answers(&server, "GET", &format!("{path}?waitMs=30000"), &[], "");
    assert_eq!((status, &run["status"], &run["output"]), (200, &json!("COMPLETED"), &json!({"n": 1})));
    assert_eq!((&run["createdBy"], &run["tenantId"]), (&json!("ada"), &json!("default")));
    assert_eq!(run["securityContext"]["permissions"], json!(["a.read", "b.write"]));
    assert_eq!(answers(&server, "POST", "/v1/runs", &headers, body), (201, started), "the same answer again");
    let other = body.replace("1}", "2}");
    let (status, error) = answers(&server, "POST", "/v1/runs", &headers, &other);
    assert_eq!((status, &error["code"]), (409, &json!("CONFLICT")));
}

#[test]
fn what_is_wrong_is_told_with_a_code_and_the_remedy() {
    let folder = folder();
    let server = server(&folder);
    let json_body = "content-type: application/json";
    let unknown = "/v1/runs/01a20789-858e-720f-bb97-30823c41bb1c";
    let rows = [
        ("GET", "/", "", 404, "NOT_FOUND", "there is no / here"),
        ("GET", "/v2/runs", "", 404, "NOT_FOUND", "/v2/runs"),
        ("DELETE", "/v1/runs", "", 405, "METHOD_NOT_ALLOWED", "does not take DELETE"),
        ("POST", "/healthz", "", 405, "METHOD_NOT_ALLOWED", "does not take POST"),
        ("POST", "/v1/runs", "no JSON", 400, "INVALID_REQUEST", "JSON"),
        ("POST", "/v1/runs", "[]", 400, "INVALID_REQUEST", "expected"),
        ("POST", "/v1/runs", "{}", 400, "INVALID_REQUEST", "workflow"),
        ("POST", "/v1/runs", r#"{"workflow": "answer", "inputs": {}}"#, 400, "INVALID_REQUEST", "inputs"),
        ("POST", "/v1/runs", r#"{"workflow": "answer", "input": 7}"#, 400, "INVALID_REQUEST", "JSON object"),
        ("POST", "/v1/runs", r#"{"workflow": "answer", "key": ""}"#, 400, "INVALID_REQUEST", "`key`"),
        (
            "POST",
            "/v1/runs",
            r#"{"workflow": "answer", "priority": 10}"#,
            400,
            "INVALID_REQUEST",
            "priority: a",
        ),
        (
            "POST",
            "/v1/runs",
            r#"{"workflow": "answer", "priority": "9"}"#,
            400,
            "INVALID_REQUEST",
            "from 0 to 9",
        ),
        ("POST", "/v1/runs", r#"{"workflow": "other"}"#, 404, "NOT_FOUND", "oarlock apply"),
        ("GET", "/v1/runs/7", "", 400, "INVALID_REQUEST", "UUID"),
        ("GET", "/v1/runs/%ff", "", 400, "INVALID_REQUEST", ""),
        ("GET", unknown, "", 404, "NOT_FOUND", "has no run"),
        ("GET", "/v1/runs?limit=many", "", 400, "INVALID_REQUEST", "limit"),
        ("GET", "/v1/runs?status=ASLEEP", "", 400, "INVALID_REQUEST", "ASLEEP"),
        ("GET", "/v1/runs?colour=red", "", 400, "INVALID_REQUEST", "colour"),
        ("GET", "/v1/runs?after=7", "", 400, "INVALID_REQUEST", "`after`"),
        ("POST", "/v1/definitions", "id: x", 422, "INVALID_DEFINITION", "diagnostics"),
    ];
    for (method, path, body, status, code, said) in rows {
        let (answered, error) = answers(&server, method, path, &[json_body], body);
        assert_eq!((answered, &error["code"]), (status, &json!(code)), "{method} {path} {body}: {error:#}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{method} {path} {body}: {message}");
    }
    let (status, _) = answers(&server, "POST", "/v1/runs", &[], r#"{"workflow": "answer"}"#);
    assert_eq!(status, 400, "a body needs its content type");
    let (_, error) = answers(&server, "POST", "/v1/definitions", &[], "id: x");
    assert_eq!(error["diagnostics"][0]["line"], 1, "{error:#}");
}

#[test]
fn an_input_that_does_not_fit_its_schema_is_told_with_every_place() {
    let folder = folder();
    let server = server(&folder);
    let schema = "{required: [id], properties: {items: {items: {properties: {price: {type: number}}}}}}";
    let definition = format!("{{id: priced, version: 1, input: {schema}, tasks: [{{id: ask, task: ask}}]}}");
    assert_eq!(answers(&server, "POST", "/v1/definitions", &[], &definition).0, 201);
    let start = |input: &str| {
        let body = format!(r#"{{"workflow": "priced", "input": {input}}}"#);
        answers(&server, "POST", "/v1/runs", &["content-type: application/json"], &body)
    };
    let (status, error) = start(r#"{"items": [{"price": 1}, {"price": "2"}]}"#);
    assert_eq!((status, &error["code"]), (422, &json!("SCHEMA_VIOLATION")), "{error:#}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("/items/1/price: \"2\" is a string, expected a number"), "{message}");
    let mut places: Vec<&str> = error["details"]["violations"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|violation| violation["path"].as_str())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["/id", "/items/1/price"]);
    assert_eq!(start(r#"{"id": 1, "items": [{"price": 1}]}"#).0, 201);
    let (status, error) =
        answers(&server, "POST", "/v1/definitions", &[], &definition.replace("number", "integer"));
    assert_eq!((status, &error["code"]), (409, &json!("CONFLICT")));
    let change = json!({
        "path": "input.properties.items.items.properties.price.type", "old": "\"number\"", "new": "\"integer\"",
    });
    assert_eq!(error["details"], json!({"changes": [change], "more": 0}));
}

#[test]
fn a_cancel_needs_no_body() {
    let folder = folder();
    let server = server(&folder);
    for (headers, body) in [(&[][..], ""), (&["content-type: application/json"][..], "{}")] {
        let run = server.start_run(&folder, &["wait"]);
        let (status, answer) = answers(&server, "POST", &format!("/v1/runs/{run}/cancel"), headers, body);
        assert_eq!((status, &answer["underWay"]), (200, &json!(true)), "{body}: {answer:#}");
    }
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    let folder = folder();
    let server = server(&folder);
    for header in ["oarlock-tenant: a/b", "oarlock-tenant:", "oarlock-tenant: \u{e9}", "oarlock-user: \u{1}"]
    {
        let answer = server.http("GET", "/v1/runs", &[header], b"");
        assert_eq!(answer.expect("an answer").0, 400, "{header}");
    }
}

#[test]
fn what_is_too_large_is_refused_at_the_door() {
    let folder = folder();
    let server = server(&folder);
    let json_body = ["content-type: application/json"];
    let body = |size| json!({"workflow": "answer", "input": {"n": "x".repeat(size)}}).to_string();
    // The first is refused by its length alone, the second by the size of its input.
    for size in [2 * MIB, MIB] {
        let (status, error) = answers(&server, "POST", "/v1/runs", &json_body, &body(size));
        assert_eq!((status, &error["code"]), (413, &json!("PAYLOAD_TOO_LARGE")), "{size}");
    }
    let definition = format!("id: x\nversion: 1\ndescription: {}\n", "x".repeat(2 * MIB));
    assert_eq!(answers(&server, "POST", "/v1/definitions", &[], &definition).0, 413);
    assert_eq!(answers(&server, "POST", "/v1/runs", &json_body, &body(MIB / 2)).0, 201);
    folder.write("input.json", &json!({"n": "x".repeat(MIB)}).to_string());
    let ended = server.oarlock(&folder, &["start", "answer", "--input", "@input.json"]).exits(2);
    ended.says(&["PAYLOAD_TOO_LARGE", "1048576"]);
}
