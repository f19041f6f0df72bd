//! Topics and patterns, as in AMQP: words between dots.
//!
//! The embedded broker asks it which queues hear an announcement, and whoever makes a topic of a name that may hold dots. Pure.

/// The longest word that [`word`] makes, in bytes: a topic has 255, and a few words.
const LONGEST_WORD: usize = 100;

/// Whether a topic fits a pattern, in which `*` stands for one word and `#` for any number of words, none included.
pub fn fits(pattern: &str, topic: &str) -> bool {
    // Which places of the pattern the words so far may have come to; so a pattern of many `#` costs no more than its length.
    let wanted: Vec<&str> = words(pattern).collect();
    let mut places = vec![false; wanted.len() + 1];
    places[0] = true;
    skip_any(&wanted, &mut places);
    for word in words(topic) {
        let mut next = vec![false; wanted.len() + 1];
        for (place, _) in places.iter().enumerate().filter(|(_, reached)| **reached) {
            match wanted.get(place) {
                Some(&"#") => next[place] = true,
                Some(&wanted) if wanted == "*" || wanted == word => next[place + 1] = true,
                Some(_) | None => {}
            }
        }
        skip_any(&wanted, &mut next);
        places = next;
    }
    places[wanted.len()]
}

/// One word of a topic, made of any text: what would make it several words, or a pattern, is replaced by `_`.
pub fn word(text: &str) -> String {
    let safe = |c: char| if c.is_whitespace() || c.is_control() || ".*#".contains(c) { '_' } else { c };
    let mut word = String::new();
    for c in text.chars().map(safe) {
        if word.len() + c.len_utf8() > LONGEST_WORD {
            break;
        }
        word.push(c);
    }
    word
}

/// An empty text has no word, as a server sees it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('.').filter(move |_| !text.is_empty())
}

/// A `#` may stand for nothing: whoever has come to it has come past it too.
fn skip_any(wanted: &[&str], places: &mut [bool]) {
    for (place, word) in wanted.iter().enumerate() {
        if *word == "#" && places[place] {
            places[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_word_and_a_hash_any_number() {
        let fitting = [
            ("a.b", "a.b"),
            ("a.*", "a.b"),
            ("*.b", "a.b"),
            ("#", "a.b"),
            ("#", ""),
            ("", ""),
            ("a.#", "a"),
            ("a.#", "a.b.c"),
            ("#.c", "c"),
            ("#.c", "a.b.c"),
            ("a.#.c", "a.c"),
            ("a.#.c", "a.b.b.c"),
            ("*.#", "a"),
            ("#.*", "a.b"),
            ("a.*.c", "a..c"),
            ("#.#", "a"),
        ];
        for (pattern, topic) in fitting {
            assert!(fits(pattern, topic), "'{pattern}' must fit '{topic}'");
        }
        let others = [
            ("a.b", "a.c"),
            ("a.b", "a"),
            ("a", "a.b"),
            ("a.*", "a"),
            ("a.*", "a.b.c"),
            ("*", ""),
            ("*.#", ""),
            ("a.#.c", "a.b"),
            ("#.c", "c.d"),
            ("a*", "ab"),
            ("", "a"),
            ("a", ""),
        ];
        for (pattern, topic) in others {
            assert!(!fits(pattern, topic), "'{pattern}' must not fit '{topic}'");
        }
    }

    /// A pattern that would let a simple matcher try for ages.
    #[test]
    fn a_pattern_of_many_hashes_costs_no_more_than_its_length() {
        let pattern = "#.a.".repeat(60) + "b";
        let topic = "a.".repeat(120) + "c";
        assert!(!fits(&pattern, &topic));
    }

    #[test]
    fn any_text_makes_one_word() {
        assert_eq!(word("shop.eu *#\n1"), "shop_eu____1");
        assert_eq!(word(&"\u{e4}".repeat(100)).len(), LONGEST_WORD);
        assert!(fits("worker.*", &format!("worker.{}", word("a.b"))));
    }
}
