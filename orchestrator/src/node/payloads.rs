//! Payloads kept elsewhere, as a node uses them: inputs of starts are kept, and whoever reads a run may have them read.

use oarlock_payloads::Payloads;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::instance::WorkflowInstance;
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::{Json, RunKey};

use super::{Error, Node};

impl Node {
    /// Where large payloads are kept, where there is such a store.
    pub fn payloads(&self) -> Option<&Payloads> {
        self.shared.settings.payloads.as_ref()
    }

    /// The whole run as JSON, with every reference in it read.
    ///
    /// # Errors
    /// [`Error::Payloads`], where one cannot be read or all together are too large.
    pub async fn with_payloads(&self, run: &WorkflowInstance) -> Result<Json, Error> {
        // A run always has a JSON form: it came from one.
        let value = serde_json::to_value(run).unwrap_or_default();
        match self.payloads() {
            Some(payloads) => Ok(payloads.inline(&run.tenant_id, value).await?),
            None => Ok(value),
        }
    }

    /// The same start with the large fields of its input kept elsewhere, and the run they are kept for, where there are any. The
    /// same input of the same run becomes the same references, so a start that is sent again is the same start.
    pub(super) async fn keep_input(
        &self,
        mut request: StartMessage,
    ) -> Result<(StartMessage, Option<RunKey>), Error> {
        let Some(payloads) = self.payloads() else { return Ok((request, None)) };
        // One too deep to be read again is refused by whoever decides the start.
        if !payloads.is_large(&request.input) || !nests_within(&request.input, DEEPEST) {
            return Ok((request, None));
        }
        let run = RunKey::new(request.security_context.tenant_id.as_str(), request.workflow_instance_id);
        request.input = payloads.offload(&run, &request.input).await?;
        Ok((request, Some(run)))
    }

    /// Removes what was kept for a run that was not started. Where a key names the run it may have been started before, or be
    /// started now: then it stays until a run of that key is forgotten.
    pub(super) fn leave_nothing(&self, run: RunKey) {
        let Some(payloads) = self.payloads().filter(|_| !run.run.is_keyed()).cloned() else { return };
        tokio::spawn(async move {
            if let Err(error) = payloads.delete(&run).await {
                tracing::warn!(%run, %error, "the payloads of a start that was refused stay in the payload store");
            }
        });
    }
}
