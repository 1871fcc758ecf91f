//! Leaves stages out of a text that is known to be sound, so that a few of many
//! can be read alone. Places in the text move: no fault may be told from it.
use std::ops::Range;

use crate::pipeline::limits::string_end;

/// The text without the tables of those stages that `keep` does not want. What
/// is not plainly a table of one stage stays.
pub(super) fn only(text: &str, keep: &dyn Fn(&str) -> bool) -> String {
    let headers = headers(text);
    let ends = headers.iter().skip(1).map(|header| header.start);
    let ends = ends.chain([text.len()]);
    let mut left = text[..headers.first().map_or(text.len(), |first| first.start)].to_owned();
    for (header, end) in headers.iter().zip(ends) {
        if stage_of(&text[header.clone()]).is_none_or(keep) {
            left.push_str(&text[header.start..end]);
        }
    }
    left
}

/// The stage that a header such as `[stages.grpo]` or `[stages.grpo.env]` is
/// about; none for any other, and for names in quotes.
fn stage_of(header: &str) -> Option<&str> {
    let inner = header.strip_prefix('[')?.strip_suffix(']')?;
    let name = inner.strip_prefix("stages.")?;
    let name = name.split('.').next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

/// Whether a byte may mean more than that there is something on the line.
const SIGNS: [bool; 256] = {
    let mut signs = [false; 256];
    let mut those: &[u8] = b"\"'#[]{}\n";
    while let [sign, rest @ ..] = those {
        signs[*sign as usize] = true;
        those = rest;
    }
    signs
};

/// The headers of tables, from bracket to bracket.
fn headers(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut headers = Vec::new();
    let (mut at, mut depth, mut fresh) = (0, 0_usize, true);
    loop {
        let plain = bytes[at..].iter().position(|byte| SIGNS[*byte as usize]);
        let Some(plain) = plain else { break };
        fresh = fresh && bytes[at..at + plain].iter().all(u8::is_ascii_whitespace);
        at += plain;
        let byte = bytes[at];
        match byte {
            b'"' | b'\'' => {
                at = string_end(bytes, at);
                fresh = false;
                continue;
            }
            b'#' => {
                while bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                    at += 1;
                }
                continue;
            }
            b'[' if fresh => {
                let start = at;
                // To the end of the line: the last bracket that is in no comment.
                let mut end = at;
                while let Some(&byte) = bytes.get(at).filter(|byte| **byte != b'\n') {
                    match byte {
                        b'"' | b'\'' => {
                            at = string_end(bytes, at);
                            continue;
                        }
                        b'#' => break,
                        b']' => end = at + 1,
                        _ => {}
                    }
                    at += 1;
                }
                headers.push(start..end.max(start + 1));
                fresh = false;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' => {
                fresh = depth == 0;
                at += 1;
                continue;
            }
            _ => {}
        }
        fresh = false;
        at += 1;
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# [stages.z]\n[pipeline]\nname = \"[stages.a]\"\n\n[stages.a] # one\nx = [\n  \
                        [1, 2], # ]\n  [\"]\", ']'],\n]\n[stages.a.env]\nA = \"\"\"\n[stages.b]\n\"\"\"\n\
                        [stages.b]\ny = { z = \"}\" }\n  [stages.\"c\"]\nz = 1\n[ stages . d ]\n\
                        [[stages.e]]\n[axes]\ni = [1]\n[stages.f]";

    fn kept(names: &[&str]) -> String {
        only(TEXT, &|name| names.contains(&name))
    }

    #[test]
    fn all_that_is_wanted_is_the_text_itself() {
        assert_eq!(kept(&["a", "b", "f"]), TEXT);
        assert_eq!(only("", &|_| false), "");
        assert_eq!(only("a = 1\n", &|_| false), "a = 1\n");
    }

    #[test]
    fn tables_of_other_stages_go_and_all_else_stays() {
        let cut = |from: &str, to: &str| {
            let start = TEXT.find(from).unwrap();
            let end = start + TEXT[start..].find(to).unwrap();
            format!("{}{}", &TEXT[..start], &TEXT[end..])
        };
        let without_a = cut("[stages.a] # one", "[stages.b]\ny");
        assert_eq!(kept(&["b", "f"]), without_a);
        let without_b = cut("[stages.b]\ny", "[stages.\"c\"]");
        assert_eq!(kept(&["a", "f"]), without_b);
        assert_eq!(kept(&["a", "b"]), TEXT.strip_suffix("[stages.f]").unwrap());
    }
}
