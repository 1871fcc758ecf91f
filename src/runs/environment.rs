//! Where and how a run was started, with secrets left out.
use std::env;

use serde::{Deserialize, Serialize};

use crate::host;

/// In place of what may be a secret.
const REDACTED: &str = "<redacted>";
/// Parts of a name whose value may be a secret.
const SECRET_NAMES: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "pass",
    "pwd",
    "key",
    "apikey",
    "credential",
    "credentials",
    "auth",
    "authorization",
];
/// How well-known secrets begin.
const SECRET_BEGINNINGS: [&str; 7] = [
    "hf_",
    "ghp_",
    "github_pat_",
    "glpat-",
    "sk-",
    "xoxb-",
    "AKIA",
];

/// See the header. Decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub program: String,
    pub host: String,
    /// Instruction set and system, such as `x86_64 linux`.
    pub platform: String,
    pub cores: usize,
    pub jobs: u32,
    /// The command line, secrets replaced.
    pub argv: Vec<String>,
}

impl Environment {
    /// That of this process.
    pub fn here(jobs: u32) -> Environment {
        let mut argv: Vec<String> = env::args_os()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        // Where the program lies says nothing of what was asked of it.
        if let Some(program) = argv.first_mut() {
            "vgh".clone_into(program);
        }
        Environment {
            program: format!("vgh {}", env!("CARGO_PKG_VERSION")),
            host: host::name().to_owned(),
            platform: format!("{} {}", env::consts::ARCH, env::consts::OS),
            cores: host::cores(),
            jobs,
            argv: redacted(&argv),
        }
    }
}

/// The arguments without the values of names like `token`, without what
/// begins as a well-known secret, and without passwords in addresses.
fn redacted(argv: &[String]) -> Vec<String> {
    let mut follows = false;
    let mut out = Vec::with_capacity(argv.len());
    for arg in argv {
        let hidden = std::mem::take(&mut follows);
        if hidden && !arg.starts_with('-') {
            out.push(REDACTED.to_owned());
            continue;
        }
        follows = arg.starts_with("--") && !arg.contains('=') && is_secret_name(arg);
        out.push(plain(arg));
    }
    out
}

fn is_secret_name(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|part| SECRET_NAMES.contains(&part.to_ascii_lowercase().as_str()))
}

fn plain(arg: &str) -> String {
    match arg.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{}={REDACTED}", bare(name)),
        Some((name, value)) => format!("{}={}", bare(name), plain(value)),
        None => bare(arg),
    }
}

/// A text without `=`.
fn bare(text: &str) -> String {
    let start = text.trim_start_matches(['"', '\'']);
    if SECRET_BEGINNINGS
        .iter()
        .any(|beginning| start.starts_with(beginning))
    {
        return REDACTED.to_owned();
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let place = rest.find('/').unwrap_or(rest.len());
        if let Some(at) = rest[..place].rfind('@') {
            return format!("{scheme}://{REDACTED}{}", &rest[at..]);
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_of_the_command_line() {
        let argv = [
            "vgh",
            "run",
            "--set",
            "stages.hub.api_key=abc=def",
            "--set",
            "tokens=100",
            "--token",
            "abc",
            "--set=password=abc",
            "--auth",
            "--json",
            "hf_abcdef",
            "--set",
            "url=https://me:abc@host/path@1",
            "grpo@lr=1e-4",
        ];
        let argv: Vec<String> = argv.map(str::to_owned).into();
        let shown = redacted(&argv).join(" ");
        assert_eq!(
            shown,
            "vgh run --set stages.hub.api_key=<redacted> --set tokens=100 --token <redacted> \
             --set=password=<redacted> --auth --json <redacted> --set url=https://<redacted>@host/path@1 \
             grpo@lr=1e-4"
        );
    }
}
