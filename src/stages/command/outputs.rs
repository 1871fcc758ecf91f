//! What a command left: the declared outputs are taken, plain files and
//! folders only; what else lies there is told and goes.
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    stage::{Context, Outputs, Produced, harmless},
    stages::command::text::Place,
};

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
/// Names that a message lists.
const LISTED: usize = 5;

/// Makes the folders in which outputs are to lie, and those that are outputs.
pub(super) fn prepare(work: &Path, outputs: &BTreeMap<String, Place>) -> Result<()> {
    for place in outputs.values() {
        let folder = match (place.is_folder(), place.path().rsplit_once('/')) {
            (true, _) => place.path(),
            (false, Some((folder, _))) => folder,
            (false, None) => continue,
        };
        let folder = work.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    }
    Ok(())
}

/// The declared outputs, checked.
pub(super) fn take(
    work: &Path,
    outputs: &BTreeMap<String, Place>,
    context: &Context<'_>,
) -> Result<Outputs> {
    let mut taken = Outputs::new();
    let mut more = undeclared(work, outputs)?;
    for (name, place) in outputs {
        let produced = one(work, place, &more).with_context(|| format!("output `{name}`"))?;
        taken = taken.with(name, produced);
    }
    if !more.is_empty() {
        for name in &mut more {
            *name = harmless(name);
        }
        let listed = listed(&more);
        context.log(&format!(
            "warning: the command also left {listed}, which no output declares: not kept"
        ));
    }
    Ok(taken)
}

fn one(work: &Path, place: &Place, more: &[String]) -> Result<Produced> {
    let mut path = work.to_owned();
    let mut found = None;
    for part in place.path().split('/') {
        path.push(part);
        let about = match fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(error) if absent(&error) => {
                let instead = match more {
                    [] => String::new(),
                    more => format!(" (it left {})", listed(more)),
                };
                bail!("the command made no `{}`{instead}", shown(place.text()));
            }
            Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
        };
        let name = path.strip_prefix(work).unwrap_or(&path);
        plain(&about, &path, &name.to_string_lossy())?;
        found = Some(about);
    }
    let is_folder = found.is_some_and(|about| about.is_dir());
    if is_folder {
        check_folder(work, place.path())?;
        return Ok(Produced::Tree(path));
    }
    if place.is_folder() {
        bail!(
            "`{}` is a file where a folder was expected",
            shown(place.text())
        );
    }
    Ok(Produced::File(path))
}

/// All below a folder must be plain.
fn check_folder(work: &Path, folder: &str) -> Result<()> {
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let path = work.join(&folder);
        let failed = || format!("list `{}`", shown(&folder));
        for entry in fs::read_dir(&path).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                let name = entry.file_name();
                bail!(
                    "the name `{folder}/{}` is not UTF-8",
                    harmless(&name.to_string_lossy())
                );
            };
            let name = format!("{folder}/{name}");
            let about = fs::symlink_metadata(entry.path()).with_context(failed)?;
            plain(&about, &entry.path(), &name)?;
            if about.is_dir() {
                pending.push(name);
            }
        }
    }
    Ok(())
}

fn plain(about: &Metadata, path: &Path, name: &str) -> Result<()> {
    let kind = about.file_type();
    let name = shown(name);
    if kind.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        let target = harmless(&target.to_string_lossy());
        bail!(
            "`{name}` is a symbolic link to `{target}`; only files and folders are taken, copy it"
        );
    }
    let nature = if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else if kind.is_file() && about.mode() & SET_ID != 0 {
        "set-user-id or set-group-id"
    } else {
        return Ok(());
    };
    bail!("`{name}` is {nature}; only plain files and folders are taken")
}

/// What lies beside the outputs, as paths. Only folders that lead to an output
/// are looked into.
fn undeclared(work: &Path, outputs: &BTreeMap<String, Place>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(prefix) = pending.pop() {
        let folder = work.join(&prefix);
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            // Taking what should lie there says what is wrong.
            Err(error) if absent(&error) => continue,
            Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
        };
        for entry in listing {
            let entry = entry.with_context(|| format!("list {}", folder.display()))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if outputs.values().any(|place| place.path() == name) {
                continue;
            }
            let inner = format!("{name}/");
            let leads = outputs
                .values()
                .any(|place| place.path().starts_with(&inner));
            if leads && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(inner);
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{}`", shown(name)))
        .collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn shown(name: &str) -> String {
    harmless(name)
}
