//! The section `[telemetry]`, and what of OpenTelemetry's own environment variables stands in for it.

use std::collections::HashMap;
use std::fmt;

use oarlock_protocol::chance;
use oarlock_telemetry::{Settings, Telemetry};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::exit::Failure;

/// The variables that stand in for settings that are empty.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// Where traces go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    otlp_endpoint: String,
    sample_ratio: f64,
    headers: Headers,
    /// What this process calls itself; by its command where nobody says otherwise.
    #[serde(skip)]
    service: Option<String>,
    /// Whether the endpoint is meant for every program that was started here, not for this one.
    #[serde(skip)]
    is_of_environment: bool,
}

impl Section {
    /// Fills in from the environment what the settings leave empty.
    pub(super) fn complete(&mut self, environment: &HashMap<String, String>) {
        let given = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        self.service = given(SERVICE).cloned();
        if let (true, Some(endpoint)) = (self.otlp_endpoint.is_empty(), given(ENDPOINT)) {
            self.otlp_endpoint.clone_from(endpoint);
            self.is_of_environment = true;
        }
        if let (true, Some(headers)) = (self.headers.0.is_empty(), given(HEADERS)) {
            // There the values are encoded as in addresses.
            let decoded =
                Headers::of_text(headers).0.into_iter().map(|(name, value)| (name, decoded(&value)));
            self.headers = Headers(decoded.collect());
        }
    }

    /// The address that traces go to; none where they go nowhere.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        Some(self.otlp_endpoint.as_str()).filter(|endpoint| !endpoint.is_empty())
    }

    /// Checks it without sending anything.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.settings("") {
            // What the environment says to all is no reason for one program not to work.
            Some(settings) if !self.is_of_environment => settings.check().map_err(|error| error.to_string()),
            Some(_) | None => Ok(()),
        }
    }

    /// Begins to send traces, as the program `service` unless the environment names it; does nothing where they go nowhere.
    pub(crate) fn start(&self, service: &str) -> Result<Telemetry, Failure> {
        let Some(settings) = self.settings(service) else { return Ok(Telemetry::default()) };
        match Telemetry::start(&settings) {
            Ok(telemetry) => Ok(telemetry),
            Err(error) if self.is_of_environment => {
                tracing::warn!("no traces are sent, {ENDPOINT} cannot be used: {error}");
                Ok(Telemetry::default())
            }
            Err(error) => Err(Failure::usage(error.to_string())),
        }
    }

    fn settings(&self, service: &str) -> Option<Settings> {
        let mut settings = Settings::new(self.endpoint()?, self.service.as_deref().unwrap_or(service));
        settings.headers.clone_from(&self.headers.0);
        settings.sample_ratio = self.sample_ratio;
        settings.resource.extend([
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id".to_owned(), chance::fresh().to_string()),
            ("host.name".to_owned(), oarlock_worker::host_name()),
        ]);
        Some(settings)
    }
}

/// Headers of requests: a table, or a text `name=value,name=value`, as an environment gives it. The values are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
struct Headers(Vec<(String, String)>);

impl Headers {
    fn of_text(text: &str) -> Self {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        // One without a name is refused where it is checked.
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or(("", pair)));
        Self(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

/// One of its own, whose errors show no value.
struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of names and texts, or a text such as name=value,name=value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Headers, E> {
        Ok(Headers::of_text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            headers.push((name, value));
        }
        Ok(Headers(headers))
    }
}

/// A text with every `%XX` replaced by its byte; as it is where that makes no text.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = behind.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
