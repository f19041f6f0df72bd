//! One branch is taken, by the data.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_case_that_holds_is_taken_and_no_other() {
    let played = play(
        4,
        r#"
input: {total: 5000}
tasks: {work: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "large+ large.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_case_is_taken_where_the_first_does_not_hold() {
    let played = play(
        4,
        r#"
input: {total: 500}
tasks: {work: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "middle+ middle.");
}

#[tokio::test(flavor = "multi_thread")]
async fn otherwise_is_taken_where_none_holds() {
    let played = play(
        4,
        r#"
input: {total: 5}
tasks: {work: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "small+ small.");
}
