//! What reads answer: values of every size, names of every spelling, pages of every range.

use super::*;

/// Values of a megabyte come back byte for byte.
pub async fn large_values_come_back(harness: Harness) {
    let token = harness.owner().await;
    let bytes: Bytes = (0..1024 * 1024).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let field = |number: u64| format!("f{number}");
    for seq in 1..=3 {
        let write = Write::HashSet { key: run(1), field: field(seq), value: bytes.slice(seq as usize..) };
        harness.commit(&token, seq, &[write]).await;
    }
    let read = harness.hash(&run(1)).await;
    assert_eq!(read.len(), 3);
    for (seq, (name, value)) in (1..).zip(read) {
        assert_eq!(name, field(seq));
        assert!(value == bytes.slice(seq as usize..), "{name} differs");
    }
}

/// An empty value is a value, an empty name a name.
pub async fn empty_values_and_names_come_back(harness: Harness) {
    let token = harness.owner().await;
    let writes = [set(&run(1), "empty", ""), set(&run(1), "", "unnamed"), score(&Key::Timers, "", 1)];
    harness.commit(&token, 1, &writes).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("", "unnamed"), ("empty", "")]));
    assert_eq!(harness.sorted(&Key::Timers).await, members([("", 1)]));
    harness.commit(&token, 2, &[unset(&run(1), ""), unscore(&Key::Timers, "")]).await;
    assert_eq!(harness.hash(&run(1)).await, fields([("empty", "")]));
    assert_eq!(harness.sorted(&Key::Timers).await, []);
}

/// Fields and members may be any text.
pub async fn names_may_hold_any_character(harness: Harness) {
    let token = harness.owner().await;
    let long = "x".repeat(5000);
    let mut names =
        ["\0", "\0\0", "a\0b", "a/b[2]/c", "a:b{c}", "\r\n$-1\r\n", "ü", "\u{10FFFF}", "%*?", &long];
    let writes = names.iter().flat_map(|name| [set(&run(1), name, name), score(&Key::Timers, name, 0)]);
    harness.commit(&token, 1, &writes.collect::<Vec<_>>()).await;
    names.sort_unstable();
    assert_eq!(harness.hash(&run(1)).await, fields(names.map(|name| (name, name))));
    // Of one score the members come in the order of their bytes.
    assert_eq!(harness.sorted(&Key::Timers).await, members(names.map(|name| (name, 0))));
    let range = Range { after: Some((0, names[4].to_owned())), limit: 1, ..everything() };
    let next = harness.other.read_sorted(0, &Key::Timers, &range).await.unwrap();
    assert_eq!(next, members([(names[5], 0)]));
}

/// Asking for fields answers those that are there.
pub async fn named_fields_leave_out_what_is_missing(harness: Harness) {
    let token = harness.owner().await;
    harness
        .commit(&token, 1, &[set(&run(1), "a", "1"), set(&run(1), "b", "2"), set(&run(1), "c", "3")])
        .await;
    let named = |names: &[&str]| Fields::Named(names.iter().map(|name| (*name).to_owned()).collect());
    let mut read = harness.other.read_hash(0, &run(1), named(&["c", "missing", "a"])).await.unwrap();
    read.sort();
    assert_eq!(read, fields([("a", "1"), ("c", "3")]));
    assert_eq!(harness.other.read_hash(0, &run(1), named(&[])).await, Ok(Vec::new()));
    assert_eq!(harness.other.read_hash(0, &run(9), named(&["a"])).await, Ok(Vec::new()));
}

/// Numbers sort as numbers, negative ones first, and members of one score by their bytes.
pub async fn scores_sort_by_number_then_member(harness: Harness) {
    let token = harness.owner().await;
    // Within 53 bits: a server's scores may be doubles.
    let large = (1 << 53) - 1;
    let sorted = [
        ("lowest", -large),
        ("z", -10),
        ("a", -9),
        ("b", 0),
        ("m10", 9),
        ("m9", 9),
        ("a2", 10),
        ("top", large),
    ];
    let mut writes: Vec<_> =
        sorted.iter().map(|(member, number)| score(&Key::Timers, member, *number)).collect();
    writes.reverse();
    harness.commit(&token, 1, &writes).await;
    assert_eq!(harness.sorted(&Key::Timers).await, members(sorted));
}

/// Members with the least and the greatest score of a range belong to it.
pub async fn ranges_include_both_ends(harness: Harness) {
    let token = harness.owner().await;
    let writes: Vec<_> = (-3..=3).map(|n| score(&Key::Timers, &format!("m{n}"), n)).collect();
    harness.commit(&token, 1, &writes).await;
    for descending in [false, true] {
        let range = Range { from: -1, to: 2, descending, ..everything() };
        let read = harness.other.read_sorted(0, &Key::Timers, &range).await.unwrap();
        let mut scores: Vec<_> = read.iter().map(|(_, score)| *score).collect();
        if descending {
            scores.reverse();
        }
        assert_eq!(scores, [-1, 0, 1, 2]);
    }
    let range = Range { from: 2, to: 2, ..everything() };
    assert_eq!(harness.other.read_sorted(0, &Key::Timers, &range).await.unwrap(), members([("m2", 2)]));
}

/// Pages, each beginning behind the last row of the one before, show every row once, in both directions.
pub async fn ranges_page_in_both_directions(harness: Harness) {
    let token = harness.owner().await;
    let runs = Key::Runs { tenant: "acme".to_owned(), status: "RUNNING".to_owned() };
    // Many members share a score, so that pages end among equals.
    let writes: Vec<_> = (0..100).map(|n| score(&runs, &format!("m{n:02}"), n / 7)).collect();
    harness.commit(&token, 1, &writes).await;
    for descending in [false, true] {
        let mut expected: Vec<_> = (14..91).map(|n| (format!("m{n:02}"), n / 7)).collect();
        if descending {
            expected.reverse();
        }
        let mut range = Range { from: 2, to: 12, limit: 5, descending, ..everything() };
        let mut rows: Vec<(String, i64)> = Vec::new();
        while let page = harness.other.read_sorted(0, &runs, &range).await.unwrap()
            && let Some((member, score)) = page.last().cloned()
        {
            assert!(page.len() <= 5 && rows.len() < 100);
            range.after = Some((score, member));
            rows.extend(page);
        }
        assert_eq!(rows, expected, "descending: {descending}");
    }
}

/// A range that holds nothing is no error, and `after` outside of it neither hides nor adds rows.
pub async fn odd_ranges_are_empty(harness: Harness) {
    let token = harness.owner().await;
    let writes: Vec<_> = (0..5).map(|n| score(&Key::Timers, &format!("m{n}"), n)).collect();
    harness.commit(&token, 1, &writes).await;
    let all = everything();
    let range = |from, to, after: Option<i64>, descending| Range {
        from,
        to,
        after: after.map(|score| (score, "m9".to_owned())),
        descending,
        ..all.clone()
    };
    let rows = [
        (range(3, 1, None, false), 0),
        (range(3, 1, None, true), 0),
        (range(9, 99, None, false), 0),
        (Range { limit: 0, ..all.clone() }, 0),
        (range(1, 3, Some(3), false), 0),
        (range(1, 3, Some(7), false), 0),
        (range(1, 3, Some(-7), false), 3),
        (range(1, 3, Some(0), true), 0),
        (range(1, 3, Some(-7), true), 0),
        (range(1, 3, Some(7), true), 3),
    ];
    for (range, count) in rows {
        let read = harness.other.read_sorted(0, &Key::Timers, &range).await.unwrap();
        assert_eq!(read.len(), count, "{range:?}");
    }
    assert_eq!(harness.other.read_sorted(0, &Key::Timers, &all).await.unwrap().len(), 5);
    let missing = Key::Runs { tenant: "nobody".to_owned(), status: "FAILED".to_owned() };
    assert_eq!(harness.sorted(&missing).await, []);
}
