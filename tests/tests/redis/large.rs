//! Commits and sorted sets of the largest sizes that happen.

use super::server::Server;
use super::*;

#[tokio::test]
async fn a_commit_of_five_thousand_writes_and_32_mib_is_taken() {
    let server = Server::start(&[]);
    // The machine may be busy.
    let patient = Settings { response_timeout: Span::from_secs(30), ..settings(&server.url()) };
    let store = Redis::connect(patient).unwrap();
    store.partitions(4).await.unwrap();
    let (token, ..) = own(&store, 0, None).await;
    let value = Bytes::from(vec![b'x'; 32 * 1024 * 1024 / 4000]);
    let field = |number: u128| Write::HashSet {
        key: run(number % 7),
        field: format!("task/{number}"),
        value: value.clone(),
    };
    let mut writes: Vec<Write> = (0..4000).map(field).collect();
    writes.extend((0..1000).map(|number| score(&Key::Timers, &format!("m{number}"), number)));
    store.commit(0, &token, 1, &writes).await.unwrap();
    let mut count = 0;
    for number in 0..7 {
        let fields = hash(&store, 0, &run(number)).await;
        assert!(fields.iter().all(|(_, stored)| *stored == value));
        count += fields.len();
    }
    assert_eq!(count, 4000);
    // All of one key, sets and deletions in turn.
    let turns = (0..5000).map(|number| match number % 2 {
        0 => set(&run(1), &format!("f{}", number / 2 % 1500), &number.to_string()),
        _ => Write::HashDelete { key: run(1), field: format!("f{}", number / 2 % 1499) },
    });
    let mut writes = vec![Write::Delete { key: run(1) }];
    writes.extend(turns);
    store.commit(0, &token, 2, &writes).await.unwrap();
    let mut expected = std::collections::BTreeMap::new();
    for write in &writes {
        match write {
            Write::HashSet { field, value, .. } => drop(expected.insert(field.clone(), value.clone())),
            Write::HashDelete { field, .. } => drop(expected.remove(field)),
            _ => {}
        }
    }
    assert_eq!(hash(&store, 0, &run(1)).await, expected.into_iter().collect::<Vec<_>>());
}

/// Pages among members of one score cost the same, whichever page it is, also where the last row of the page before is gone.
#[tokio::test]
async fn many_members_of_one_score_are_paged_in_even_steps() {
    const MEMBERS: u64 = 40_000;
    let server = Server::start(&[]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    let name = |number: u64| format!("run-{number:06}");
    let numbers: Vec<u64> = (0..MEMBERS).collect();
    for (seq, part) in (1..).zip(numbers.chunks(5000)) {
        let writes: Vec<_> = part.iter().map(|number| score(&Key::Timers, &name(*number), 7)).collect();
        store.commit(0, &token, seq, &writes).await.unwrap();
    }
    let mut seq = MEMBERS / 5000;
    server.command(&["CONFIG", "RESETSTAT"]);
    for descending in [false, true] {
        let mut range = Range { from: 0, to: 9, after: None, limit: 500, descending };
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = store.read_sorted(0, &Key::Timers, &range).await.unwrap();
            let Some((member, score)) = page.last().cloned() else { break };
            if descending {
                // The row that the next page begins behind goes, and comes back.
                seq += 1;
                let gone = Write::SortedRemove { key: Key::Timers, member: member.clone() };
                store.commit(0, &token, seq, &[gone]).await.unwrap();
            }
            range.after = Some((score, member));
            seen.extend(page.into_iter().map(|(member, _)| member));
        }
        let mut expected: Vec<String> = (0..MEMBERS).map(name).collect();
        if descending {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    // Stepping over all earlier rows would take the server some 40,000 / 500 * 20,000 steps a direction: seconds.
    let stats = server.command(&["INFO", "commandstats"]);
    let spent: u64 = stats.text().lines().filter_map(microseconds_of_zrange).sum();
    assert!(spent < 400_000, "{spent} microseconds in the server");
}

fn microseconds_of_zrange(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("cmdstat_zrange:")?;
    rest.split_once("usec=")?.1.split(',').next()?.parse().ok()
}

#[tokio::test]
async fn pages_go_on_in_the_order_of_bytes_whatever_the_servers_locale() {
    let server = Server::start(&[]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    // A locale would sort these otherwise.
    let names = ["A", "B", "Z", "_", "a", "b", "z", "~", "é"];
    let writes: Vec<_> = names.iter().map(|name| score(&Key::Timers, name, 1)).collect();
    store.commit(0, &token, 1, &writes).await.unwrap();
    for (after, next) in
        [("", "A"), ("A0", "B"), ("Y", "Z"), ("[", "_"), ("`", "a"), ("m", "z"), ("{", "~"), ("\u{7f}", "é")]
    {
        let range = Range { from: 0, to: 9, after: Some((1, after.to_owned())), limit: 1, descending: false };
        assert_eq!(store.read_sorted(0, &Key::Timers, &range).await.unwrap()[0].0, next, "after {after}");
    }
}
