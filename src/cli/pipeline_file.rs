//! Which file the pipeline is, and reading it.
#![expect(
    clippy::print_stderr,
    reason = "says which pipeline is taken where none was named"
)]
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    cli::exit::Failure,
    diagnostic::{Source, nearest},
    pipeline::{Pipeline, Selector, decode},
};

const FOLDER: &str = "pipelines";
const DEFAULT: &str = "pipelines/quickstart.toml";
const EMBEDDED: &str = include_str!("../../pipelines/quickstart.toml");
const EMBEDDED_NAME: &str = "quickstart.toml (embedded)";

/// A first word that looks like a path is the file; the rest are selectors.
pub(super) fn split(words: &[String]) -> (Option<&Path>, &[String]) {
    match words.split_first() {
        Some((first, rest)) if looks_like_file(first) => (Some(Path::new(first)), rest),
        _ => (None, words),
    }
}

fn looks_like_file(word: &str) -> bool {
    is_toml(Path::new(word)) || word.contains('/')
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

/// A pipeline's text and where it is from.
pub(super) struct Text {
    pub(super) source: Source,
    /// Where relative externals start.
    pub(super) folder: PathBuf,
    /// Its file; for the built-in pipeline where that would be.
    pub(super) path: PathBuf,
}

/// Reads the file that is named, else the default.
pub(super) fn read(file: Option<&Path>) -> Result<Text, Failure> {
    let named = file.map(Path::to_owned);
    let Some(path) = named.map_or_else(default_file, |path| Ok(Some(path)))? else {
        eprintln!("no {FOLDER}/*.toml here: this is the built-in quickstart");
        return Ok(Text {
            source: Source::file(EMBEDDED_NAME, EMBEDDED),
            folder: PathBuf::from("."),
            path: PathBuf::from("quickstart.toml"),
        });
    };
    let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    Ok(Text {
        source: decode(&path.display().to_string(), bytes)?,
        folder: path.parent().map_or_else(PathBuf::new, Path::to_owned),
        path,
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let mut message = format!("read {}: {error}", path.display());
    let name = path.file_name().and_then(|name| name.to_str());
    if error.kind() == io::ErrorKind::NotFound
        && let Some(near) = name.and_then(|name| like(name, path))
    {
        message.push_str(&format!("\nhelp: did you mean `{}`?", near.display()));
    }
    Failure::Usage(message)
}

/// The pipeline named most like `name`, beside `path` or where pipelines lie.
fn like(name: &str, path: &Path) -> Option<PathBuf> {
    let beside = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut candidates = pipelines_in(Path::new(FOLDER));
    candidates.extend(pipelines_in(&beside));
    let names = candidates
        .iter()
        .filter_map(|path| path.file_name()?.to_str());
    // `first` was perhaps meant to have its ending.
    let ended = if is_toml(path) {
        name.to_owned()
    } else {
        format!("{name}.toml")
    };
    let near = nearest(&ended, names)?;
    let near = candidates
        .iter()
        .find(|path| path.file_name().is_some_and(|name| name == near))?;
    Some(near.clone())
}

/// The pipeline files of a folder, sorted.
fn pipelines_in(folder: &Path) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs::read_dir(here).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| folder.join(entry.file_name()))
        .filter(|path| is_toml(path))
        .collect();
    files.sort();
    files
}

/// `pipelines/quickstart.toml`, else the only file there; `None` without one.
fn default_file() -> Result<Option<PathBuf>, Failure> {
    if Path::new(DEFAULT).is_file() {
        return Ok(Some(DEFAULT.into()));
    }
    let mut files = pipelines_in(Path::new(FOLDER));
    if files.len() <= 1 {
        return Ok(files.pop());
    }
    let names: Vec<String> = files
        .iter()
        .map(|path| format!("  {}", path.display()))
        .collect();
    Err(Failure::Usage(format!(
        "several pipelines here; name one of them:\n{}",
        names.join("\n")
    )))
}

/// A word that no stage has for a name but a pipeline: `vgh run first`.
pub(super) fn named_without_folder(selectors: &[Selector], pipeline: &Pipeline) -> Option<Failure> {
    selectors.iter().find_map(|selector| {
        let name = &selector.stage;
        let file = Path::new(FOLDER).join(format!("{name}.toml"));
        let meant = pipeline.stage_named(name).is_none() && file.is_file();
        meant.then(|| {
            Failure::Usage(format!(
                "no stage is named `{name}`\nhelp: did you mean the pipeline `{}`?",
                file.display()
            ))
        })
    })
}
