//! `oarlock anomalies`: what is unusual now, the worst first.

use std::process::ExitCode;

use oarlock_protocol::Json;

use super::{say, say_json};
use crate::client::Client;
use crate::exit::Failure;
use crate::show::table;

pub(super) async fn anomalies(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let view: Json = client.get("/v1/anomalies", &[]).await?;
    if json {
        say_json(&view);
        return Ok(ExitCode::SUCCESS);
    }
    let found = view.get("anomalies").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        say("nothing is unusual");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["SEVERITY", "KIND", "SINCE", "WHAT"].map(str::to_owned).to_vec()];
    let text =
        |finding: &Json, key: &str| finding.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    rows.extend(
        found
            .iter()
            .map(|finding| ["severity", "kind", "since", "text"].map(|key| text(finding, key)).to_vec()),
    );
    say(&table::text(&rows));
    Ok(ExitCode::SUCCESS)
}
