//! What happens to one server while the store uses it.

use super::server::{Proxy, Server};
use super::*;

#[tokio::test]
async fn scripts_that_a_server_forgot_are_loaded_again() {
    let server = Server::start(&[]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    for seq in 1..=20_u64 {
        if seq % 3 == 0 {
            assert_eq!(server.command(&["SCRIPT", "FLUSH"]).text(), "OK");
        }
        store.commit(0, &token, seq, &[set(&Key::Outbox, &seq.to_string(), "x")]).await.unwrap();
    }
    server.command(&["SCRIPT", "FLUSH"]);
    let (again, seq, _) = own(&store, 0, Some(&token)).await;
    assert_eq!((again, seq), (token, 20));
    assert_eq!(hash(&store, 0, &Key::Outbox).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_under_way_survive_the_loss_of_scripts() {
    let server = Server::start(&[]);
    let store = std::sync::Arc::new(store(&server.url()).await);
    let mut owners = tokio::task::JoinSet::new();
    for partition in 0..4 {
        let store = std::sync::Arc::clone(&store);
        owners.spawn(async move {
            let (token, ..) = own(&store, partition, None).await;
            for seq in 1..=200_u64 {
                let writes = [set(&Key::Outbox, &seq.to_string(), "x")];
                available(|| store.commit(partition, &token, seq, &writes)).await;
            }
        });
    }
    while !owners.is_empty() {
        server.command(&["SCRIPT", "FLUSH"]);
        if let Ok(Some(owner)) = tokio::time::timeout(Duration::from_millis(5), owners.join_next()).await {
            owner.unwrap();
        }
    }
    for partition in 0..4 {
        assert_eq!(hash(&store, partition, &Key::Outbox).await.len(), 200);
    }
}

#[tokio::test]
async fn a_killed_server_goes_on_where_it_was_and_tells_that_it_began_anew() {
    let mut server = Server::start(&[]);
    let store = store(&server.url()).await;
    let (token, _, restarted) = own(&store, 0, None).await;
    assert!(!restarted, "the first take of a new partition");
    store.commit(0, &token, 1, &[set(&run(1), "a", "1")]).await.unwrap();
    server.kill();
    for _ in 0..3 {
        unavailable(store.commit(0, &token, 2, &[set(&run(1), "a", "2")]).await);
        unavailable(hash_of(&store).await);
    }
    server.start_again();
    // The very next call works, with the token of before.
    store.commit(0, &token, 2, &[set(&run(1), "a", "2")]).await.unwrap();
    assert_eq!(hash(&store, 0, &run(1)).await, [pair("a", "2")]);
    assert_eq!(own(&store, 0, Some(&token)).await, (token.clone(), 2, false), "a renewal tells nothing");
    store.release(0, &token).await.unwrap();
    let (token, seq, restarted) = own(&store, 0, None).await;
    assert!(restarted && seq == 2, "commits may be lost since the last take");
    store.release(0, &token).await.unwrap();
    let (token, _, restarted) = own(&store, 0, None).await;
    assert!(restarted, "who was told has committed nothing, and may be gone");
    store.commit(0, &token, 3, &[set(&run(1), "a", "3")]).await.unwrap();
    store.release(0, &token).await.unwrap();
    let (.., restarted) = own(&store, 0, None).await;
    assert!(!restarted, "who was told has committed since");
    let (.., restarted) = own(&store, 1, None).await;
    assert!(!restarted, "a new partition");
}

async fn hash_of(store: &Redis) -> Result<Vec<(String, Bytes)>, Error> {
    store.read_hash(0, &run(1), Fields::All).await
}

#[tokio::test]
async fn commits_that_a_server_lost_are_told() {
    let mut server = Server::start(&["--appendonly", "no"]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    store.commit(0, &token, 1, &[]).await.unwrap();
    server.command(&["SAVE"]);
    store.commit(0, &token, 2, &[]).await.unwrap();
    server.kill();
    server.start_again();
    let outcome = store.commit(0, &token, 3, &[]).await;
    assert_eq!(outcome, Err(Error::RolledBack { partition: 0, stored: 1, mine: 2 }));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_there_once() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let store = store(&proxy.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    proxy.lose_answers(true);
    unavailable(store.commit(0, &token, 1, &[set(&run(1), "a", "1")]).await);
    proxy.lose_answers(false);
    // Another value shows whether the second one was written.
    store.commit(0, &token, 1, &[set(&run(1), "a", "again")]).await.unwrap();
    assert_eq!(hash(&store, 0, &run(1)).await, [pair("a", "1")]);
    store.commit(0, &token, 2, &[set(&run(1), "a", "2")]).await.unwrap();
}

#[tokio::test]
async fn a_take_whose_answer_was_lost_is_taken_again_by_the_same() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let store = store(&proxy.url()).await;
    own(&store, 0, None).await;
    // So that both have their connections.
    assert_eq!(hash(&store, 1, &Key::Outbox).await, []);
    proxy.lose_answers(true);
    unavailable(store.own(0, &claim(None)).await);
    unavailable(store.own(1, &claim(None)).await);
    proxy.lose_answers(false);
    let other = super::store(&server.url()).await;
    assert!(matches!(other.own(1, &claim(None)).await, Ok(Ownership::HeldBy { .. })), "the take arrived");
    let (token, ..) = own(&store, 1, None).await;
    assert_eq!(token.epoch, 1);
    store.commit(1, &token, 1, &[]).await.unwrap();
    // That was the repetition; a further take is another one.
    assert!(matches!(store.own(1, &claim(None)).await, Ok(Ownership::HeldBy { .. })));
    assert!(matches!(store.own(0, &claim(None)).await, Ok(Ownership::HeldBy { .. })));
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_made_anew() {
    let server = Server::start(&[]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    for seq in 1..=10 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        let writes = [set(&Key::Outbox, &seq.to_string(), "x")];
        available(|| store.commit(0, &token, seq, &writes)).await;
    }
    assert_eq!(hash(&store, 0, &Key::Outbox).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_blocks_nobody_for_ever() {
    let server = Server::start(&[]);
    let store = std::sync::Arc::new(store(&server.url()).await);
    let (token, ..) = own(&store, 0, None).await;
    server.pause();
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for partition in (0..4).cycle().take(40) {
        let store = std::sync::Arc::clone(&store);
        calls.spawn(async move { store.read_hash(partition, &Key::Outbox, Fields::All).await });
    }
    while let Some(outcome) = calls.join_next().await {
        unavailable(outcome.unwrap());
    }
    // The timeouts of one answer, and of an attempt to connect before and after it.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    server.resume();
    available(|| store.commit(0, &token, 1, &[])).await;
}

#[tokio::test]
async fn something_else_under_the_same_name_is_told() {
    let server = Server::start(&[]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    store.commit(0, &token, 1, &[set(&Key::Outbox, "a", "1")]).await.unwrap();
    let keys = server.command(&["KEYS", "*:outbox"]).texts();
    server.command(&["SET", &keys[0], "not a hash"]);
    let text = unusable(store.read_hash(0, &Key::Outbox, Fields::All).await);
    assert!(text.contains("same prefix"), "{text}");
}
