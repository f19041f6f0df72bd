//! The JSON Schema of definitions as people write them, for editors: made of the schemas of the words, with the short
//! forms added. Only a test: it writes docs/schemas/workflow.schema.json and holds every definition at hand to it.
//!
//! After a change of the language: `OARLOCK_BLESS=1 cargo test -p oarlock-definition schema`.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use oarlock_protocol::Json;
use oarlock_protocol::definition::WorkflowDefinition;
use schemars::generate::SchemaSettings;
use serde_json::json;

use crate::findings::Findings;
use crate::source::Source;
use crate::{read, tree};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const FILE: &str = "docs/schemas/workflow.schema.json";

/// The fields that take an expression, which may be a literal `true` or `false`.
const EXPRESSIONS: &[&str] = &[
    "/definitions/Task/properties/condition",
    "/definitions/Task/properties/terminateWhen",
    "/definitions/SwitchCase/properties/when",
    "/definitions/ForEach/properties/until",
    "/definitions/Loop/properties/while",
    "/definitions/Loop/properties/until",
];

/// The fields that hold a JSON Schema.
const SCHEMAS: &[&str] = &[
    "/properties/input",
    "/definitions/TaskDefinition/properties/inputSchema",
    "/definitions/TaskDefinition/properties/outputSchema",
    "/definitions/Wait/properties/schema",
];

/// The ranges of numbers that their types do not tell.
const RANGES: &[(&str, u32, Option<u32>)] = &[
    ("/properties/version", 1, None),
    ("/definitions/TaskDefinition/properties/version", 1, None),
    ("/definitions/ChildWorkflow/properties/version", 1, None),
    ("/definitions/Task/properties/priority", 0, Some(9)),
    ("/definitions/ForEach/properties/concurrency", 1, None),
    ("/definitions/ForEach/properties/batch", 1, None),
    ("/definitions/Loop/properties/max", 1, Some(1_000_000)),
    ("/definitions/Loop/properties/keep", 1, Some(1_000)),
    ("/definitions/Loop/properties/backoffCoefficient", 1, None),
    ("/definitions/Join/properties/need", 1, None),
    ("/definitions/RetryPolicy/properties/maxRetries", 0, Some(1_000)),
    ("/definitions/RetryPolicy/properties/jitter", 0, Some(1)),
];

/// The lists that are never empty.
const FILLED: &[&str] = &[
    "/properties/tasks",
    "/definitions/Task/properties/tasks",
    "/definitions/Task/properties/parallel",
    "/definitions/Task/properties/switch",
    "/definitions/SwitchCase/properties/tasks",
    "/definitions/Wait/properties/first",
];

fn schema() -> Json {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<WorkflowDefinition>().to_value();
    as_written(&mut schema);
    for place in EXPRESSIONS {
        set(&mut schema, place, json!({"type": ["string", "boolean"]}));
    }
    for place in SCHEMAS {
        set(&mut schema, place, json!({"type": "object"}));
    }
    for (place, least, most) in RANGES {
        set(&mut schema, place, json!({"minimum": least}));
        if let Some(most) = most {
            set(&mut schema, place, json!({"maximum": most}));
        }
    }
    for place in FILLED {
        set(&mut schema, place, json!({"minItems": 1}));
    }
    short_forms(&mut schema);
    one_of_several(&mut schema);
    schema["title"] = json!("Oarlock workflow definition");
    schema
}

/// What may be written shorter than it is stored.
fn short_forms(schema: &mut Json) {
    let mappings = schema.pointer_mut("/definitions/Task/properties/variableMappings").unwrap();
    *mappings = json!({
        "description": "What of its output goes into which variable: `variable: value`, or a list of mappings with a `type`.",
        "anyOf": [
            {"type": "object"},
            {"type": "array", "items": {"$ref": "#/definitions/VariableMapping"}},
        ],
    });
    for form in schema["definitions"]["VariableMapping"]["oneOf"].as_array_mut().unwrap() {
        let properties = &mut form["properties"];
        if properties.get("expression").is_some() {
            properties["expression"]["type"] = json!(["string", "boolean"]);
        }
        if properties.get("transformation").is_some() {
            let list = properties["transformation"].take();
            properties["transformation"] = json!({"anyOf": [{"type": "string"}, list]});
        }
    }
    set(
        schema,
        "/definitions/Tolerance",
        json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^(100|[0-9]{1,2}) *%$"},
        ]}),
    );
}

/// Of some fields exactly one is written.
fn one_of_several(schema: &mut Json) {
    let required = |name: &&str| json!({"required": [name]});
    let plain = ["task", "parallel", "switch", "set", "terminate", "workflow", "wait"];
    let mut kinds: Vec<Json> = plain.iter().map(required).collect();
    kinds.extend(["forEach", "loop"].map(|name| json!({"required": [name, "tasks"]})));
    let iterated = ["forEach", "loop"].iter().map(required).collect::<Vec<_>>();
    kinds.push(json!({"required": ["tasks"], "not": {"anyOf": iterated}}));
    set(schema, "/definitions/Task", json!({"oneOf": kinds}));
    let awaited = ["duration", "until", "signal", "first"].iter().map(required).collect::<Vec<_>>();
    set(schema, "/definitions/Wait", json!({"oneOf": awaited}));
    let cases = ["when", "otherwise"].iter().map(required).collect::<Vec<_>>();
    set(schema, "/definitions/SwitchCase", json!({"oneOf": cases}));
    let questions = ["while", "until"].iter().map(required).collect::<Vec<_>>();
    set(schema, "/definitions/Loop", json!({"anyOf": questions}));
}

fn set(schema: &mut Json, place: &str, fields: Json) {
    let at = schema.pointer_mut(place).unwrap_or_else(|| panic!("nothing at {place}"));
    if !at.is_object() {
        *at = json!({});
    }
    let fields = fields.as_object().unwrap().clone();
    at.as_object_mut().unwrap().extend(fields);
}

/// An optional field is left out, never null; and descriptions are read without Rust's brackets.
fn as_written(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.remove("format");
            if map.get("default") == Some(&Json::Null) {
                map.remove("default");
            }
            if let Some(Json::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(forms)) = map.get_mut("anyOf") {
                forms.retain(|form| form.get("type") != Some(&json!("null")));
                if let [only] = &forms[..] {
                    let only = only.clone();
                    map.remove("anyOf");
                    map.insert("allOf".to_owned(), json!([only]));
                }
            }
            if let Some(Json::String(text)) = map.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            map.values_mut().for_each(as_written);
        }
        Json::Array(items) => items.iter_mut().for_each(as_written),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

/// A definition's text as the data it writes.
fn written(file: &str, text: &str) -> Option<Json> {
    let mut findings = Findings::default();
    let root = tree::read(&Source::new(file, text), &mut findings)?;
    (!findings.has_errors()).then(|| root.to_json())
}

/// Every file below a folder with one of these endings.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|ending| ending.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some(ending) if endings.contains(&ending) => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn problems(validator: &Validator, value: &Json) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_is_up_to_date() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = Path::new(ROOT).join(FILE);
    if std::env::var_os("OARLOCK_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let is_current = fs::read_to_string(&path).is_ok_and(|written| written == text);
    assert!(is_current, "write the schema anew: OARLOCK_BLESS=1 cargo test -p oarlock-definition schema");
}

/// The definitions of the examples; their mocks are none.
fn examples() -> Vec<PathBuf> {
    let others = ["mocks", "schedule"];
    let is_other = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        others.iter().any(|other| name.ends_with(other))
    };
    files("examples", &["yaml"]).into_iter().filter(|path| !is_other(path)).collect()
}

#[test]
fn every_good_definition_and_every_example_fits_the_schema() {
    let validator = validator();
    let good = files("shared/definition/corpus/good", &["yaml", "json"]);
    let examples = examples();
    assert!(good.len() >= 17 && examples.len() >= 5);
    for path in good.iter().chain(&examples) {
        let text = fs::read_to_string(path).unwrap();
        let value = written(path.to_str().unwrap(), &text).unwrap();
        assert_eq!(problems(&validator, &value), Vec::<String>::new(), "{}", path.display());
        let stored = read(path.to_str().unwrap(), &text).definition.unwrap();
        let stored = serde_json::to_value(stored).unwrap();
        assert_eq!(problems(&validator, &stored), Vec::<String>::new(), "{}, stored", path.display());
    }
}

#[test]
fn every_definition_of_the_documentation_fits_the_schema() {
    let validator = validator();
    let page = fs::read_to_string(Path::new(ROOT).join("docs/definitions.md")).unwrap();
    let blocks: Vec<&str> = page.split("```yaml complete\n").skip(1).collect();
    assert!(blocks.len() >= 6);
    for block in blocks {
        let value = written("definitions.md", block.split("```").next().unwrap()).unwrap();
        assert_eq!(problems(&validator, &value), Vec::<String>::new(), "{block}");
    }
}

#[test]
fn every_example_names_the_schema_for_editors() {
    for path in examples() {
        let text = fs::read_to_string(&path).unwrap();
        let named =
            text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let named = named.unwrap_or_else(|| panic!("{} names no schema", path.display()));
        let target = path.parent().unwrap().join(named).canonicalize().unwrap();
        assert_eq!(target, Path::new(ROOT).join(FILE).canonicalize().unwrap(), "{}", path.display());
    }
}

#[test]
fn definitions_with_unknown_fields_or_kinds_do_not_fit() {
    let validator = validator();
    let refused =
        ["unknown-field", "no-kind", "several-kinds", "invalid-wait", "invalid-choice", "null-value"];
    let mut checked = 0;
    for path in files("shared/definition/corpus/broken", &["yaml", "json"]) {
        let text = fs::read_to_string(&path).unwrap();
        let Some(value) = written(path.to_str().unwrap(), &text) else { continue };
        let report = read(path.to_str().unwrap(), &text);
        if report.diagnostics.iter().any(|diagnostic| refused.contains(&diagnostic.code)) {
            assert!(!validator.is_valid(&value), "{} fits the schema", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} broken definitions were looked at");
}

#[test]
fn every_part_of_a_definition_refuses_unknown_fields() {
    let validator = validator();
    let text = fs::read_to_string(Path::new(ROOT).join("shared/protocol/fixtures/workflow_definition.json"));
    let definition: Json = serde_json::from_str(&text.unwrap()).unwrap();
    assert_eq!(problems(&validator, &definition), Vec::<String>::new());
    let mut places = Vec::new();
    objects(&definition, String::new(), &mut places);
    let free = [
        "/input",
        "/output",
        "/variables",
        "/set",
        "Schema",
        "/schema",
        "/transformation/",
        "/value",
        "/variableMappings",
    ];
    let strict: Vec<&String> =
        places.iter().filter(|place| !free.iter().any(|free| place.contains(free))).collect();
    assert!(strict.len() > 40, "only {} places", strict.len());
    for place in strict {
        let mut changed = definition.clone();
        changed.pointer_mut(place).unwrap()["laterField"] = json!(1);
        assert!(!validator.is_valid(&changed), "an unknown field at {place:?} fits");
    }
}

fn objects(value: &Json, place: String, places: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            map.iter().for_each(|(key, inner)| objects(inner, format!("{place}/{key}"), places));
            places.push(place);
        }
        Json::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(index, inner)| objects(inner, format!("{place}/{index}"), places));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
