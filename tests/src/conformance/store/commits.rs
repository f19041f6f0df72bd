//! Which commits are taken, and that they are taken wholly.

use super::*;

/// What is committed is read, by every node.
pub async fn a_commit_is_read_back(harness: Harness) {
    let token = harness.owner().await;
    harness.commit(&token, 1, &[set(&run(1), "head", "h"), score(&Key::Timers, "t", 7)]).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("head", "h")]));
    assert_eq!(harness.sorted(&Key::Timers).await, members([("t", 7)]));
}

/// Nobody writes to a partition that is not owned.
pub async fn a_commit_without_ownership_is_fenced(harness: Harness) {
    harness.partitions().await;
    let token = Token { epoch: 0, nonce: 0 };
    let outcome = harness.store.commit(0, &token, 1, &[set(&Key::Outbox, "a", "1")]).await;
    assert_eq!(outcome, Err(Error::Fenced(0)));
    assert_eq!(harness.hash(&Key::Outbox).await, []);
}

/// After a take-over the old owner's commits are refused, new ones and repeated ones alike.
pub async fn a_commit_after_a_take_over_is_fenced(harness: Harness) {
    harness.partitions().await;
    let old = harness.take(0, SHORT).await;
    harness.commit(&old, 1, &[set(&Key::Outbox, "a", "old")]).await;
    (harness.pass)(SHORT).await;
    let (new, seq) = owned(harness.other.own(0, &claim("two", LONG, None)).await);
    assert_eq!(seq, 1);
    for seq in 1..=3 {
        let outcome = harness.store.commit(0, &old, seq, &[set(&Key::Outbox, "a", "late")]).await;
        assert_eq!(outcome, Err(Error::Fenced(0)), "seq {seq}");
    }
    assert_eq!(harness.hash(&Key::Outbox).await, fields([("a", "old")]));
    harness.other.commit(0, &new, 2, &[set(&Key::Outbox, "a", "new")]).await.unwrap();
    assert_eq!(harness.hash(&Key::Outbox).await, fields([("a", "new")]));
}

/// A token ends with its release.
pub async fn a_commit_after_a_release_is_fenced(harness: Harness) {
    let token = harness.owner().await;
    harness.store.release(0, &token).await.unwrap();
    assert_eq!(harness.store.commit(0, &token, 1, &[]).await, Err(Error::Fenced(0)));
}

/// The epoch alone proves nothing.
pub async fn a_token_of_another_nonce_is_fenced(harness: Harness) {
    let token = harness.owner().await;
    let forged = Token { nonce: token.nonce ^ 1, ..token };
    assert_eq!(harness.store.commit(0, &forged, 1, &[]).await, Err(Error::Fenced(0)));
    let renewal = harness.store.own(0, &claim("one", LONG, Some(&forged))).await;
    assert_eq!(renewal, Err(Error::Fenced(0)));
}

/// A retry after a lost reply answers `Ok` and writes nothing.
pub async fn the_same_seq_again_writes_nothing(harness: Harness) {
    let token = harness.owner().await;
    harness.commit(&token, 1, &[set(&Key::Outbox, "a", "1")]).await;
    harness.commit(&token, 1, &[set(&Key::Outbox, "a", "2"), set(&Key::Outbox, "b", "2")]).await;
    assert_eq!(harness.hash(&Key::Outbox).await, fields([("a", "1")]));
    harness.commit(&token, 2, &[set(&Key::Outbox, "b", "3")]).await;
    assert_eq!(harness.hash(&Key::Outbox).await, fields([("a", "1"), ("b", "3")]));
}

/// A store that is ahead of the commit, under the same token, has it already.
pub async fn an_older_seq_again_writes_nothing(harness: Harness) {
    let token = harness.owner().await;
    for seq in 1..=3 {
        harness.commit(&token, seq, &[set(&Key::Outbox, "a", &seq.to_string())]).await;
    }
    harness.commit(&token, 2, &[set(&Key::Outbox, "a", "again")]).await;
    assert_eq!(harness.hash(&Key::Outbox).await, fields([("a", "3")]));
    harness.commit(&token, 4, &[]).await;
}

/// A store that is behind the commit before has lost some: nothing is written on top of the gap.
pub async fn a_gap_in_the_seq_tells_of_a_rollback(harness: Harness) {
    let token = harness.owner().await;
    harness.commit(&token, 1, &[set(&Key::Outbox, "a", "1")]).await;
    let outcome = harness.store.commit(0, &token, 5, &[set(&Key::Outbox, "a", "5")]).await;
    assert_eq!(outcome, Err(Error::RolledBack { partition: 0, stored: 1, mine: 4 }));
    assert_eq!(harness.hash(&Key::Outbox).await, fields([("a", "1")]));
    harness.commit(&token, 2, &[set(&Key::Outbox, "a", "2")]).await;
}

/// A refused commit leaves no part of itself, of any kind of write.
pub async fn a_refused_commit_writes_nothing(harness: Harness) {
    let token = harness.owner().await;
    let before = [set(&run(1), "kept", "1"), set(&run(1), "head", "1"), score(&Key::Timers, "t", 1)];
    harness.commit(&token, 1, &before).await;
    let writes = [
        set(&run(1), "head", "2"),
        unset(&run(1), "kept"),
        score(&Key::Timers, "t", 2),
        score(&Key::Timers, "u", 2),
        unscore(&Key::Timers, "t"),
        Write::Delete { key: run(1) },
    ];
    let forged = Token { epoch: token.epoch + 1, ..token };
    for (token, seq) in [(&token, 9), (&forged, 2)] {
        harness.store.commit(0, token, seq, &writes).await.unwrap_err();
        assert_eq!(harness.hash(&run(1)).await, fields([("head", "1"), ("kept", "1")]));
        assert_eq!(harness.sorted(&Key::Timers).await, members([("t", 1)]));
    }
}

/// A commit without writes takes its seq all the same.
pub async fn an_empty_commit_counts(harness: Harness) {
    let token = harness.owner().await;
    harness.commit(&token, 1, &[]).await;
    let (_, seq) = owned(harness.store.own(0, &claim("one", LONG, Some(&token))).await);
    assert_eq!(seq, 1);
}

/// A reader never sees a part of a commit.
pub async fn readers_see_whole_commits(harness: Harness) {
    let token = harness.owner().await;
    let names: Vec<_> = (0..50).map(|number| format!("f{number}")).collect();
    let (store, writing) = (Arc::clone(&harness.store), names.clone());
    let writer = tokio::spawn(async move {
        for seq in 1..=100u64 {
            let writes: Vec<_> = writing.iter().map(|name| set(&run(1), name, &seq.to_string())).collect();
            store.commit(0, &token, seq, &writes).await.unwrap();
        }
    });
    loop {
        let over = writer.is_finished();
        let read = harness.other.read_hash(0, &run(1), Fields::Named(names.clone())).await.unwrap();
        assert!(read.is_empty() || read.len() == names.len(), "{} fields", read.len());
        assert!(read.windows(2).all(|pair| pair[0].1 == pair[1].1), "{read:?}");
        if over {
            break;
        }
    }
    writer.await.unwrap();
}

/// Owners of several partitions commit at the same time, each in its own order.
pub async fn partitions_commit_side_by_side(harness: Harness) {
    harness.partitions().await;
    let mut owners = tokio::task::JoinSet::new();
    for partition in 0..PARTITIONS {
        let store = Arc::clone(if partition % 2 == 0 { &harness.store } else { &harness.other });
        owners.spawn(async move {
            let (token, _) = owned(store.own(partition, &claim("one", LONG, None)).await);
            for seq in 1..=50u64 {
                let writes = [set(&Key::Outbox, &seq.to_string(), &partition.to_string())];
                store.commit(partition, &token, seq, &writes).await.unwrap();
            }
        });
    }
    tokio::time::timeout(PATIENCE, owners.join_all()).await.unwrap();
    for partition in 0..PARTITIONS {
        let fields = harness.store.read_hash(partition, &Key::Outbox, Fields::All).await.unwrap();
        assert_eq!(fields.len(), 50);
        assert!(fields.iter().all(|(_, value)| *value == partition.to_string()));
    }
}
