//! The settings as they are read, merged and checked.

use super::*;

fn global(config: Option<&std::path::Path>) -> Global {
    Global {
        json: false,
        config: config.map(std::path::Path::to_path_buf),
        user: None,
        tenant: None,
        roles: Vec::new(),
        permissions: Vec::new(),
        server: None,
        log: None,
    }
}

fn load(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    let file = file.map(|text| {
        std::fs::write(&path, text).unwrap();
        path.as_path()
    });
    let environment = environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let source = file.map_or(Source::None, Source::Settings);
    Configuration::load_from(&global(file), source, environment).map_err(|failure| format!("{failure:?}"))
}

#[test]
fn the_defaults_are_those_of_the_crates() {
    let defaults = load(None, &[]).unwrap().orchestrator();
    let engine = oarlock_engine::Settings::default();
    assert_eq!(format!("{:?}", defaults.engine), format!("{engine:?}"));
}

#[test]
fn the_servers_defaults_are_those_of_the_adapters() {
    let defaults = load(None, &[]).unwrap();
    let (ours, theirs) = (defaults.rabbitmq(String::new()), rabbitmq::Settings::default());
    assert_eq!(
        (ours.heartbeat, ours.confirm_timeout, ours.connect_timeout, ours.silence),
        (theirs.heartbeat, theirs.confirm_timeout, theirs.connect_timeout, theirs.silence)
    );
    let (ours, theirs) = (defaults.redis(), redis::Settings::default());
    assert_eq!(
        (ours.nodes, ours.cluster, ours.prefix, ours.replicas, ours.response_timeout, ours.connect_timeout),
        (
            theirs.nodes,
            theirs.cluster,
            theirs.prefix,
            theirs.replicas,
            theirs.response_timeout,
            theirs.connect_timeout
        )
    );
    assert!(defaults.check_fleet().is_ok() && !defaults.orchestrator().node.is_empty());
}

#[test]
fn addresses_are_a_list_or_a_text_with_commas() {
    let list = "[broker]\nnodes = ['amqp://a', 'amqp://b']";
    let text = [("OARLOCK_BROKER__NODES", "amqp://a, amqp://b"), ("OARLOCK_STORE__NODES", "redis://c")];
    for (file, environment) in [(Some(list), &[][..]), (None, &text[..])] {
        let configuration = load(file, environment).unwrap();
        assert_eq!(configuration.rabbitmq(String::new()).nodes, ["amqp://a", "amqp://b"]);
    }
    assert_eq!(load(Some(list), &text).unwrap().redis().nodes, ["redis://c"]);
}

#[test]
fn no_error_shows_a_password() {
    let rows = [
        "[broker]\nnodes = ['amqp://u:secret@h'",
        "[broker]\nnodes = [['amqp://u:secret@h']]",
        "[broker]\nnodes = {a = 'amqp://u:secret@h'}",
        "[broker]\nnode = 'amqp://u:secret@h'",
        "[broker]\nheartbeat = 'amqp://u:secret@h'",
        "[store]\nnodes = 'redis://:secret@h\ncluster = 1",
        "[store]\ncluster = 'redis://:secret@h'",
    ];
    for file in rows {
        let error = load(Some(file), &[]).expect_err(file);
        assert!(!error.contains("secret"), "{error}");
    }
    let told = format!("{:?}", load(Some("[broker]\nnodes = ['amqp://u:secret@h']"), &[]).unwrap());
    assert!(told.contains("amqp://u:***@h") && !told.contains("secret@"), "{told}");
}

#[test]
fn a_heartbeat_is_at_most_half_the_lease() {
    let rows = [("5s", "10s", true), ("5s", "9s", false), ("4500ms", "9s", false), ("500ms", "2s", true)];
    for (heartbeat, lease, good) in rows {
        let file = format!("[broker]\nheartbeat = '{heartbeat}'\n[orchestrator]\nlease = '{lease}'");
        let checked = load(Some(&file), &[]).unwrap().check_fleet().map_err(|failure| failure.to_string());
        assert_eq!(checked.is_ok(), good, "{heartbeat} {lease}");
        assert!(checked.err().is_none_or(|error| error.contains("at most half the lease")));
    }
}

#[test]
fn a_file_of_workers_holds_some_sections_and_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Configuration::load_from(&global(None), Source::Worker(&path), HashMap::new())
    };
    let sections = "slots = 4\n[exec]\n\"a.b\" = 'x'\n[http]\nallow_hosts = []\n[broker]\nnodes = ['amqp://a']\n\
                    [worker]\ngrace = '1s'\n[limits]\npayload_bytes = 2048\n[payloads]\noffload_bytes = 2048\n\
                    [telemetry]\notlp_endpoint = 'http://c'\n[log]\nlevel = 'debug'\n";
    let configuration = load(sections).unwrap();
    assert_eq!(configuration.broker.nodes.0, ["amqp://a"]);
    assert_eq!((configuration.worker.grace, configuration.payload_bytes()), (Span::from_secs(1), 2048));
    assert_eq!(configuration.log.level, "debug");
    assert_eq!(configuration.telemetry.endpoint(), Some("http://c"));
    let error = load("[broker]\nnode = []").unwrap_err().to_string();
    assert!(error.contains("worker.toml") && error.contains("node"), "{error}");
}

#[test]
fn later_sources_win() {
    let file = "[http]\nlisten = '127.0.0.1:1'\n[limits]\npayload_bytes = 2048";
    let environment =
        [("OARLOCK_HTTP__LISTEN", "127.0.0.1:2"), ("OARLOCK_RUN", "of a command"), ("OTHER__X", "1")];
    let configuration = load(Some(file), &environment).unwrap();
    assert_eq!(configuration.http.listen.port(), 2);
    assert_eq!(configuration.limits.payload_bytes, 2048);
}

#[test]
fn without_an_address_there_is_no_payload_store() {
    assert!(load(None, &[]).unwrap().payloads().unwrap().is_none());
    let folder = tempfile::tempdir().unwrap();
    let file = format!("[payloads]\nurl = 'file://{}'\noffload_bytes = 4096", folder.path().display());
    let limits = load(Some(&file), &[]).unwrap().payloads().unwrap().unwrap().limits();
    assert_eq!((limits.offload_bytes, limits.largest_bytes), (4096, 64 * 1024 * 1024));
    let wrong = load(Some("[payloads]\nurl = '/srv/payloads'"), &[]).unwrap();
    let error = wrong.payloads().unwrap_err().to_string();
    assert!(error.contains("payloads.url") && error.contains("file:///directory"), "{error}");
}

#[test]
fn what_is_wrong_is_named() {
    let rows = [
        ("[http]\nlisen = 'x'", "lisen"),
        ("[nonsense]\na = 1", "nonsense"),
        ("[timeouts]\nqueue = 30", "queue"),
        ("[timeouts]\nqueue = '30 parsecs'", "parsecs"),
        ("[orchestrator]\npartitions = 0", "orchestrator.partitions"),
        ("[orchestrator]\nnode = 'a b'", "orchestrator.node"),
        ("[broker]\nheartbeat = '0s'", "broker.heartbeat"),
        ("[store]\nreplicas = -1", "replicas"),
        ("[principal]\ntenant = 'a/b'", "a/b"),
        ("[router]\nrules = [{queue = 'a b'}]", "a b"),
        ("[limits]\npayload_bytes = 100000000", "payload_bytes"),
        ("[limits]\npayload_store_bytes = 1000", "payload_store_bytes"),
        ("[payloads]\noffload_bytes = 10", "payloads.offload_bytes"),
        ("[payloads]\nurl = 'file:///p'\noffload_bytes = 2000000", "limits.payload_bytes"),
        ("[payloads]\nuri = 'file:///p'", "uri"),
        ("= nonsense", "settings"),
    ];
    for (file, named) in rows {
        let error = load(Some(file), &[]).expect_err(file);
        assert!(error.contains(named) && error.contains("settings.toml"), "{file}: {error}");
    }
    assert!(load(None, &[("OARLOCK_HTTP__LISEN", "x")]).unwrap_err().contains("lisen"));
}

#[test]
fn no_secret_of_a_collector_is_shown() {
    let given = "[telemetry]\notlp_endpoint = 'http://c'\nheaders = {authorization = 'Bearer hush'}";
    let text = [("OARLOCK_TELEMETRY__HEADERS", "authorization=Bearer hush, x=hush")];
    for (file, environment) in [(Some(given), &[][..]), (None, &text[..])] {
        let shown = format!("{:?}", load(file, environment).unwrap());
        assert!(shown.contains("authorization") && !shown.contains("hush"), "{shown}");
    }
    let wrong = [
        "[telemetry]\notlp_endpoint = 'http://c'\nheaders = {\"a b\" = 'hush'}",
        "[telemetry]\notlp_endpoint = 'http://c'\nheaders = ['hush']",
        "[telemetry]\notlp_endpoint = 'http://ada:hush@c'",
    ];
    for file in wrong {
        let error = load(Some(file), &[]).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn what_the_settings_say_of_a_collector_comes_before_the_environment_of_all_programs() {
    let all = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all")];
    let own = "[telemetry]\notlp_endpoint = 'http://own'";
    let endpoint =
        |file, environment: &[_]| load(file, environment).unwrap().telemetry.endpoint().map(str::to_owned);
    assert_eq!(endpoint(None, &[]), None);
    assert_eq!(endpoint(None, &all).as_deref(), Some("http://all"));
    assert_eq!(endpoint(Some(own), &all).as_deref(), Some("http://own"));
}
