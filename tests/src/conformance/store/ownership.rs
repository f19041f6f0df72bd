//! Who owns a partition, and until when.

use super::*;

/// Whoever asks later gets the number that was fixed first.
pub async fn the_number_of_partitions_is_fixed_at_first_use(harness: Harness) {
    assert_eq!(harness.store.partitions(3).await, Ok(3));
    assert_eq!(harness.store.partitions(8).await, Ok(3));
    assert_eq!(harness.other.partitions(1).await, Ok(3));
    harness.take(2, LONG).await;
}

/// A new partition begins with seq 0.
pub async fn a_free_partition_is_taken(harness: Harness) {
    harness.partitions().await;
    let (token, seq) = owned(harness.store.own(0, &claim("one", LONG, None)).await);
    assert!(token.epoch >= 1);
    assert_eq!(seq, 0);
}

/// While a lease runs nobody else gets the partition, not even a node of the same name; it is told who holds it.
pub async fn a_held_partition_is_refused(harness: Harness) {
    harness.owner().await;
    for holder in ["two", "one"] {
        match harness.other.own(0, &claim(holder, LONG, None)).await.unwrap() {
            Ownership::HeldBy { holder, expires_in } => {
                assert_eq!(holder, "one");
                assert!(!expires_in.is_zero() && expires_in <= LONG, "{expires_in}");
            }
            owned => panic!("it is held: {owned:?}"),
        }
    }
    owned(harness.other.own(1, &claim("two", LONG, None)).await);
}

/// Of claims that come at once exactly one succeeds.
pub async fn of_two_claimants_one_owns(harness: Harness) {
    harness.partitions().await;
    for partition in 0..PARTITIONS {
        let mut claims = tokio::task::JoinSet::new();
        for node in 0..8 {
            let store = Arc::clone(if node % 2 == 0 { &harness.store } else { &harness.other });
            claims.spawn(async move { store.own(partition, &claim(&format!("n{node}"), LONG, None)).await });
        }
        let answers = tokio::time::timeout(PATIENCE, claims.join_all()).await.unwrap();
        let owners = answers.iter().filter(|answer| matches!(answer, Ok(Ownership::Owned { .. }))).count();
        assert_eq!((owners, answers.len()), (1, 8));
    }
}

/// An expired lease is free; its next owner has a greater epoch and another nonce.
pub async fn an_expired_lease_is_taken_with_a_greater_epoch(harness: Harness) {
    harness.partitions().await;
    let first = harness.take(0, SHORT).await;
    assert!(matches!(harness.other.own(0, &claim("two", LONG, None)).await, Ok(Ownership::HeldBy { .. })));
    (harness.pass)(SHORT).await;
    let (second, _) = owned(harness.other.own(0, &claim("two", LONG, None)).await);
    assert!(second.epoch > first.epoch);
    assert_ne!(second.nonce, first.nonce);
}

/// Ownership never ends by itself: as long as nobody took the partition, its owner commits and renews.
pub async fn an_expired_lease_still_serves_its_owner(harness: Harness) {
    harness.partitions().await;
    let token = harness.take(0, SHORT).await;
    (harness.pass)(SHORT).await;
    harness.commit(&token, 1, &[set(&Key::Outbox, "a", "1")]).await;
    assert_eq!(owned(harness.store.own(0, &claim("one", LONG, Some(&token))).await), (token, 1));
    assert!(matches!(harness.other.own(0, &claim("two", LONG, None)).await, Ok(Ownership::HeldBy { .. })));
}

/// A renewal keeps the token, tells the seq and counts the lease from now.
pub async fn renewing_prolongs_the_lease(harness: Harness) {
    harness.partitions().await;
    let token = harness.take(0, SHORT).await;
    harness.commit(&token, 1, &[]).await;
    assert_eq!(owned(harness.store.own(0, &claim("one", LONG, Some(&token))).await), (token.clone(), 1));
    (harness.pass)(SHORT).await;
    assert!(matches!(harness.other.own(0, &claim("two", LONG, None)).await, Ok(Ownership::HeldBy { .. })));
    harness.commit(&token, 2, &[]).await;
}

/// Whoever renews too late learns that the partition is another's, and does not take it back.
pub async fn a_renewal_after_a_take_over_is_fenced(harness: Harness) {
    harness.partitions().await;
    let old = harness.take(0, SHORT).await;
    (harness.pass)(SHORT).await;
    let (new, _) = owned(harness.other.own(0, &claim("two", LONG, None)).await);
    assert_eq!(harness.store.own(0, &claim("one", LONG, Some(&old))).await, Err(Error::Fenced(0)));
    harness.other.commit(0, &new, 1, &[]).await.unwrap();
}

/// A released partition needs no waiting.
pub async fn a_released_partition_is_free_at_once(harness: Harness) {
    let first = harness.owner().await;
    harness.commit(&first, 1, &[]).await;
    harness.store.release(0, &first).await.unwrap();
    let (second, seq) = owned(harness.other.own(0, &claim("two", LONG, None)).await);
    assert!(second.epoch > first.epoch);
    assert_eq!(seq, 1);
}

/// A former owner cannot release what is no longer its own.
pub async fn releasing_with_an_old_token_does_nothing(harness: Harness) {
    let first = harness.owner().await;
    harness.store.release(0, &first).await.unwrap();
    let (second, _) = owned(harness.other.own(0, &claim("two", LONG, None)).await);
    harness.store.release(0, &first).await.unwrap();
    assert!(matches!(harness.store.own(0, &claim("one", LONG, None)).await, Ok(Ownership::HeldBy { .. })));
    harness.other.commit(0, &second, 1, &[]).await.unwrap();
}

/// The next owner goes on at the seq of the last commit.
pub async fn taking_a_partition_tells_the_last_seq(harness: Harness) {
    let first = harness.owner().await;
    for seq in 1..=5 {
        harness.commit(&first, seq, &[]).await;
    }
    harness.store.release(0, &first).await.unwrap();
    let (second, seq) = owned(harness.other.own(0, &claim("two", LONG, None)).await);
    assert_eq!(seq, 5);
    harness.other.commit(0, &second, 6, &[]).await.unwrap();
}
