//! Where spans go, and how many of them: configuration, as plain data.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Where a collector takes traces, behind its address.
const TRACES: &str = "v1/traces";
/// Spans that wait to be sent, unless configured otherwise: the work of some seconds at full speed, in some megabytes.
const QUEUE: usize = 8_192;

/// Where spans go, and how many of them.
#[derive(Clone)]
pub struct Settings {
    /// The address of a collector's OTLP receiver for HTTP, such as `http://localhost:4318`.
    pub endpoint: String,
    /// Sent with every request; the values are secrets.
    pub headers: Vec<(String, String)>,
    /// The share of all traces that is recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// What this program is: the attributes of its resource, such as `service.name`.
    pub resource: Vec<(String, String)>,
    /// The most spans that wait; what comes then is dropped and counted.
    pub queue: usize,
}

/// Why spans cannot be sent with these settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error(
        "telemetry.otlp_endpoint is no address of a collector: {0}; write one such as http://localhost:4318"
    )]
    Endpoint(String),
    /// A header cannot be sent. Its value is not told: it is a secret.
    #[error("the header '{0}' of telemetry.headers cannot be sent as it is written")]
    Header(String),
    /// The share is none.
    #[error("telemetry.sample_ratio is {0}; it is a number from 0 to 1")]
    Ratio(String),
    /// No request can be made on this machine.
    #[error("no traces can be sent from this machine: {0}")]
    Client(String),
}

impl Settings {
    /// Settings for the collector at `endpoint`, recording everything, of a program called `service`.
    pub fn new(endpoint: &str, service: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            headers: Vec::new(),
            sample_ratio: 1.0,
            resource: vec![("service.name".to_owned(), service.to_owned())],
            queue: QUEUE,
        }
    }

    /// Checks them without sending anything.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        self.url()?;
        self.header_map()?;
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(Error::Ratio(self.sample_ratio.to_string()));
        }
        Ok(())
    }

    /// Where requests go: `/v1/traces` behind the address, unless that names it.
    pub(crate) fn url(&self) -> Result<Url, Error> {
        let wrong = |why: &str| Error::Endpoint(why.to_owned());
        let mut url = Url::parse(&self.endpoint).map_err(|error| wrong(&error.to_string()))?;
        match url.scheme() {
            "https" if !cfg!(feature = "tls") => {
                return Err(wrong("this program was built without TLS: it can reach http:// only"));
            }
            "http" | "https" => {}
            _ => return Err(wrong("it begins with http:// or https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a login belongs into telemetry.headers, as authorization"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if !path.ends_with(TRACES) {
            url.set_path(&format!("{path}/{TRACES}"));
        }
        Ok(url)
    }

    pub(crate) fn header_map(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let pair = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
            let (known, mut value) = pair.ok_or_else(|| Error::Header(name.clone()))?;
            value.set_sensitive(true);
            headers.insert(known, value);
        }
        Ok(headers)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("headers", &names)
            .field("sample_ratio", &self.sample_ratio)
            .field("resource", &self.resource)
            .field("queue", &self.queue)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_behind_the_address_of_the_collector() {
        let url = |endpoint: &str| Settings::new(endpoint, "o").url().map(|url| url.to_string());
        for (endpoint, expected) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("http://host/otlp/", "http://host/otlp/v1/traces"),
            ("http://host/otlp/v1/traces", "http://host/otlp/v1/traces"),
        ] {
            assert_eq!(url(endpoint).unwrap(), expected);
        }
        for endpoint in ["", "localhost:4318", "ftp://a", "http://ada:secret@host"] {
            let error = url(endpoint).unwrap_err().to_string();
            assert!(error.contains("telemetry.otlp_endpoint") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_no_secret_with_it() {
        let settings = Settings::new("http://localhost:4318", "o");
        for (name, value) in [("a b", "secret"), ("a", "secret\n")] {
            let wrong = Settings { headers: vec![(name.to_owned(), value.to_owned())], ..settings.clone() };
            let told = wrong.check().unwrap_err().to_string();
            assert!(told.contains(name) && !told.contains("secret"), "{told}");
        }
        for sample_ratio in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(Settings { sample_ratio, ..settings.clone() }.check(), Err(Error::Ratio(_))));
        }
        let hidden =
            Settings { headers: vec![("authorization".to_owned(), "secret".to_owned())], ..settings };
        assert_eq!(hidden.check(), Ok(()));
        let shown = format!("{hidden:?} {:?}", hidden.header_map().unwrap());
        assert!(shown.contains("authorization") && !shown.contains("secret"), "{shown}");
    }
}
