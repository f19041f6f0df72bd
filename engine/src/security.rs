//! The security context of a task: the run's, narrowed by what the task definition demands.

use std::borrow::Cow;

use oarlock_protocol::ErrorDetails;
use oarlock_protocol::code::Code;
use oarlock_protocol::security::{SecurityContext, SecurityRequirements};

/// Finds whether `context` holds every required permission.
///
/// # Errors
/// PERMISSION_DENIED, naming the missing permissions and `what` demands them.
pub fn authorize(
    context: &SecurityContext,
    requirements: Option<&SecurityRequirements>,
    what: &str,
) -> Result<(), ErrorDetails> {
    let required = requirements.map(|r| r.required_permissions.as_slice()).unwrap_or_default();
    let missing: Vec<&str> = required
        .iter()
        .filter(|permission| !context.permissions.contains(permission))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{what} requires the permission {}, which the run of user '{}' does not hold",
        missing.join(", "),
        context.user_id
    );
    Err(ErrorDetails::system(Code::PermissionDenied, message))
}

/// The context a task runs under: where it names permissions, it holds these and no others of the run's.
pub fn narrow<'a>(
    run: &'a SecurityContext,
    requirements: Option<&SecurityRequirements>,
) -> Cow<'a, SecurityContext> {
    let Some(requirements) = requirements else { return Cow::Borrowed(run) };
    let mut context = run.clone();
    if !requirements.required_permissions.is_empty() {
        context.permissions.retain(|permission| requirements.required_permissions.contains(permission));
    }
    context.required_permissions = requirements.required_permissions.clone();
    context.security_level = requirements.security_level;
    context.data_classification = requirements.data_classification;
    Cow::Owned(context)
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::security::DataClassification;

    use super::*;

    fn run(permissions: &[&str]) -> SecurityContext {
        SecurityContext {
            user_id: "ada".into(),
            tenant_id: "acme".into(),
            roles: vec!["clerk".into()],
            permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
            ..Default::default()
        }
    }

    fn requiring(permissions: &[&str]) -> SecurityRequirements {
        SecurityRequirements {
            required_permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
            data_classification: Some(DataClassification::Confidential),
            ..Default::default()
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        let error = authorize(&run(&["a"]), Some(&requiring(&["a", "b", "c"])), "task 'x'").unwrap_err();
        assert_eq!(error.code, "PERMISSION_DENIED");
        assert!(!error.retryable);
        assert!(error.message.contains("b, c") && error.message.contains("ada"), "{}", error.message);
        assert!(authorize(&run(&["a", "b", "c"]), Some(&requiring(&["c", "a"])), "x").is_ok());
        assert!(authorize(&run(&[]), None, "x").is_ok());
    }

    #[test]
    fn a_task_holds_what_it_requires_and_no_more() {
        let run = run(&["a", "b"]);
        let context = narrow(&run, Some(&requiring(&["b"])));
        assert_eq!(context.permissions, ["b"]);
        assert_eq!(context.required_permissions, ["b"]);
        assert_eq!(context.data_classification, Some(DataClassification::Confidential));
        assert_eq!((context.user_id.as_str(), context.roles.as_slice()), ("ada", &["clerk".to_owned()][..]));
        assert_eq!(*narrow(&run, None), run);
    }
}
