//! What each kind of write does, and what stays apart.

use oarlock_protocol::Timestamp;

use super::*;

/// Later writes of a commit see earlier ones.
pub async fn writes_apply_in_their_order(harness: Harness) {
    let token = harness.owner().await;
    let writes = [
        set(&run(1), "a", "1"),
        set(&run(1), "a", "2"),
        set(&run(1), "b", "1"),
        unset(&run(1), "b"),
        set(&run(2), "gone", "1"),
        Write::Delete { key: run(2) },
        set(&run(2), "new", "1"),
        score(&Key::Timers, "t", 1),
        unscore(&Key::Timers, "t"),
        score(&Key::Timers, "t", 3),
    ];
    harness.commit(&token, 1, &writes).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("a", "2")]));
    assert_eq!(harness.hash(&run(2)).await, fields([("new", "1")]));
    assert_eq!(harness.sorted(&Key::Timers).await, members([("t", 3)]));
}

/// Setting replaces, deleting removes one field, and the others stay.
pub async fn hash_fields_are_set_and_deleted(harness: Harness) {
    let token = harness.owner().await;
    let writes = [set(&run(1), "a", "1"), set(&run(1), "b", "1"), set(&run(1), "c", "1")];
    harness.commit(&token, 1, &writes).await;
    harness.commit(&token, 2, &[set(&run(1), "a", "a much longer value"), unset(&run(1), "b")]).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("a", "a much longer value"), ("c", "1")]));
    harness.commit(&token, 3, &[unset(&run(1), "a"), unset(&run(1), "c")]).await;
    assert_eq!(harness.hash(&run(1)).await, []);
}

/// A member stands once, with its latest score.
pub async fn members_keep_one_score(harness: Harness) {
    let token = harness.owner().await;
    harness.commit(&token, 1, &[score(&Key::Timers, "a", 5), score(&Key::Timers, "b", 6)]).await;
    harness.commit(&token, 2, &[score(&Key::Timers, "a", 9)]).await;
    assert_eq!(harness.sorted(&Key::Timers).await, members([("b", 6), ("a", 9)]));
    harness.commit(&token, 3, &[score(&Key::Timers, "a", -9), unscore(&Key::Timers, "b")]).await;
    assert_eq!(harness.sorted(&Key::Timers).await, members([("a", -9)]));
}

/// `Delete` leaves nothing of a hash or sorted set, and nothing comes back when the key is written again.
pub async fn deleting_a_key_removes_it_wholly(harness: Harness) {
    let token = harness.owner().await;
    let mut writes: Vec<_> = (0..300).map(|n| set(&run(1), &format!("task/{n}"), "v")).collect();
    writes.extend((0..300).map(|n| score(&Key::Timers, &format!("m{n}"), n)));
    writes.push(set(&run(2), "head", "stays"));
    harness.commit(&token, 1, &writes).await;
    harness.commit(&token, 2, &[Write::Delete { key: run(1) }, Write::Delete { key: Key::Timers }]).await;
    assert_eq!(harness.hash(&run(1)).await, []);
    assert_eq!(harness.sorted(&Key::Timers).await, []);
    assert_eq!(harness.hash(&run(2)).await, fields([("head", "stays")]));
    harness.commit(&token, 3, &[set(&run(1), "head", "1"), score(&Key::Timers, "m7", 1)]).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("head", "1")]));
    assert_eq!(harness.sorted(&Key::Timers).await, members([("m7", 1)]));
}

/// Removing what is not there is no error.
pub async fn deleting_what_is_missing_does_nothing(harness: Harness) {
    let token = harness.owner().await;
    let missing = [
        unset(&run(1), "a"),
        unscore(&Key::Timers, "a"),
        Write::Delete { key: run(2) },
        Write::Delete { key: Key::Timers },
        set(&run(1), "a", "1"),
        unset(&run(1), "b"),
    ];
    harness.commit(&token, 1, &missing).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("a", "1")]));
}

/// The same key in another partition is another key.
pub async fn partitions_are_apart(harness: Harness) {
    let token = harness.owner().await;
    let second = harness.take(1, LONG).await;
    harness.commit(&token, 1, &[set(&run(1), "a", "zero"), score(&Key::Timers, "t", 0)]).await;
    let writes = [set(&run(1), "a", "one"), score(&Key::Timers, "t", 1)];
    harness.store.commit(1, &second, 1, &writes).await.unwrap();
    assert_eq!(harness.store.commit(1, &token, 2, &[]).await, Err(Error::Fenced(1)));
    let deletes = [Write::Delete { key: run(1) }, Write::Delete { key: Key::Timers }];
    harness.store.commit(1, &second, 2, &deletes).await.unwrap();
    assert_eq!(harness.hash(&run(1)).await, fields([("a", "zero")]));
    assert_eq!(harness.sorted(&Key::Timers).await, members([("t", 0)]));
    assert_eq!(harness.store.read_hash(1, &run(1), Fields::All).await, Ok(Vec::new()));
}

/// Keys that look alike are different keys, also when one is deleted.
pub async fn keys_are_apart(harness: Harness) {
    let token = harness.owner().await;
    let id = RunId::from_uuid(uuid::Uuid::from_u128(7));
    let hour = |begins| Key::Statistics { hour: Timestamp::from_millis(begins) };
    let hashes = [
        Key::Run(RunKey::new("acme", id)),
        Key::Run(RunKey::new("acme2", id)),
        Key::Run(RunKey::new("acm", id)),
        run(8),
        Key::Outbox,
        Key::Definitions,
        hour(0),
        hour(3_600_000),
        Key::Schedules,
        Key::Pauses,
        Key::Limits,
    ];
    let runs =
        |tenant: &str, status: &str| Key::Runs { tenant: tenant.to_owned(), status: status.to_owned() };
    let sets =
        [Key::Timers, runs("a", "RUNNING"), runs("aR", "UNNING"), runs("a:R", "UNNING"), runs("a", "RUN")];
    let values: Vec<_> = (0..hashes.len()).map(|number| number.to_string()).collect();
    let mut writes: Vec<_> = hashes.iter().zip(&values).map(|(key, value)| set(key, "f", value)).collect();
    writes.extend(sets.iter().zip(0..).map(|(key, number)| score(key, "m", number)));
    harness.commit(&token, 1, &writes).await;
    for (seq, gone) in (2..).zip(0..hashes.len().max(sets.len())) {
        for (key, value) in hashes.iter().zip(&values).skip(gone) {
            assert_eq!(harness.hash(key).await, fields([("f", value)]), "{key:?}");
        }
        for (key, number) in sets.iter().zip(0..).skip(gone) {
            assert_eq!(harness.sorted(key).await, members([("m", number)]), "{key:?}");
        }
        let keys = hashes.get(gone).into_iter().chain(sets.get(gone));
        let deletes: Vec<_> = keys.map(|key| Write::Delete { key: key.clone() }).collect();
        harness.commit(&token, seq, &deletes).await;
    }
}
