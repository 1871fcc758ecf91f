//! What a stage wants from a model hub: a reference that may move, as the
//! parameters write it, and the files that it stands for.
use std::collections::BTreeMap;

use glob::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::digest::{Digest, ObjectId};

/// A revision of a repository that a parameter names. The files that it stands
/// for enter the key; its name and place do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The parameter that names the revision.
    pub param: &'static str,
    /// `owner/name`.
    pub repo: String,
    /// A branch, a tag or a commit; `*` stands for any characters.
    pub revision: String,
    /// Patterns of paths in the repository.
    pub files: Vec<String>,
}

/// One file as the hub lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Bytes.
    pub size: u64,
    pub id: ObjectId,
}

/// What a reference stands for: one commit, and of its files those that are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    pub repo: String,
    /// The branch, tag or commit that the revision named.
    pub name: String,
    /// 40 hexadecimal digits.
    pub commit: String,
    /// By path in the repository.
    pub files: BTreeMap<String, Listed>,
}

impl Pinned {
    /// The digest of the files: the same bytes under another name count as the same.
    pub fn digest(&self) -> Digest {
        Digest::of_json(&json!(self.files))
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }

    /// The same with only those files that a pattern names.
    #[must_use]
    pub fn only(&self, patterns: &[String]) -> Pinned {
        let patterns: Vec<Pattern> = patterns
            .iter()
            .filter_map(|pattern| Pattern::new(pattern).ok())
            .collect();
        let wanted = |path: &str| patterns.iter().any(|pattern| pattern.matches(path));
        let files = self.files.iter().filter(|(path, _)| wanted(path));
        Pinned {
            files: files.map(|(path, file)| (path.clone(), *file)).collect(),
            ..self.clone()
        }
    }
}

/// Why a text is no pattern, in words; none if it is one.
pub fn pattern_fault(text: &str) -> Option<String> {
    Pattern::new(text).err().map(|error| error.msg.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(size: u64, byte: u8) -> Listed {
        Listed {
            size,
            id: ObjectId::Sha256([byte; 32]),
        }
    }

    fn pinned() -> Pinned {
        let files = [
            ("README.md", listed(1, 1)),
            ("config.json", listed(2, 2)),
            ("model-00001-of-00002.safetensors", listed(30, 3)),
            ("onnx/model.onnx", listed(400, 4)),
        ];
        Pinned {
            repo: "a/b".into(),
            name: "main".into(),
            commit: "0".repeat(40),
            files: files.map(|(path, file)| (path.to_owned(), file)).into(),
        }
    }

    #[test]
    fn only_the_wanted_files_count() {
        let wanted = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
            pinned().only(&patterns)
        };
        let model = wanted(&["config.json", "*.safetensors"]);
        assert_eq!((model.files.len(), model.size()), (2, 32));
        let mut moved = pinned();
        moved.commit = "1".repeat(40);
        moved.name = "other".into();
        moved.files.insert("README.md".into(), listed(9, 9));
        let patterns = ["config.json".to_owned(), "*.safetensors".to_owned()];
        assert_eq!(moved.only(&patterns).digest(), model.digest());
        moved.files.insert("config.json".into(), listed(2, 7));
        assert_ne!(moved.only(&patterns).digest(), model.digest());
        assert!(wanted(&["*.bin"]).files.is_empty());
    }

    #[test]
    fn a_bad_pattern_is_told() {
        assert_eq!(pattern_fault("*.safetensors"), None);
        assert!(pattern_fault("a***b").is_some());
    }
}
