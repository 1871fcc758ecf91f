//! The words, sentences and templates of the copy corpus.
//!
//! Frequencies fall as 1/rank, as in real text, so that the model has
//! something to learn before it learns to copy. Never decides shares.
use crate::{
    artifact::{Labels, Template},
    seed::Stream,
};

const SPECIAL: [&str; 2] = ["<pad>", "<eos>"];

/// Question templates by name; all end where the answer comes.
const TEMPLATES: [(&str, &str); 6] = [
    ("label", "label : {label} , other : {distractor} . answer :"),
    ("pick", "pick {label} over {distractor} . answer :"),
    ("not", "not {distractor} but {label} . answer :"),
    ("key", "key {label} , noise {distractor} . answer :"),
    (
        "right",
        "{distractor} is wrong , {label} is right . answer :",
    ),
    (
        "skip",
        "the {noun} has {label} , skip {distractor} . answer :",
    ),
];

/// Words of the templates and sentences that fill no slot.
const FUNCTION: [&str; 22] = [
    "the", "a", ".", ",", ":", "label", "other", "pick", "over", "not", "but", "key", "noise",
    "is", "wrong", "right", "has", "skip", "answer", "named", "and", "then",
];

const NOUNS: [&str; 28] = [
    "cat", "dog", "bird", "fox", "horse", "child", "farmer", "teacher", "king", "queen", "river",
    "tree", "house", "stone", "boat", "road", "cloud", "garden", "letter", "lamp", "bell",
    "bridge", "wolf", "sailor", "baker", "clock", "forest", "tower",
];

const VERBS: [&str; 18] = [
    "sees", "finds", "likes", "follows", "calls", "keeps", "hears", "paints", "moves", "opens",
    "helps", "meets", "leaves", "holds", "builds", "draws", "guards", "sells",
];

const ADJECTIVES: [&str; 10] = [
    "old", "small", "red", "quiet", "tall", "young", "cold", "bright", "slow", "wild",
];

/// The labels A, B, C, .. with the templates and the words for their slots.
pub(super) fn labels(count: usize) -> Labels {
    let letters = (b'A'..=b'Z').take(count).map(char::from);
    let templates = TEMPLATES.iter().map(|(name, text)| Template {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    });
    let nouns = NOUNS.iter().map(|noun| (*noun).to_owned()).collect();
    Labels {
        labels: letters.map(String::from).collect(),
        templates: templates.collect(),
        words: [("noun".to_owned(), nouns)].into(),
    }
}

/// All words in the order of their ids: padding, end of document, labels, rest.
pub(super) fn vocabulary(labels: &Labels) -> Vec<&str> {
    let letters = labels.labels.iter().map(String::as_str);
    SPECIAL
        .into_iter()
        .chain(letters)
        .chain(FUNCTION)
        .chain(NOUNS)
        .chain(VERBS)
        .chain(ADJECTIVES)
        .collect()
}

/// A subject-verb-object line that names its subject by a letter and says the
/// letter again.
pub(super) fn sentence(letter: &str, stream: &mut Stream) -> String {
    let subject = word(&NOUNS, stream);
    let verb = word(&VERBS, stream);
    let object = word(&NOUNS, stream);
    let adjective = word(&ADJECTIVES, stream);
    let again = word(&VERBS, stream);
    match stream.below(3) {
        0 => format!("the {subject} {letter} {verb} a {adjective} {object} and {letter} {again} ."),
        1 => format!(
            "a {adjective} {subject} named {letter} {verb} the {object} . then {letter} {again} ."
        ),
        _ => format!(
            "{letter} {verb} the {object} , but the {adjective} {subject} {again} {letter} ."
        ),
    }
}

/// A place below `n` with probability proportional to 1 / (place + 1).
pub(super) fn zipf(n: usize, stream: &mut Stream) -> usize {
    let total: f64 = (1..=n).map(|rank| 1.0 / rank as f64).sum();
    let law: Vec<f64> = (1..=n).map(|rank| 1.0 / (rank as f64 * total)).collect();
    stream.categorical(&law)
}

fn word<'a>(words: &[&'a str], stream: &mut Stream) -> &'a str {
    words[zipf(words.len(), stream)]
}

#[cfg(test)]
mod tests {
    use crate::seed::Seed;

    use super::*;

    #[test]
    fn frequencies_fall_as_the_rank_grows() {
        let mut stream = Seed(0).stream("zipf", &[]);
        let mut seen = [0; 4];
        for _ in 0..5000 {
            seen[zipf(4, &mut stream)] += 1;
        }
        // 1/rank over 25/12: 0.48, 0.24, 0.16, 0.12
        for (count, share) in seen.into_iter().zip([0.48, 0.24, 0.16, 0.12]) {
            assert!((f64::from(count) / 5000.0 - share).abs() < 0.03, "{seen:?}");
        }
    }

    #[test]
    fn the_words_are_distinct() {
        let labels = labels(26);
        let mut words = vocabulary(&labels);
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!((words.len(), count), (106, 106));
    }
}
