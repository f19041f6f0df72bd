//! Judges how a Redis server is set up, from what it says of itself. [`super::connection`] asks; nothing here speaks to a server.

use crate::store::Error;

/// What is expected of a server.
pub(super) struct Expected<'a> {
    /// Where it is, for people.
    pub(super) address: &'a str,
    /// Whether it is to be part of a cluster.
    pub(super) cluster: bool,
    /// How many replicas are to confirm each commit.
    pub(super) replicas: u32,
}

/// What `INFO` tells, as far as it matters.
struct Info<'a>(&'a str);

impl<'a> Info<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

/// Judges the answer of `INFO` and the value of `appendfsync`, where the user may see it. Answers warnings, in sentences.
///
/// # Errors
/// A server that cannot keep what it is given, or is another kind than expected; with the remedy.
pub(super) fn judge(
    info: &str,
    appendfsync: Option<&str>,
    expected: &Expected<'_>,
) -> Result<Vec<String>, Error> {
    let info = Info(info);
    refuse(&info, expected)?;
    let mut findings = Vec::new();
    let address = expected.address;
    if info.get("aof_enabled") == Some("0") {
        findings.push(format!(
            "Redis at {address} keeps no append-only file: when it ends, commits since its last snapshot are lost, or all. \
             Set appendonly yes and appendfsync always."
        ));
    } else {
        match appendfsync {
            Some("always") => {}
            Some(other) => findings.push(format!(
                "Redis at {address} has appendfsync {other}: when its machine crashes, the commits of {} are lost. \
                 Set appendfsync always.",
                if other == "everysec" { "the last one or two seconds" } else { "up to half a minute" }
            )),
            None => findings.push(format!(
                "Whether Redis at {address} has appendfsync always cannot be seen: its user may not call CONFIG GET."
            )),
        }
    }
    let connected = info.get("connected_slaves").and_then(|count| count.parse().ok()).unwrap_or(0);
    if expected.replicas > connected {
        findings.push(format!(
            "Redis at {address} has {connected} replicas and each commit waits for {}: nothing can be committed until \
             they are connected.",
            expected.replicas
        ));
    }
    Ok(findings)
}

fn refuse(info: &Info<'_>, expected: &Expected<'_>) -> Result<(), Error> {
    let address = expected.address;
    let unusable = |what: String| Err(Error::Unusable(format!("Redis at {address} {what}")));
    let version = info.get("redis_version").unwrap_or("of an unknown version");
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major| major < 7) {
        return unusable(format!("is {version}: use Redis 7.0 or newer, or Valkey"));
    }
    match (info.get("cluster_enabled") == Some("1"), expected.cluster) {
        (true, false) => {
            return unusable("is part of a cluster: configure the store with cluster = true".to_owned());
        }
        (false, true) => {
            return unusable("is no part of a cluster: configure the store with cluster = false".to_owned());
        }
        _ => {}
    }
    let policy = info.get("maxmemory_policy").unwrap_or("unknown");
    if policy != "noeviction" {
        return unusable(format!(
            "has maxmemory-policy {policy} and would throw runs away when memory is short: set maxmemory-policy noeviction"
        ));
    }
    // A seed of a cluster may be a replica: calls go to its primary.
    if info.get("role") == Some("slave") && !expected.cluster {
        return unusable("is a replica, which takes no writes: name its primary".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Memory\r\n\
        maxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\n\
        connected_slaves:1\r\n# Cluster\r\ncluster_enabled:0\r\n";
    const EXPECTED: Expected<'_> = Expected { address: "db:6379", cluster: false, replicas: 0 };

    #[test]
    fn a_good_server_gives_no_cause_for_words() {
        assert_eq!(judge(GOOD, Some("always"), &EXPECTED), Ok(Vec::new()));
        let valkey = GOOD.replace("7.0.15", "7.2.4");
        assert_eq!(judge(&valkey, Some("always"), &Expected { replicas: 1, ..EXPECTED }), Ok(Vec::new()));
    }

    #[test]
    fn a_server_that_cannot_work_is_refused_with_the_remedy() {
        let rows = [
            ("redis_version:7.0.15", "redis_version:6.2.14", "is 6.2.14: use Redis 7.0"),
            ("redis_version:7.0.15", "redis_version:5.0", "use Redis 7.0"),
            ("redis_version:7.0.15\r\n", "", "use Redis 7.0"),
            ("noeviction", "allkeys-lru", "set maxmemory-policy noeviction"),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster = true"),
            ("role:master", "role:slave", "name its primary"),
        ];
        for (good, bad, remedy) in rows {
            match judge(&GOOD.replace(good, bad), Some("always"), &EXPECTED) {
                Err(Error::Unusable(text)) => {
                    assert!(text.contains(remedy) && text.contains("db:6379"), "{text}")
                }
                other => panic!("{bad}: {other:?}"),
            }
        }
        let cluster = Expected { cluster: true, ..EXPECTED };
        let Err(Error::Unusable(text)) = judge(GOOD, None, &cluster) else { panic!("no cluster") };
        assert!(text.contains("cluster = false"), "{text}");
        let seed =
            GOOD.replace("cluster_enabled:0", "cluster_enabled:1").replace("role:master", "role:slave");
        assert_eq!(judge(&seed, Some("always"), &cluster), Ok(Vec::new()));
    }

    #[test]
    fn what_may_be_lost_is_said() {
        let rows = [
            (GOOD.replace("aof_enabled:1", "aof_enabled:0"), Some("always"), "appendonly yes"),
            (GOOD.to_owned(), Some("everysec"), "one or two seconds"),
            (GOOD.to_owned(), Some("no"), "half a minute"),
            (GOOD.to_owned(), None, "CONFIG GET"),
            (GOOD.replace("connected_slaves:1", "connected_slaves:0"), Some("always"), "has 0 replicas"),
        ];
        for (info, appendfsync, words) in rows {
            let expected = Expected { replicas: 1, ..EXPECTED };
            let findings = judge(&info, appendfsync, &expected).unwrap();
            assert!(findings.len() == 1 && findings[0].contains(words), "{words}: {findings:?}");
        }
    }
}
