//! Values and payloads: a value that is too large becomes a reference, and a reference a value again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::payload::references;
use oarlock_protocol::{Json, JsonMap, RunKey};

use crate::{Error, Store};

/// Below this a field stays where it is even when its neighbours make the whole too large: a reference has some 250 bytes.
const SMALLEST_FIELD: usize = 1024;
/// What a reference is counted as: longer addresses than any sound store's.
const LARGEST_REFERENCE: usize = 512;
/// What stands around a field beside its name: quotes, a colon, a comma.
const AROUND_FIELD: usize = 4;
/// How many references one value may hold when all of them are read: each costs a question.
const MOST_REFERENCES: usize = 1_000;
/// How long a problem is told after it was met last: nobody may ask again for a while.
const TOLD: Duration = Duration::from_secs(60);

/// How large things may be, in bytes of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Above this a value is kept elsewhere.
    pub offload_bytes: usize,
    /// The largest payload, and the most that is read for one value.
    pub largest_bytes: usize,
}

/// A store of payloads with its limits. Cheap to clone.
#[derive(Clone)]
pub struct Payloads {
    store: Arc<dyn Store>,
    limits: Limits,
    problem: Arc<Mutex<Option<(String, Instant)>>>,
}

impl Payloads {
    /// Payloads in `store`.
    pub fn new(store: Arc<dyn Store>, limits: Limits) -> Self {
        Self { store, limits, problem: Arc::default() }
    }

    /// How large things may be.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Why the store did not answer, where it did not the last time it was asked, within the last minute.
    pub fn problem(&self) -> Option<String> {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.as_ref().filter(|(_, at)| at.elapsed() < TOLD).map(|(problem, _)| problem.clone())
    }

    /// Whether a value is larger than what stays where it is.
    pub fn is_large(&self, value: &Json) -> bool {
        size(value) > self.limits.offload_bytes
    }

    /// The value, or where it is larger than `offload_bytes` what stands for it: of a map the largest fields are kept elsewhere, as
    /// many as it takes, so that the others stay at hand; anything else, and a map of too many small fields, is kept whole.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn offload(&self, run: &RunKey, value: &Json) -> Result<Json, Error> {
        if !self.is_large(value) {
            return Ok(value.clone());
        }
        let Some((map, large)) = value.as_object().and_then(|map| Some((map, self.large_fields(map)?)))
        else {
            return self.keep(run, value).await;
        };
        let mut rest = JsonMap::new();
        for (name, field) in map {
            let field =
                if large.contains(&name.as_str()) { self.keep(run, field).await? } else { field.clone() };
            rest.insert(name.clone(), field);
        }
        Ok(Json::Object(rest))
    }

    /// The fewest fields without which a map is not large; none where all that may go are not enough.
    fn large_fields<'a>(&self, map: &'a JsonMap) -> Option<Vec<&'a str>> {
        let sized = map.iter().map(|(name, field)| (size(field), name.as_str()));
        let mut fields: Vec<_> = sized.filter(|(size, _)| *size >= SMALLEST_FIELD).collect();
        fields.sort_unstable_by(|a, b| b.cmp(a));
        let around: usize = map.keys().map(|name| name.len() + AROUND_FIELD).sum();
        let mut rest = around + map.values().map(size).sum::<usize>();
        let mut large = Vec::new();
        for (size, name) in fields {
            if rest <= self.limits.offload_bytes {
                break;
            }
            rest = rest - size + LARGEST_REFERENCE;
            large.push(name);
        }
        (rest <= self.limits.offload_bytes).then_some(large)
    }

    /// The value with every reference in it replaced by what it stands for.
    ///
    /// # Errors
    /// As [`Payloads::read`]; [`Error::TooLarge`] where all of them together are larger than one payload may be.
    pub async fn inline(&self, tenant: &str, mut value: Json) -> Result<Json, Error> {
        let found = references(&mut value);
        let size = found.iter().fold(0_u64, |sum, (reference, _)| sum.saturating_add(reference.size));
        let limit = self.limits.largest_bytes as u64;
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        if let Some((reference, _)) = found.get(MOST_REFERENCES) {
            let reason = format!("is one of more than {MOST_REFERENCES} in one value");
            return Err(Error::lost(&reference.uri, reason));
        }
        for (reference, place) in found {
            *place = self.read(tenant, &reference).await?;
        }
        Ok(value)
    }

    /// What a reference stands for.
    ///
    /// # Errors
    /// As [`Store::get`]; [`Error::Lost`] where it is no JSON.
    pub async fn read(&self, tenant: &str, reference: &PayloadReference) -> Result<Json, Error> {
        let bytes = self.note(self.store.get(tenant, reference).await)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::lost(&reference.uri, format!("is no JSON that can be read: {error}")))
    }

    /// Removes everything that was kept for a run.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub async fn delete(&self, run: &RunKey) -> Result<(), Error> {
        self.note(self.store.delete(run).await)
    }

    /// A reference to the value, which is kept elsewhere.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn keep(&self, run: &RunKey, value: &Json) -> Result<Json, Error> {
        // A JSON value always has a text.
        let text = serde_json::to_vec(value).unwrap_or_default();
        let kept = self.store.put(run, text.into()).await;
        self.note(kept).map(|reference| reference.to_json())
    }

    fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Err(error @ Error::Unavailable(_)) => *problem = Some((error.to_string(), Instant::now())),
            Ok(_) => *problem = None,
            Err(Error::Lost { .. } | Error::TooLarge { .. }) => {}
        }
        result
    }
}

impl std::fmt::Debug for Payloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payloads").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// How many bytes the value's text has, without making it.
fn size(value: &Json) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::RunId;
    use serde_json::json;

    use super::*;
    use crate::Objects;

    fn payloads() -> (Payloads, RunKey) {
        let limits = Limits { offload_bytes: 4_000, largest_bytes: 100_000 };
        let store = Arc::new(Objects::memory(100_000));
        (Payloads::new(store, limits), RunKey::new("acme", RunId::random()))
    }

    fn referred(value: &Json) -> bool {
        PayloadReference::of(value).is_some()
    }

    #[tokio::test]
    async fn only_what_is_too_large_is_kept_elsewhere_and_comes_back_whole() {
        let (payloads, run) = payloads();
        let small = json!({"a": "x".repeat(3_000)});
        assert_eq!(payloads.offload(&run, &small).await.unwrap(), small);
        let large = json!(["x".repeat(5_000), 1.5, null]);
        let kept = payloads.offload(&run, &large).await.unwrap();
        assert!(referred(&kept), "{kept}");
        let nested = json!({"in": [kept.clone(), {"a": kept}]});
        let inlined = payloads.inline("acme", nested).await.unwrap();
        assert_eq!(inlined, json!({"in": [large.clone(), {"a": large}]}));
    }

    #[tokio::test]
    async fn of_a_map_only_the_largest_fields_go() {
        let (payloads, run) = payloads();
        let value = json!({"large": "x".repeat(9_000), "middle": "y".repeat(2_000), "id": 7});
        let kept = payloads.offload(&run, &value).await.unwrap();
        assert!(referred(&kept["large"]), "{kept}");
        assert_eq!((&kept["middle"], &kept["id"]), (&value["middle"], &value["id"]));
        assert_eq!(payloads.inline("acme", kept).await.unwrap(), value);
        let middling = json!({"a": "x".repeat(3_000), "b": "y".repeat(3_500), "c": "z".repeat(2_000)});
        let kept = payloads.offload(&run, &middling).await.unwrap();
        assert_eq!([referred(&kept["a"]), referred(&kept["b"]), referred(&kept["c"])], [true, true, false]);
    }

    #[tokio::test]
    async fn a_list_and_a_map_of_many_small_fields_go_whole() {
        let (payloads, run) = payloads();
        let many: Json =
            (0..1_000).map(|n| (format!("field{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
        let mut mixed = many.clone();
        mixed["large"] = json!("x".repeat(9_000));
        for value in [many, mixed, json!(vec!["x".repeat(50); 100])] {
            let kept = payloads.offload(&run, &value).await.unwrap();
            assert!(referred(&kept), "{kept}");
            assert_eq!(payloads.inline("acme", kept).await.unwrap(), value);
        }
    }

    #[tokio::test]
    async fn what_is_read_for_one_value_is_bounded() {
        let (payloads, run) = payloads();
        let kept = payloads.offload(&run, &json!("x".repeat(60_000))).await.unwrap();
        let error = payloads.inline("acme", json!([kept.clone(), kept.clone()])).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 100_000, .. }), "{error}");
        let error = payloads.offload(&run, &json!("x".repeat(100_001))).await.unwrap_err();
        assert_eq!(error.details().code, "PAYLOAD_TOO_LARGE");
        let tiny = payloads.keep(&run, &json!(1)).await.unwrap();
        let error = payloads.inline("acme", json!(vec![tiny; 1_001])).await.unwrap_err();
        assert!(error.to_string().contains("more than 1000"), "{error}");
    }
}
