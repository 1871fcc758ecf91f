//! `vgh init`: a first pipeline to start from.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::cli::{
    args,
    exit::{Exit, Failure},
};

const STARTER: &str = include_str!("starter.toml");
const FILE: &str = "pipelines/first.toml";
/// What a run makes and nobody commits.
const IGNORED: [&str; 2] = ["/cache", "/results"];

pub(super) fn init(args: &args::Init) -> Result<Exit, Failure> {
    let here = args.folder == Path::new(".");
    // Joined to nothing, so that what is printed has no `./`.
    let base = if here {
        Path::new("")
    } else {
        args.folder.as_path()
    };
    let path = base.join(FILE);
    let folder = path.parent().unwrap_or(base);
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut file = match File::create_new(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::Usage(format!(
                "{} exists already; nothing was changed",
                path.display()
            )));
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            return Err(error.context(format!("write {}", path.display())).into());
        }
    };
    file.write_all(STARTER.as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    println!("Wrote {}", path.display());
    let ignore = base.join(".gitignore");
    let added = ignored(&ignore)?;
    if !added.is_empty() {
        println!("Added {} to {}", added.join(" and "), ignore.display());
    }
    let go = if here {
        String::new()
    } else {
        format!("cd {} && ", args.folder.display())
    };
    println!("Next: {go}vgh plan {FILE}, then vgh run {FILE}");
    Ok(Exit::Done)
}

/// Adds the lines that are not there yet; which those were.
fn ignored(path: &Path) -> Result<Vec<&'static str>> {
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let stands = |line: &str| {
        let bare = |text: &str| text.trim().trim_matches('/').to_owned();
        old.lines().any(|other| bare(other) == bare(line))
    };
    let added: Vec<&str> = IGNORED.into_iter().filter(|line| !stands(line)).collect();
    if !added.is_empty() {
        let gap = if old.is_empty() || old.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let text = format!("{old}{gap}{}\n", added.join("\n"));
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(added)
}
