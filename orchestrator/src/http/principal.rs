//! On whose behalf a request acts.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use oarlock_protocol::name;
use oarlock_protocol::security::SecurityContext;

use super::State;
use super::error::Failure;

/// The security context of a request: its headers, and the configured principal where one is absent.
pub(super) struct Principal(pub(super) SecurityContext);

impl FromRequestParts<State> for Principal {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Failure> {
        let mut context = (*state.principal).clone();
        if let Some(user) = header(parts, "oarlock-user")? {
            context.user_id = user;
        }
        if let Some(tenant) = header(parts, "oarlock-tenant")? {
            name::check_tenant(&tenant).map_err(|e| Failure::Invalid(e.to_string()))?;
            context.tenant_id = tenant;
        }
        if let Some(roles) = header(parts, "oarlock-roles")? {
            context.roles = listed(&roles);
        }
        if let Some(permissions) = header(parts, "oarlock-permissions")? {
            context.permissions = listed(&permissions);
        }
        Ok(Self(context))
    }
}

fn header(parts: &Parts, name: &str) -> Result<Option<String>, Failure> {
    let Some(value) = parts.headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Failure::Invalid(format!("the header {name} is no plain text")))?;
    Ok(Some(text.trim().to_owned()))
}

/// The items of a comma-separated list.
fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
