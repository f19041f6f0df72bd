//! Finds the names a mistyped name was probably meant to be; used wherever a name is unknown.

/// Names longer than this are not compared: the comparison is quadratic.
const LONGEST_BYTES: usize = 64;
/// More than this many suggestions are no help.
const MOST_SUGGESTIONS: usize = 3;
/// Names beyond this many are not looked at, so that a miss in a huge map stays cheap.
const MOST_CANDIDATES: usize = 300;

/// The candidates nearest to `name`, in their order; empty where none is near.
pub(crate) fn names<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > LONGEST_BYTES {
        return Vec::new();
    }
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|candidate| candidate.len() <= LONGEST_BYTES)
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= (1 + name.len() / 4).min(name.len() / 2))
        .collect();
    near.sort();
    let nearest = near.first().map_or(0, |(distance, _)| *distance);
    near.into_iter()
        .filter(|(distance, _)| *distance == nearest)
        .take(MOST_SUGGESTIONS)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// "did you mean 'a' or 'b'?", or nothing.
pub(crate) fn question<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = names(name, candidates);
    if near.is_empty() {
        return None;
    }
    let quoted: Vec<String> = near.iter().map(|name| format!("'{name}'")).collect();
    Some(format!("did you mean {}?", quoted.join(" or ")))
}

/// Edits between two names: insert, delete, replace, or swap two neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_near_and_other_names_are_not() {
        let keys = ["name", "price", "customer"];
        assert_eq!(names("nmae", keys), ["name"]);
        assert_eq!(names("Customer", keys), ["customer"]);
        assert_eq!(question("pric", keys).as_deref(), Some("did you mean 'price'?"));
        assert_eq!(question("address", keys), None);
        assert_eq!(question("x", ["y"]), None);
        assert!(names(&"n".repeat(10_000), keys).is_empty());
    }
}
