//! The Task Router: (task definition, tenant, security level, priority) -> queue, by rules in configuration.

use oarlock_protocol::definition::TaskDefinition;
use oarlock_protocol::security::SecurityLevel;

/// The priority of a task where neither its step nor its run names one: the middle of 0 to 9.
pub const DEFAULT_PRIORITY: u8 = 4;

/// The priority that counts for a task: that of its step, else that of its run, else the default.
pub fn priority(step: Option<u8>, run: Option<u8>) -> u8 {
    step.or(run).unwrap_or(DEFAULT_PRIORITY)
}

/// One routing rule: what it demands, and the queue it chooses. A demand that is absent holds for every task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The task definition's id, `*` standing for any text.
    pub task: Option<String>,
    /// The tenant, `*` standing for any text.
    pub tenant: Option<String>,
    /// This security level or a higher one.
    pub security_level: Option<SecurityLevel>,
    /// This priority or a higher one.
    pub priority: Option<u8>,
    /// The queue; `{queue}` and `{tenant}` in it stand for the task definition's queue and the tenant.
    pub queue: String,
}

/// Names the task queue: that of the first rule whose every demand holds, else the task definition's.
pub fn route(rules: &[Rule], task: &TaskDefinition, tenant: &str, priority: u8) -> String {
    let own = task.queue.as_deref().unwrap_or(&task.id);
    let level = task.security_requirements.as_ref().and_then(|requirements| requirements.security_level);
    let holds = |rule: &&Rule| {
        rule.task.as_deref().is_none_or(|pattern| matches(pattern, &task.id))
            && rule.tenant.as_deref().is_none_or(|pattern| matches(pattern, tenant))
            && rule.security_level.is_none_or(|least| level >= Some(least))
            && rule.priority.is_none_or(|least| priority >= least)
    };
    match rules.iter().find(holds) {
        Some(rule) => rule.queue.replace("{queue}", own).replace("{tenant}", tenant),
        None => own.to_owned(),
    }
}

/// Whether `text` fits `pattern`, in which each `*` stands for any text, also none.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::security::SecurityRequirements;

    use super::*;

    fn task(id: &str, level: Option<SecurityLevel>) -> TaskDefinition {
        let security_requirements =
            Some(SecurityRequirements { security_level: level, ..Default::default() });
        TaskDefinition { id: id.to_owned(), security_requirements, ..Default::default() }
    }

    fn rule(queue: &str) -> Rule {
        Rule { queue: queue.to_owned(), ..Default::default() }
    }

    #[test]
    fn the_first_rule_that_holds_chooses() {
        let rules = [
            Rule {
                task: Some("payment.*".into()),
                security_level: Some(SecurityLevel::High),
                ..rule("{queue}.vault")
            },
            Rule { tenant: Some("acme".into()), priority: Some(8), ..rule("{tenant}.fast") },
            Rule { tenant: Some("acme".into()), ..rule("acme") },
        ];
        let rows = [
            ("payment.charge", Some(SecurityLevel::Critical), "acme", 9, "payment.charge.vault"),
            ("payment.charge", Some(SecurityLevel::Low), "acme", 9, "acme.fast"),
            ("payment.charge", None, "acme", 7, "acme"),
            ("mail.send", Some(SecurityLevel::High), "other", 9, "mail.send"),
        ];
        for (id, level, tenant, priority, expected) in rows {
            assert_eq!(
                route(&rules, &task(id, level), tenant, priority),
                expected,
                "{id} {level:?} {tenant} {priority}"
            );
        }
    }

    #[test]
    fn the_task_definitions_own_queue_is_the_default() {
        let own = TaskDefinition { id: "a".into(), queue: Some("b".into()), ..Default::default() };
        assert_eq!(route(&[], &own, "t", 4), "b");
        assert_eq!(route(&[rule("{queue}.x")], &own, "t", 4), "b.x");
    }

    #[test]
    fn stars_stand_for_any_text() {
        let rows = [
            ("HTTP_5*", "HTTP_503", true),
            ("HTTP_5*", "HTTP_404", false),
            ("*", "", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "acb", false),
            ("*_TIMEOUT", "GATEWAY_TIMEOUT", true),
            ("aa*aa", "aaa", false),
            ("exact", "exactly", false),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
