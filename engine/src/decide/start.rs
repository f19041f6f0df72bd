//! The start of a run.

use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::instance::{WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::name::check_tenant;
use oarlock_protocol::{ErrorDetails, FORMAT, Json, RunKey, Timestamp, priority};
use serde_json::json;
use uuid::Uuid;

use super::Decider;
use crate::effect::Effect;
use crate::payloads::AtHand;
use crate::plan::Plan;
use crate::run::{Head, Run};
use crate::settings::Settings;
use crate::{mapping, schema, security};

/// A start that is not accepted: nothing was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(pub ErrorDetails);

/// The longest correlation id and user id, in bytes: every task carries them, and every list of runs reads them.
const LONGEST_MARK: usize = 512;

/// The largest security context, in bytes of JSON: it lies beside them.
const LARGEST_CONTEXT: usize = 64 * 1024;

/// The namespace of request digests.
const REQUESTS: Uuid = Uuid::from_u128(0x7d5e_3f5a_2a61_5c0e_8f43_1d9b_6c20_e4a7);

/// Tells whether two starts under one id ask for the same: equal requests have equal digests.
pub fn digest(request: &StartMessage) -> String {
    let mut asked = vec![
        json!(request.workflow_definition_id),
        json!(request.workflow_definition_version),
        request.input.clone(),
        json!(request.correlation_id),
        json!(request.security_context.user_id),
    ];
    // Only where one is given: starts without one have the digest that earlier releases stored.
    asked.extend(request.priority.map(Json::from));
    Uuid::new_v5(&REQUESTS, Json::Array(asked).to_string().as_bytes()).simple().to_string()
}

/// Makes the run that a request asks for and decides its first steps.
///
/// # Errors
/// SCHEMA_VIOLATION where the input does not fit the workflow's `input`, after its defaults were filled in;
/// PERMISSION_DENIED where the workflow demands more than the context holds; PAYLOAD_TOO_LARGE for the input or
/// the security context;
/// INVALID_INPUT where it nests too deeply, or where tenant, user, correlation id or priority are not as they must be.
pub fn start(
    plan: &Plan,
    request: StartMessage,
    settings: &Settings,
    now: Timestamp,
) -> Result<(Run, Vec<Effect>), Refusal> {
    start_with(plan, request, AtHand::default(), settings, now)
}

/// As [`start`], where payloads kept elsewhere are at hand. Where the run then needs one that is not, nothing of it is kept.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    plan: &Plan,
    mut request: StartMessage,
    mut payloads: AtHand,
    settings: &Settings,
    now: Timestamp,
) -> Result<(Run, Vec<Effect>), Refusal> {
    check_marks(&request)?;
    let definition = &plan.definition;
    let what = format!("workflow '{}'", definition.id);
    security::authorize(&request.security_context, definition.security_requirements.as_ref(), &what)
        .map_err(Refusal)?;
    if !nests_within(&request.input, DEEPEST) {
        return Err(invalid(&mapping::too_deep("the workflow's input")));
    }
    if mapping::size(&request.input) > settings.payload_bytes {
        return Err(Refusal(mapping::too_large("the workflow's input", settings.payload_bytes)));
    }
    // The digest is that of the request as sent: a later release may fill in other defaults.
    let request_digest = digest(&request);
    let mut input = std::mem::take(&mut request.input);
    if input.is_null() {
        input = json!({});
    }
    schema::admit(plan.input_schema.as_ref(), &mut input, "the workflow's input", settings.payload_bytes)
        .map_err(Refusal)?;
    let key = RunKey::new(request.security_context.tenant_id.as_str(), request.workflow_instance_id);
    let head = Head {
        format: FORMAT,
        workflow_definition_id: definition.id.clone(),
        workflow_definition_version: definition.version,
        status: WorkflowStatus::Running,
        start_time: Some(now),
        end_time: None,
        error: None,
        failed_at: None,
        ending: None,
        handling: false,
        request_digest,
        held_back: false,
        opened_at: None,
        correlation_id: request.correlation_id,
        priority: request.priority,
        parent: request.parent,
        traceparent: request.traceparent,
        generation: 0,
        compensating: false,
        closings: 0,
        created_by: request.security_context.user_id.clone(),
        security_context: request.security_context,
        metrics: WorkflowMetrics::default(),
        created_at: now,
        updated_at: now,
    };
    payloads.notice(&input);
    Ok(begin(plan, Run { payloads, ..Run::new(key, head, input) }, settings, now))
}

/// Checks what the request puts into the head, which must stay small.
fn check_marks(request: &StartMessage) -> Result<(), Refusal> {
    let context = &request.security_context;
    check_tenant(&context.tenant_id).map_err(|e| invalid(&e.to_string()))?;
    if context.user_id.is_empty() || context.user_id.len() > LONGEST_MARK {
        return Err(invalid(&format!("userId must have 1 to {LONGEST_MARK} bytes")));
    }
    if request.correlation_id.as_ref().is_some_and(|id| id.len() > LONGEST_MARK) {
        return Err(invalid(&format!("correlationId must have at most {LONGEST_MARK} bytes")));
    }
    if request.priority.is_some_and(|given| given > priority::HIGHEST) {
        return Err(invalid(&format!("`priority`: {}", priority::WANTED)));
    }
    // What cannot be written as JSON is no context.
    if serde_json::to_vec(context).map_or(usize::MAX, |context| context.len()) > LARGEST_CONTEXT {
        let message = format!(
            "roles, permissions and environmentId are larger than {LARGEST_CONTEXT} bytes together; every task carries them"
        );
        return Err(Refusal(ErrorDetails::system(Code::PayloadTooLarge, message)));
    }
    Ok(())
}

fn invalid(message: &str) -> Refusal {
    Refusal(ErrorDetails::system(Code::InvalidInput, message))
}

fn begin(plan: &Plan, mut run: Run, settings: &Settings, now: Timestamp) -> (Run, Vec<Effect>) {
    run.variables = plan.definition.variables.clone();
    run.changes.variables = run.variables.keys().cloned().collect();
    (run.changes.head, run.changes.origin) = (true, true);
    let mut decider = Decider::new(plan, &mut run, settings, now);
    decider.effects.push(Effect::RunChanged { from: None, to: WorkflowStatus::Running });
    decider.begin_block(&plan.root(), None);
    decider.arm(&plan.root());
    decider.settle_agenda();
    decider.tell_parent_of_start();
    let effects = decider.finish();
    (run, effects)
}
