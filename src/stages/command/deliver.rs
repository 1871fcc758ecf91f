//! The private folder of a command, and what lies in it beforehand.
//!
//! `work` is where it starts and leaves its outputs; `files` and `inputs` lie
//! beside, so that every path is short, relative and the same in each run, and
//! the folder around them is for what is temporary: few folders are made.
//! What it is given is a copy of its own wherever it could be written through.
use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::{self, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    artifact::{Artifact, Body, Coords, Scalar, table},
    digest::{Tree, TreeEntry, of_file},
    stage::{Context, Delivery, Inputs, ending},
    stages::command::{kind::param, text::Paths},
};

/// The folders of a room, the same for every command.
pub(super) const WORK: &str = "work";
pub(super) const FILES: &str = "files";
pub(super) const INPUTS: &str = "inputs";

/// The private folder.
pub(super) struct Room {
    root: PathBuf,
}

impl Room {
    /// In a folder in which nothing lies but the three folders, empty.
    pub(super) fn make(scratch: &Path) -> Result<Room> {
        let root =
            path::absolute(scratch).with_context(|| format!("find {}", scratch.display()))?;
        Ok(Room { root })
    }

    /// Where the command starts.
    pub(super) fn work(&self) -> PathBuf {
        self.root.join(WORK)
    }

    fn files(&self) -> PathBuf {
        self.root.join(FILES)
    }

    fn inputs(&self) -> PathBuf {
        self.root.join(INPUTS)
    }

    pub(super) fn temporary(&self) -> &Path {
        &self.root
    }

    /// Copies the declared files and folders; `paths` learns where they lie.
    ///
    /// # Errors
    /// One that is not as it stands in the key any more.
    pub(super) fn deliver_files(
        &self,
        files: &BTreeMap<String, PathBuf>,
        context: &Context<'_>,
        paths: &mut Paths,
    ) -> Result<()> {
        let folder = self.files();
        for (name, written) in files {
            let param = param(name);
            let source = context.external(&param)?;
            let expected = context.foreign.externals.get(&param);
            let expected = expected.with_context(|| format!("`{param}` has no digest"))?;
            let is_folder = source.is_dir();
            let end = if is_folder {
                ""
            } else {
                ending(written.to_str().unwrap_or_default())
            };
            let target = folder.join(format!("{name}{end}"));
            let found = if is_folder {
                copy_folder(source, &target)?.digest()
            } else {
                copy_file(source, &target)?.digest
            };
            ensure!(
                found == *expected,
                "`{param}` changed since the run began: {}",
                source.display()
            );
            let path = format!("../files/{name}{end}");
            paths.insert(("files", name.clone()), path);
        }
        Ok(())
    }

    /// Lays out the artifacts of every port; `paths` learns where they lie.
    pub(super) fn deliver_inputs(
        &self,
        inputs: &Inputs,
        context: &Context<'_>,
        paths: &mut Paths,
    ) -> Result<()> {
        let folder = self.inputs();
        for (port, artifacts) in &inputs.0 {
            let delivery = context.foreign.inputs.get(port);
            let delivery = delivery.with_context(|| format!("input `{port}` has no form"))?;
            let name = deliver(&folder, port, artifacts, delivery)
                .with_context(|| format!("input `{port}`"))?;
            paths.insert(("inputs", port.clone()), format!("../inputs/{name}"));
        }
        Ok(())
    }
}

/// Lays out the artifacts of one port; the name of what they became.
fn deliver(
    folder: &Path,
    port: &str,
    artifacts: &[Artifact],
    delivery: &Delivery,
) -> Result<String> {
    let end = match delivery {
        Delivery::Table => ".parquet",
        Delivery::Files(ending) => ending,
    };
    if let [artifact] = artifacts
        && artifact.coords.is_empty()
    {
        return lay(folder, port, end, artifact);
    }
    if *delivery == Delivery::Table {
        let tables: Vec<(&Coords, &Path)> = artifacts
            .iter()
            .map(|artifact| Ok((&artifact.coords, artifact.file()?)))
            .collect::<Result<_>>()?;
        let name = format!("{port}{end}");
        write(&folder.join(&name), &table::with_axes(&tables)?)?;
        return Ok(name);
    }
    let gathered = folder.join(port);
    make_folder(&gathered)?;
    for artifact in artifacts {
        let mut place = gathered.clone();
        for (axis, value) in &artifact.coords {
            place.push(format!("{axis}={}", escaped(value)));
        }
        fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        match &artifact.body {
            Body::File(_) => {
                lay(&place, port, end, artifact)?;
            }
            Body::Tree(files) => lay_tree(&place, files)?,
        }
    }
    Ok(port.to_owned())
}

/// One artifact as a file `name` + `end`, or as a folder `name`.
fn lay(folder: &Path, name: &str, end: &str, artifact: &Artifact) -> Result<String> {
    match &artifact.body {
        Body::File(blob) => {
            let name = format!("{name}{end}");
            give(blob, &folder.join(&name))?;
            Ok(name)
        }
        Body::Tree(files) => {
            lay_tree(&folder.join(name), files)?;
            Ok(name.to_owned())
        }
    }
}

fn lay_tree(folder: &Path, files: &BTreeMap<String, PathBuf>) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    for (name, blob) in files {
        let target = folder.join(name);
        if let Some(parent) = target.parent().filter(|parent| *parent != folder) {
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        }
        give(blob, &target)?;
    }
    Ok(())
}

/// Gives a blob: sharing its blocks where the file system can; else by a link,
/// which only root could write through (and the engine looks); else as a copy.
fn give(blob: &Path, target: &Path) -> Result<()> {
    let shown = || format!("write {}", target.display());
    // SAFETY: the call has no arguments and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if root || SHARES.load(Ordering::Relaxed) {
        let mut from = File::open(blob).with_context(shown)?;
        let mut to = File::create_new(target).with_context(shown)?;
        let shared = share_blocks(&from, &to);
        if shared || root {
            if !shared {
                io::copy(&mut from, &mut to).with_context(shown)?;
            }
            let sealed = to.set_permissions(Permissions::from_mode(0o444));
            return sealed.with_context(shown);
        }
        SHARES.store(false, Ordering::Relaxed);
        fs::remove_file(target).with_context(shown)?;
    }
    let blob = path::absolute(blob).with_context(|| format!("find {}", blob.display()))?;
    symlink(blob, target).with_context(shown)
}

/// Whether the file system could share blocks when it was last asked.
static SHARES: AtomicBool = AtomicBool::new(true);

/// Whether the file system made the copy by sharing.
#[cfg(target_os = "linux")]
fn share_blocks(from: &File, to: &File) -> bool {
    // SAFETY: both descriptors are open; the call takes the second as an integer.
    unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn share_blocks(_from: &File, _to: &File) -> bool {
    false
}

/// A copy of a file, executable for all: whether a script may be run must not
/// depend on how it lies about. Digest and size of what was copied.
fn copy_file(source: &Path, target: &Path) -> Result<TreeEntry> {
    fs::copy(source, target).with_context(|| format!("copy {}", source.display()))?;
    let (digest, size) = of_file(target).with_context(|| format!("read {}", target.display()))?;
    fs::set_permissions(target, Permissions::from_mode(0o555))
        .with_context(|| format!("write {}", target.display()))?;
    Ok(TreeEntry { digest, size })
}

/// A copy of the regular files of a folder; links stand for what they lead to.
fn copy_folder(source: &Path, target: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut pending = vec![String::new()];
    while let Some(prefix) = pending.pop() {
        let (from, to) = (source.join(&prefix), target.join(&prefix));
        make_folder(&to)?;
        let listing = fs::read_dir(&from).with_context(|| format!("list {}", from.display()))?;
        for entry in listing {
            let path = entry
                .with_context(|| format!("list {}", from.display()))?
                .path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                bail!("the name of {} is not UTF-8", path.display());
            };
            let name = format!("{prefix}{name}");
            if path.is_dir() {
                pending.push(format!("{name}/"));
            } else {
                let entry = copy_file(&path, &target.join(&name))?;
                tree.files.insert(name, entry);
            }
        }
    }
    Ok(tree)
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("create {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

/// A value as part of a folder's name, escaped as readers of such folders
/// expect it: `a/b` is `a%2Fb`.
fn escaped(value: &Scalar) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if c.is_control() || matches!(c, '/' | '\\' | '%' | '=' | ':' | '?' | '#' | '"') {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn values_are_escaped_as_readers_expect() {
        let text = |text: &str| escaped(&Scalar::Text(text.to_owned()));
        assert_eq!(text("a/b=c%\n"), "a%2Fb%3Dc%25%0A");
        assert_eq!(text("é x.1"), "é x.1");
        assert_eq!(escaped(&Scalar::Float(1e-4)), "1e-4");
    }

    #[test]
    fn a_copied_folder_has_the_digest_of_its_files() {
        let place = tempfile::tempdir().unwrap();
        let source = place.path().join("s");
        fs::create_dir_all(source.join("sub/empty")).unwrap();
        fs::write(source.join("sub/a"), "a").unwrap();
        symlink("sub/a", source.join("link")).unwrap();
        let tree = copy_folder(&source, &place.path().join("t")).unwrap();
        let entry = TreeEntry {
            digest: Digest::of(b"a"),
            size: 1,
        };
        let files = [
            ("link".to_owned(), entry.clone()),
            ("sub/a".to_owned(), entry),
        ];
        assert_eq!(tree.files, BTreeMap::from(files));
        let copied = fs::symlink_metadata(place.path().join("t/link")).unwrap();
        assert!(copied.is_file());
        assert_eq!(copied.permissions().mode() & 0o777, 0o555);
    }
}
