//! Which hosts a worker may call: patterns of its configuration. Nothing is allowed that no pattern names.
//!
//! | pattern | allows |
//! |---|---|
//! | `api.example.com` | that host at the scheme's own port |
//! | `*.example.com` | every host below it, at any depth, not itself |
//! | `127.0.0.1:8080`, `[::1]:8080` | that port |
//! | `127.0.0.1:*` | every port |

use std::str::FromStr;

/// A pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    subdomains: bool,
    port: Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Default,
    Any,
    Exactly(u16),
}

/// A text that is no pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no pattern of hosts: write a host with or without a port, such as api.example.com, *.example.com, 127.0.0.1:8080 or 127.0.0.1:* (no scheme, no path)"
)]
pub struct InvalidPattern(String);

impl HostPattern {
    /// Whether the pattern allows `host` (an IPv6 address in brackets) at `port`; none is the scheme's own.
    pub fn allows(&self, host: &str, port: Option<u16>) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let named = match self.subdomains {
            true => host.strip_suffix(&self.host).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.host,
        };
        let at_port = match self.port {
            Port::Default => port.is_none(),
            Port::Any => true,
            Port::Exactly(wanted) => port == Some(wanted),
        };
        named && at_port
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        // An IPv6 address has colons of its own, within brackets.
        let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text.get(end..).and_then(|rest| rest.find(':')) {
            Some(colon) => text.split_at_checked(end + colon).ok_or_else(invalid)?,
            None => (text, ""),
        };
        let port = match port {
            "" => Port::Default,
            ":*" => Port::Any,
            number => Port::Exactly(number.trim_start_matches(':').parse().map_err(|_| invalid())?),
        };
        let (subdomains, host) = host.strip_prefix("*.").map_or((false, host), |rest| (true, rest));
        if !is_host(host) {
            return Err(invalid());
        }
        Ok(Self { host: host.to_ascii_lowercase(), subdomains, port })
    }
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, host: &str, port: Option<u16>) -> bool {
        pattern.parse::<HostPattern>().unwrap().allows(host, port)
    }

    #[test]
    fn a_host_is_allowed_at_the_ports_its_pattern_names() {
        assert!(allows("api.example.com", "API.example.com", None));
        assert!(allows("api.example.com", "api.example.com.", None));
        assert!(!allows("api.example.com", "api.example.com", Some(8080)));
        assert!(allows("127.0.0.1:8080", "127.0.0.1", Some(8080)));
        assert!(!allows("127.0.0.1:8080", "127.0.0.1", None));
        assert!(allows("[::1]:*", "[::1]", Some(9)) && allows("[::1]:*", "[::1]", None));
    }

    #[test]
    fn a_star_stands_for_what_is_below_a_domain_only() {
        assert!(
            allows("*.example.com", "a.example.com", None)
                && allows("*.example.com", "a.b.example.com", None)
        );
        for host in ["example.com", ".example.com", "badexample.com", "example.com.evil.org"] {
            assert!(!allows("*.example.com", host, None), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_no_pattern() {
        for text in ["", "*", "*.", "http://a", "a/b", "a:b", "a:", "a:99999", "[::1", "a b", "a@b", "::1"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
