//! An iteration for each item.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn at_most_as_many_as_allowed_are_at_work() {
    let played = play(14, r#"
input: {files: [a, b, c]}
tasks: {'/each[0]/count': {after: 3s, output: {lines: 1}}, '/each[1]/count': {after: 1s, output: {lines: 2}}, '/each[2]/count': {after: 1s, output: {lines: 4}}}
expect: {output: {lines: 7}}
"#)
    .await;
    assert_eq!(played.order(), "count[0]+ count[1]+ count[1]. count[2]+ count[2]. count[0].");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_items_the_step_is_done_at_once() {
    let played = play(
        14,
        r#"
input: {files: []}
tasks: {}
expect: {output: {lines: 0}}
"#,
    )
    .await;
    assert_eq!(played.order(), "each+ each.");
}
