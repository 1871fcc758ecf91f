//! Which run a word names: `last`, an id, or the beginning of one.

/// The runs that `word` may mean, of `ids` sorted by age: one where it is clear.
pub fn find<'a>(ids: &'a [String], word: &str) -> Vec<&'a str> {
    if word == "last" {
        return ids.last().map(String::as_str).into_iter().collect();
    }
    if let Some(id) = ids.iter().find(|id| *id == word) {
        return vec![id];
    }
    let begin = |id: &&String| !word.is_empty() && id.starts_with(word);
    ids.iter().filter(begin).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_names_a_run_while_it_is_the_only_one() {
        let ids = ["20260101-1", "20260102-1", "20260102-12"].map(str::to_owned);
        let cases: [(&str, &[&str]); 6] = [
            ("last", &["20260102-12"]),
            ("20260102-1", &["20260102-1"]),
            ("20260101", &["20260101-1"]),
            ("20260102", &["20260102-1", "20260102-12"]),
            ("2027", &[]),
            ("", &[]),
        ];
        for (word, expected) in cases {
            assert_eq!(find(&ids, word), expected, "{word}");
        }
        assert!(find(&[], "last").is_empty());
    }
}
