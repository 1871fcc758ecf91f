//! Names from outside: of repositories, revisions and files. Whatever passes
//! here can be part of an address and of a path below a folder of ours.

/// The hub's own limit.
const REPO_MAX: usize = 96;
const REVISION_MAX: usize = 255;
/// What a part of a path may hold on every file system that matters.
const PART_MAX: usize = 255;
const PATH_MAX: usize = 1024;

/// Why a text is no `ORGANIZATION/NAME` or `NAME`.
pub(super) fn repo_fault(text: &str) -> Option<&'static str> {
    let parts: Vec<&str> = text.split('/').collect();
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
        Some("a repository is written ORGANIZATION/NAME")
    } else if !text.chars().all(|c| known(c) || c == '/') {
        Some("only letters, digits, `-`, `_` and `.` stand in a repository's name")
    } else if text.contains("--") || text.contains("..") {
        Some("`--` and `..` stand in no repository's name")
    } else if parts
        .iter()
        .any(|part| part.starts_with(['-', '.']) || part.ends_with(['-', '.']))
    {
        Some("no part of a repository's name begins or ends with `-` or `.`")
    } else if text.len() > REPO_MAX {
        Some("a repository's name has at most 96 characters")
    } else {
        None
    }
}

/// Why a text can be no branch, tag or commit. Git's rules, but for the rare ones.
pub(super) fn revision_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > REVISION_MAX {
        Some("it has more than 255 bytes")
    } else if text
        .chars()
        .any(|c| c.is_control() || " ~^:?*[\\".contains(c))
    {
        Some("it holds a character that no revision has")
    } else if text.contains("..") || text.split('/').any(str::is_empty) {
        Some("it holds `..` or an empty part")
    } else {
        None
    }
}

/// Why a file's name could lead out of a folder, or be no name at all.
pub(super) fn path_fault(text: &str) -> Option<&'static str> {
    if text.starts_with('/') {
        Some("it is absolute")
    } else if text.contains('\\') {
        Some("it holds a backslash")
    } else if text.chars().any(char::is_control) {
        Some("it holds a control character")
    } else if text.split('/').any(|part| matches!(part, "." | "..")) {
        Some("it holds `.` or `..`")
    } else if text.split('/').any(str::is_empty) {
        Some("it has an empty part")
    } else if text.len() > PATH_MAX || text.split('/').any(|part| part.len() > PART_MAX) {
        Some("it is too long")
    } else {
        None
    }
}

/// Whether a text is a whole commit id.
pub(super) fn is_commit(text: &str) -> bool {
    let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    text.len() == 40 && text.bytes().all(digit)
}

/// A name as errors show it: no control characters, and not endless.
pub(super) fn shown(text: &str) -> String {
    const SHOWN: usize = 120;
    let short: String = text.chars().take(SHOWN).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", short.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_pass() {
        for repo in [
            "gpt2",
            "allenai/OLMo-2-0425-1B",
            "HuggingFaceTB/SmolLM2_135M.x",
        ] {
            assert_eq!(repo_fault(repo), None, "{repo}");
        }
        for revision in ["main", "stage1-step0-tokens0B", "refs/pr/12", "v1.0+x@y"] {
            assert_eq!(revision_fault(revision), None, "{revision}");
        }
        for path in [
            "a",
            "a/b c/ü.bin",
            ".gitattributes",
            "..a/b..",
            "model-00001-of-2.x",
        ] {
            assert_eq!(path_fault(path), None, "{path}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_do_not() {
        let long = "a".repeat(256);
        let deep = "a/".repeat(600) + "a";
        for repo in [
            "", "a/b/c", "../b", "a//b", "a/b?x", "a\n", "a--b", "/a", "-a", &long,
        ] {
            assert!(repo_fault(repo).is_some(), "{repo}");
        }
        for revision in ["", "a b", "a..b", "a//b", "a\u{7}", "a?b", &long] {
            assert!(revision_fault(revision).is_some(), "{revision}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "a/./b",
            "a\\b",
            "a\0",
            "a\n",
            &long,
            &deep,
        ] {
            assert!(path_fault(path).is_some(), "{path:?}");
        }
    }
}
