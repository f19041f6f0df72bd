//! The manifests of config/kubernetes: against KEDA's own schema and the fields of its trigger, against the binary that they run, and
//! against what an orchestrator answers. Starts no cluster.
//!
//! `scaled_object.json` is KEDA's schema; its first lines say where it comes from, and under which licence.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::{oarlock, root, texts, yaml};

const FILES: [&str; 2] = ["orchestrators.yaml", "workers.yaml"];
/// The fields of the trigger `metrics-api`, as `metricsAPIScalerMetadata` in pkg/scalers/metrics_api_scaler.go of KEDA reads them, without
/// those of authentication. What is none of them KEDA would ignore.
const TRIGGER_FIELDS: [&str; 9] = [
    "targetValue",
    "activationTargetValue",
    "url",
    "format",
    "valueLocation",
    "unsafeSsl",
    "aggregateFromKubeServiceEndpoints",
    "aggregationType",
    "timeout",
];

/// All manifests, by kind and name.
fn manifests() -> BTreeMap<(String, String), Value> {
    let texts =
        FILES.map(|file| std::fs::read_to_string(root().join("config/kubernetes").join(file)).unwrap());
    let all = texts.iter().flat_map(|text| yaml::documents(text));
    let named = all.map(|manifest| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        ((text(&manifest["kind"]), text(&manifest["metadata"]["name"])), manifest)
    });
    named.collect()
}

fn manifest(kind: &str, name: &str) -> Value {
    manifests()
        .remove(&(kind.to_owned(), name.to_owned()))
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn deployments() -> Vec<Value> {
    let all = manifests().into_iter().filter(|((kind, _), _)| kind == "Deployment");
    all.map(|(_, manifest)| manifest).collect()
}

fn container(deployment: &Value) -> &Value {
    let containers = &deployment["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1);
    &containers[0]
}

/// Refuses what the schema does not name, as `kubectl apply` does.
fn strict(schema: &mut Value) {
    if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(strict);
    }
    let Some(map) = schema.as_object_mut() else { return };
    // Metadata is known to Kubernetes itself.
    if map.get("properties").is_some_and(Value::is_object) {
        map.insert("additionalProperties".to_owned(), json!(false));
    }
    map.values_mut().for_each(strict);
}

#[test]
fn the_scaled_object_is_what_kedas_schema_takes() {
    let text = include_str!("scaled_object.json");
    let mut schema: Value = serde_json::from_str(text).unwrap();
    assert!(schema["$comment"].as_str().unwrap().contains("Apache License 2.0"));
    strict(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let scaled = manifest("ScaledObject", "oarlock-worker-resize");
    let faults: Vec<String> =
        validator.iter_errors(&scaled).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(faults, [] as [&str; 0]);
    assert_eq!(scaled["apiVersion"], "keda.sh/v1alpha1");
    let mut wrong = scaled.clone();
    wrong["spec"]["minReplicas"] = json!(1);
    assert!(!validator.is_valid(&wrong), "a field that is none is found");

    let target = scaled["spec"]["scaleTargetRef"]["name"].as_str().unwrap();
    let deployment = manifest("Deployment", target);
    assert_eq!(deployment["spec"]["replicas"], Value::Null, "KEDA says how many");
    assert_eq!(scaled["spec"]["minReplicaCount"], 0, "from none");
}

#[test]
fn the_trigger_has_the_fields_that_kedas_scaler_reads() {
    let scaled = manifest("ScaledObject", "oarlock-worker-resize");
    let triggers = scaled["spec"]["triggers"].as_array().unwrap();
    let [trigger] = &triggers[..] else { panic!("{triggers:?}") };
    assert_eq!((&trigger["type"], &trigger["metricType"]), (&json!("metrics-api"), &json!("AverageValue")));
    let metadata = trigger["metadata"].as_object().unwrap();
    for (field, value) in metadata {
        assert!(TRIGGER_FIELDS.contains(&field.as_str()), "{field} is no field of the trigger");
        assert!(value.is_string(), "{field} is a text in a manifest");
    }
    // Wanted divided by one is the number of workers; above 0 it is active.
    let number = |field: &str| metadata[field].as_str().unwrap().parse::<f64>().unwrap();
    assert_eq!((number("targetValue"), number("activationTargetValue")), (1.0, 0.0));
    assert_eq!((&metadata["format"], &metadata["valueLocation"]), (&json!("json"), &json!("wanted")));

    let service = manifest("Service", "oarlock");
    let port = service["spec"]["ports"][0]["port"].as_u64().unwrap();
    let url = metadata["url"].as_str().unwrap();
    assert_eq!(url, format!("http://oarlock.default.svc:{port}/v1/scaling/resize"));
    let settings: toml::Table = worker_toml().parse().unwrap();
    assert!(settings["exec"].as_table().unwrap().contains_key("resize"), "its queue is that of its task");
}

/// What KEDA's scaler does with the trigger: it gets the url, and takes the number at valueLocation.
#[test]
fn what_an_orchestrator_answers_is_what_kedas_scaler_reads() {
    let scaled = manifest("ScaledObject", "oarlock-worker-resize");
    let metadata = &scaled["spec"]["triggers"][0]["metadata"];
    let url = metadata["url"].as_str().unwrap();
    let path = &url[url.find("/v1/").unwrap()..];
    let folder = tempfile::tempdir().unwrap();
    let definition = "id: pictures\nversion: 1\ntasks: [{id: resize, task: resize}]\n";
    std::fs::write(folder.path().join("pictures.yaml"), definition).unwrap();
    let mut command = Command::new(oarlock());
    // No worker has the task, so it waits, and a worker is wanted.
    command.args(["dev", "--listen", "127.0.0.1:0", "--exec", "other=true", "pictures.yaml"]);
    let node = Dev::start(command.current_dir(folder.path()).env_clear());
    let value = |answer: &Value| answer[metadata["valueLocation"].as_str().unwrap()].clone();
    assert_eq!(value(&node.ask("GET", path, "")), 0, "of a queue that nobody knows");
    node.ask("POST", "/v1/runs", r#"{"workflow": "pictures"}"#);
    let begun = std::time::Instant::now();
    loop {
        let answer = node.ask("GET", path, "");
        let wanted = value(&answer).as_f64().unwrap_or_else(|| panic!("no number: {answer:#}"));
        if wanted >= 1.0 {
            break;
        }
        assert!(begun.elapsed().as_secs() < 30, "{answer:#}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// `oarlock dev`, until it is dropped.
struct Dev {
    process: Child,
    address: String,
}

impl Dev {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut addresses = lines.filter_map(|line| {
            let rest = line.strip_prefix("listening on http://")?;
            rest.split(';').next().map(str::to_owned)
        });
        let address = addresses.next().unwrap();
        Self { process, address }
    }

    /// The JSON of an answer with a status of 2xx.
    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: oarlock\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn worker_toml() -> String {
    let text = &manifest("ConfigMap", "oarlock-worker-resize")["data"]["worker.toml"];
    text.as_str().unwrap().to_owned()
}

/// What `kubectl create secret` in the first lines of orchestrators.yaml puts into the secret.
fn secret() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("config/kubernetes/orchestrators.yaml")).unwrap();
    let literals = text.lines().filter_map(|line| line.split_once("--from-literal=")).map(|(_, rest)| rest);
    let pairs = literals.map(|literal| {
        let (name, value) = literal.split_once('=').unwrap();
        (name.to_owned(), value.split('\'').nth(1).unwrap().to_owned())
    });
    pairs.collect()
}

#[test]
fn every_container_runs_with_its_arguments_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("worker.toml"), worker_toml()).unwrap();
    let secret = secret();
    assert_eq!(secret.keys().collect::<Vec<_>>(), ["OARLOCK_BROKER__NODES", "OARLOCK_STORE__NODES"]);
    for deployment in deployments() {
        let container = container(&deployment);
        let mut environment = BTreeMap::new();
        for from in container["envFrom"].as_array().into_iter().flatten() {
            assert_eq!(from["secretRef"]["name"], "oarlock");
            environment.extend(secret.clone());
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap().to_owned();
            let value = variable["value"].as_str().map(str::to_owned);
            let key = &variable["valueFrom"]["secretKeyRef"];
            environment.insert(name, value.unwrap_or_else(|| secret[key["key"].as_str().unwrap()].clone()));
        }
        let arguments = texts(&container["args"]);
        let here = arguments
            .iter()
            .map(|argument| argument.replace("/etc/oarlock", &folder.path().display().to_string()));
        let mut command = Command::new(oarlock());
        let output =
            command.args(here).args(["--check", "--json"]).env_clear().envs(&environment).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("@rabbitmq:5672"), "{told}");
        // What is left to SIGTERM: the grace of the worker, its cancelled tasks, the last answers.
        let grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
        if arguments[0] == "worker" {
            assert!(told.contains("\"grace\": \"10m\"") && grace >= 10 * 60 + 30, "{told}");
        } else {
            assert!(grace >= 30);
        }
    }
}

#[test]
fn probes_ports_and_selectors_name_what_is_there() {
    for deployment in deployments() {
        let spec = &deployment["spec"];
        assert_eq!(deployment["apiVersion"], "apps/v1");
        assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]);
        let container = container(&deployment);
        let port = &container["ports"][0];
        for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            let get = &container[probe]["httpGet"];
            assert_eq!((&get["path"], &get["port"]), (&json!(path), &port["name"]), "{probe}");
        }
        let listens = format!("0.0.0.0:{}", port["containerPort"]);
        assert!(texts(&container["args"]).contains(&listens), "{listens}");
        assert_eq!(container["securityContext"]["runAsNonRoot"], true);
        let volumes = spec["template"]["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            manifest("ConfigMap", volume["configMap"]["name"].as_str().unwrap());
        }
    }
    let orchestrators = manifest("Deployment", "oarlock-orchestrator");
    let labels = &orchestrators["spec"]["template"]["metadata"]["labels"];
    let service = manifest("Service", "oarlock");
    assert_eq!(&service["spec"]["selector"], labels);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], container(&orchestrators)["ports"][0]["name"]);
    let budget = manifest("PodDisruptionBudget", "oarlock-orchestrator");
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
}
