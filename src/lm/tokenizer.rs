//! Text to token ids and back, by a `tokenizer.json`.
//!
//! Never adds special tokens: a prompt is what its text says.
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Map, Value, json};

use crate::digest::canonical;

use super::Files;

/// A tokenizer file's rules.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// One more than the largest id.
    size: usize,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder.
    pub fn load(files: &Files) -> Result<Tokenizer> {
        let path = files.get("tokenizer.json")?;
        let bytes = std::fs::read(path).context("read `tokenizer.json`")?;
        Tokenizer::from_bytes(&bytes)
    }

    /// Reads the text of a `tokenizer.json`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Tokenizer> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|fault| anyhow!("`tokenizer.json`: {fault}"))?;
        inner
            .with_truncation(None)
            .map_err(|fault| anyhow!("`tokenizer.json`: {fault}"))?;
        inner.with_padding(None);
        let largest = inner.get_vocab(true).into_values().max();
        let size = largest.context("`tokenizer.json` holds no tokens")? as usize + 1;
        Ok(Tokenizer { inner, size })
    }

    /// One more than the largest token id.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether a model with `vocab` rows can read this tokenizer's ids. Rows that
    /// no token uses are fine.
    pub fn check_vocabulary(&self, vocab: usize) -> Result<()> {
        ensure!(
            self.size <= vocab,
            "the tokenizer has {} tokens but the model's vocabulary is {vocab}",
            self.size
        );
        Ok(())
    }

    /// The ids of `text`, without added special tokens.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode(text, false);
        let encoding = encoding.map_err(|fault| anyhow!("encode `{text}`: {fault}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of `ids`, special tokens shown.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        for &id in ids {
            self.token(id)?;
        }
        let text = self.inner.decode(ids, false);
        text.map_err(|fault| anyhow!("decode {ids:?}: {fault}"))
    }

    /// The token of one id, as the tokenizer spells it.
    pub fn token(&self, id: u32) -> Result<String> {
        let token = self.inner.id_to_token(id);
        token.with_context(|| format!("the tokenizer has no token {id}"))
    }

    /// The id of a token spelled exactly so.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The one token of a label's text; an error where it is several or none.
    pub fn single_token(&self, text: &str) -> Result<u32> {
        let ids = self.encode(text)?;
        if let [id] = ids.as_slice() {
            return Ok(*id);
        }
        let tokens = ids.iter().map(|&id| self.token(id));
        let tokens = tokens.collect::<Result<Vec<_>>>()?.join(", ");
        bail!(
            "label `{text}` is {} tokens ({tokens}): labels must be single tokens",
            ids.len()
        )
    }
}

/// The bytes of a `tokenizer.json` that splits on whitespace and knows exactly
/// these words; a word's id is its place in the list. Other words are errors
/// when encoding, unless `<unk>` is listed.
pub fn word_tokenizer<S: AsRef<str>>(words: &[S]) -> Result<Vec<u8>> {
    ensure!(!words.is_empty(), "a tokenizer of no words");
    let mut vocab = Map::new();
    for (id, word) in words.iter().enumerate() {
        let word = word.as_ref();
        ensure!(
            !word.is_empty() && !word.contains(char::is_whitespace),
            "word {id}, `{word}`, is empty or holds whitespace"
        );
        if let Some(earlier) = vocab.insert(word.to_owned(), Value::from(id)) {
            bail!("`{word}` is both word {earlier} and word {id}");
        }
    }
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
    });
    Ok(canonical(&file).into_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words() -> Tokenizer {
        let bytes = word_tokenizer(&["<pad>", "the", "cat", "A", "."]).unwrap();
        Tokenizer::from_bytes(&bytes).unwrap()
    }

    fn open() -> Tokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open");
        Tokenizer::load(&Files::of_folder(&folder).unwrap()).unwrap()
    }

    #[test]
    fn words_round_trip_and_the_bytes_stay() {
        let tokenizer = words();
        assert_eq!(tokenizer.encode("the cat\n A .").unwrap(), [1, 2, 3, 4]);
        assert_eq!(tokenizer.decode(&[1, 2, 3, 4]).unwrap(), "the cat A .");
        assert_eq!((tokenizer.size(), tokenizer.id("cat")), (5, Some(2)));
        let text = String::from_utf8(word_tokenizer(&["b", "a"]).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"added_tokens":[],"decoder":null,"model":{"type":"WordLevel","unk_token":"<unk>","vocab":{"a":1,"b":0}},"normalizer":null,"padding":null,"post_processor":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"truncation":null,"version":"1.0"}"#
        );
    }

    #[test]
    fn the_fixture_prompts_encode_as_transformers_does() {
        let tokenizer = open();
        let text = include_str!("../../tests/fixtures/open/prompts.jsonl");
        let mut seen = 0;
        for line in text.lines() {
            let prompt: Value = serde_json::from_str(line).unwrap();
            let ids: Vec<u32> = serde_json::from_value(prompt["input_ids"].clone()).unwrap();
            let text = prompt["text"].as_str().unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids);
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
            let label = tokenizer.single_token(prompt["label_text"].as_str().unwrap());
            assert_eq!(u64::from(label.unwrap()), prompt["label_token_id"]);
            seen += 1;
        }
        assert_eq!((seen, tokenizer.size()), (12, 262));
    }

    #[test]
    fn faults() {
        let tokenizer = open();
        assert_eq!(
            tokenizer.single_token(" XY").unwrap_err().to_string(),
            "label ` XY` is 3 tokens (Ġ, X, Y): labels must be single tokens"
        );
        assert_eq!(
            tokenizer.check_vocabulary(261).unwrap_err().to_string(),
            "the tokenizer has 262 tokens but the model's vocabulary is 261"
        );
        assert!(tokenizer.check_vocabulary(264).is_ok());
        assert_eq!(
            tokenizer.decode(&[263]).unwrap_err().to_string(),
            "the tokenizer has no token 263"
        );
        let unknown = words().encode("the dog").unwrap_err().to_string();
        assert!(unknown.starts_with("encode `the dog`: "), "{unknown}");
        let fault = |words: &[&str]| word_tokenizer(words).unwrap_err().to_string();
        assert_eq!(fault(&["a", "a"]), "`a` is both word 0 and word 1");
        assert_eq!(
            fault(&["a b"]),
            "word 0, `a b`, is empty or holds whitespace"
        );
        let broken = Tokenizer::from_bytes(b"{").err().unwrap().to_string();
        assert!(broken.starts_with("`tokenizer.json`: "), "{broken}");
    }
}
