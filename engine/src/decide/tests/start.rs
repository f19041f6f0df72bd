//! The start of a run, and what is refused there.

use oarlock_protocol::ErrorDetails;
use oarlock_protocol::depth::DEEPEST;
use oarlock_protocol::instance::WorkflowStatus::Running;
use serde_json::json;

use super::steps::{self, With, nested, task, workflow};
use super::world::{BEGIN, Setup, World, request};
use crate::decide::{digest, start};
use crate::effect::Effect;

fn refusal(setup: &Setup) -> ErrorDetails {
    let plan = steps::plan(setup.definition.clone());
    start(&plan, request(setup), &setup.settings, BEGIN).unwrap_err().0
}

#[test]
fn a_start_is_refused_to_who_lacks_the_workflows_permission() {
    let demands = json!({"securityRequirements": {"requiredPermissions": ["order"]}});
    let mut setup = Setup::from(workflow(json!([task("a")])).with(demands));
    let error = refusal(&setup);
    assert_eq!(error.code, "PERMISSION_DENIED");
    assert!(error.message.contains("order") && error.message.contains("workflow 'w'"), "{}", error.message);
    setup.permissions = vec!["order".to_owned()];
    let world = World::start_unchecked(&setup);
    assert_eq!(world.run.head.status, Running);
}

#[test]
fn an_input_that_is_too_large_is_refused_at_the_door() {
    let mut setup = Setup::from(workflow(json!([task("a")])));
    setup.input = json!({"text": "x".repeat(101)});
    setup.settings.payload_bytes = 100;
    assert_eq!(refusal(&setup).code, "PAYLOAD_TOO_LARGE");
}

#[test]
fn an_input_that_nests_too_deeply_is_refused_at_the_door() {
    let mut setup = Setup::from(workflow(json!([task("a")])));
    setup.input = nested(DEEPEST + 1);
    let error = refusal(&setup);
    assert_eq!(error.code, "INVALID_INPUT");
    assert!(error.message.contains("64 levels"), "{}", error.message);
    setup.input = nested(DEEPEST);
    assert_eq!(World::start_unchecked(&setup).run.head.status, Running);
}

#[test]
fn what_lies_in_the_head_must_be_small_and_well_spelled() {
    let setup = Setup::from(workflow(json!([task("a")])));
    let plan = steps::plan(setup.definition.clone());
    let asked = |correlation: usize, user: usize, tenant: &str| {
        let mut request = request(&setup);
        request.correlation_id = Some("c".repeat(correlation));
        request.security_context.user_id = "u".repeat(user);
        request.security_context.tenant_id = tenant.to_owned();
        start(&plan, request, &setup.settings, BEGIN).map(drop).map_err(|refusal| refusal.0)
    };
    assert_eq!(asked(512, 512, "acme"), Ok(()));
    let refused = [
        (asked(513, 1, "acme"), "correlationId"),
        (asked(1, 513, "acme"), "userId"),
        (asked(1, 0, "acme"), "userId"),
        (asked(1, 1, "a/b"), "tenant"),
        (asked(1, 1, ""), "tenant"),
    ];
    for (answer, named) in refused {
        let error = answer.unwrap_err();
        assert_eq!(error.code, "INVALID_INPUT");
        assert!(error.message.contains(named), "{}", error.message);
    }
}

#[test]
fn a_security_context_that_is_too_large_is_refused_at_the_door() {
    let setup = Setup::from(workflow(json!([task("a")])));
    let plan = steps::plan(setup.definition.clone());
    let asked = |roles: usize, permissions: usize, environment: usize| {
        let mut request = request(&setup);
        let context = &mut request.security_context;
        context.roles = vec!["r".repeat(roles)];
        context.permissions = vec!["p".repeat(permissions)];
        context.environment_id = Some("e".repeat(environment));
        start(&plan, request, &setup.settings, BEGIN).map(drop).map_err(|refusal| refusal.0)
    };
    assert_eq!(asked(20_000, 20_000, 20_000), Ok(()));
    for (roles, permissions, environment) in
        [(66_000, 1, 1), (1, 66_000, 1), (1, 1, 66_000), (30_000, 30_000, 6_000)]
    {
        let error = asked(roles, permissions, environment).unwrap_err();
        assert_eq!(error.code, "PAYLOAD_TOO_LARGE");
        assert!(error.message.contains("permissions"), "{}", error.message);
    }
}

#[test]
fn a_start_writes_every_part_and_says_what_follows() {
    let extra = json!({"variables": {"x": 1}, "timeouts": {"total": "1h"}});
    let setup = Setup::from(workflow(json!([task("a")])).with(extra));
    let plan = steps::plan(setup.definition.clone());
    let (run, effects) = start(&plan, request(&setup), &setup.settings, BEGIN).unwrap();
    assert!(run.changes.head && run.changes.origin && run.changes.variables.contains("x"));
    assert_eq!(effects[0], Effect::RunChanged { from: None, to: Running });
    let timers = effects.iter().filter(|effect| matches!(effect, Effect::SetTimer { .. })).count();
    let offers = effects.iter().filter(|effect| matches!(effect, Effect::Offer { .. })).count();
    assert_eq!((timers, offers), (2, 1), "{effects:?}");
}

#[test]
fn a_digest_tells_equal_requests_from_others() {
    let setup = Setup::from(workflow(json!([])));
    let mut other = setup.clone();
    other.input = json!({"n": 1});
    assert_eq!(digest(&request(&setup)), digest(&request(&setup)));
    assert_ne!(digest(&request(&setup)), digest(&request(&other)));
}
