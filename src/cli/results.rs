//! Results for people: `results/PIPELINE/STAGE/AXIS=VALUE/.../NAME.parquet`.
//!
//! Copies of what the cache holds, restored when missing or altered. A small
//! file beside them remembers which copy is of what, so that a run that
//! changes nothing reads no content. Where all copies of an earlier run are
//! known to stand, only others are made, and the list grows.
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    artifact::{ArtifactType, Coords, table::without_axis_columns},
    cache::{Cache, Content, Form},
    cli::ledger::{Ledger, Told},
    digest::Digest,
    disk::write_beside,
    engine::Done,
    pipeline::{InstanceId, Pipeline},
};

/// What lies in the folder.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) folder: PathBuf,
    /// All copies that stand now; after a part those that it made.
    copies: Ledger,
    /// What was written by this run, with the list of copies.
    pub(super) written: BTreeSet<PathBuf>,
}

impl Published {
    /// Whether there is nothing but the list.
    pub(super) fn is_empty(&self) -> bool {
        self.copies.len() == 0
    }

    /// All copies that stand now, and the list of them.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let names = (0..self.copies.len()).filter_map(|place| self.copies.name(place));
        let copies = names.map(|name| self.folder.join(name));
        copies.chain([Ledger::of(&self.folder)])
    }
}

/// What an instance gave under a name of an output when the last run ended. All
/// copies that it made stood when its proof was looked at, and the next proof
/// rests on them as they were then.
pub(super) type Earlier<'a> = dyn Fn(InstanceId, &str) -> Option<Content> + 'a;

/// The folder of one run's results.
pub(super) struct Shelf<'a> {
    pipeline: &'a Pipeline,
    cache: &'a Cache,
    folder: PathBuf,
    earlier: Option<&'a Earlier<'a>>,
    published: Cell<Result<Published>>,
}

impl Shelf<'_> {
    pub(super) fn new<'a>(
        pipeline: &'a Pipeline,
        cache: &'a Cache,
        folder: PathBuf,
        earlier: Option<&'a Earlier<'a>>,
    ) -> Shelf<'a> {
        Shelf {
            pipeline,
            cache,
            folder,
            earlier,
            published: Cell::new(Ok(Published::default())),
        }
    }

    /// Brings the folder in line with the results; names those of which bytes
    /// are gone or damaged, and so not there. What goes wrong is kept for
    /// [`Shelf::close`]: the run itself is not at fault and ends as it would.
    pub(super) fn put(&self, results: &BTreeMap<InstanceId, Done>) -> Vec<InstanceId> {
        let (published, broken) = match self.publish(results) {
            Ok((mut published, broken)) => {
                if let Ok(earlier) = self.published.replace(Ok(Published::default())) {
                    published.written.extend(earlier.written);
                }
                (Ok(published), broken)
            }
            Err(error) => (Err(error), Vec::new()),
        };
        self.published.set(published);
        broken
    }

    fn publish(
        &self,
        results: &BTreeMap<InstanceId, Done>,
    ) -> Result<(Published, Vec<InstanceId>)> {
        let (pipeline, folder) = (self.pipeline, self.folder.as_path());
        let ledger_path = Ledger::of(folder);
        let old = match self.earlier {
            None => Ledger::read(&ledger_path),
            Some(_) => Ledger::default(),
        };
        let mut publishing = Publishing {
            cache: self.cache,
            folder,
            earlier: self.earlier,
            kept: vec![false; old.len()],
            looked: vec![false; old.len()],
            changed: old.differs(),
            old,
            new: BTreeMap::new(),
            written: BTreeSet::new(),
        };
        let mut broken = Vec::new();
        for (&id, done) in results {
            if pipeline.stage_of(id).execution.publish {
                let mut whole = true;
                for (output, content) in &*done.outputs {
                    whole &= publishing.output(pipeline, id, output, content)?;
                }
                if !whole {
                    broken.push(id);
                }
            }
        }
        if self.earlier.is_none() {
            publishing.forget(pipeline)?;
        }
        let mut copies = publishing.old;
        if publishing.changed || !ledger_path.exists() {
            copies = copies.with(&publishing.kept, &publishing.new);
            publishing.written.insert(ledger_path.clone());
            match self.earlier {
                None => write_beside(&ledger_path, copies.text().as_bytes())?,
                Some(_) => copies.add_to(&ledger_path)?,
            }
        }
        let published = Published {
            folder: folder.to_owned(),
            copies,
            written: publishing.written,
        };
        Ok((published, broken))
    }

    /// What lies there in the end.
    ///
    /// # Errors
    /// When a file could not be written.
    pub(super) fn close(self) -> Result<Published> {
        self.published.into_inner()
    }
}

struct Publishing<'a> {
    cache: &'a Cache,
    folder: &'a Path,
    earlier: Option<&'a Earlier<'a>>,
    /// What was published before, what of it is known to stand, and what of it
    /// there is nothing more to be said of.
    old: Ledger,
    kept: Vec<bool>,
    looked: Vec<bool>,
    new: BTreeMap<String, Told<'static>>,
    /// Whether the list is another one now.
    changed: bool,
    written: BTreeSet<PathBuf>,
}

impl Publishing<'_> {
    /// Puts one output in place; false if its bytes cannot be had.
    fn output(
        &mut self,
        pipeline: &Pipeline,
        id: InstanceId,
        output: &str,
        content: &Content,
    ) -> Result<bool> {
        let earlier = self.earlier.and_then(|earlier| earlier(id, output));
        if earlier.as_ref() == Some(content) {
            return Ok(true);
        }
        let place = place(pipeline, id);
        let port = pipeline.stage_of(id).output(output);
        let artifact = port.map(|port| port.artifact);
        let coords = &pipeline.instance(id).coords;
        match (content.form, artifact) {
            (Form::File, Some(ArtifactType::Table(_))) => self.file(
                &format!("{place}/{output}.parquet"),
                content.digest,
                content.size,
                Some(coords),
            ),
            (Form::File, Some(ArtifactType::Prompts)) => self.file(
                &format!("{place}/{output}.parquet"),
                content.digest,
                content.size,
                None,
            ),
            (Form::File, _) => self.file(
                &format!("{place}/{output}{}", port.map_or("", |port| port.ending)),
                content.digest,
                content.size,
                None,
            ),
            (Form::Tree, _) => {
                let Ok(tree) = self.cache.tree(&content.digest) else {
                    return Ok(false);
                };
                let earlier = earlier.and_then(|earlier| self.cache.tree(&earlier.digest).ok());
                let earlier = earlier.unwrap_or_default();
                let mut whole = true;
                for (name, entry) in &tree.files {
                    if earlier.files.get(name) == Some(entry) {
                        continue;
                    }
                    whole &= self.file(
                        &format!("{place}/{output}/{name}"),
                        entry.digest,
                        entry.size,
                        None,
                    )?;
                }
                Ok(whole)
            }
        }
    }

    /// Puts one file in place unless it lies there already; false if its bytes
    /// cannot be had.
    fn file(
        &mut self,
        name: &str,
        digest: Digest,
        size: u64,
        table: Option<&Coords>,
    ) -> Result<bool> {
        let path = self.folder.join(name);
        if let Some(known) = self.old.find(name) {
            let told = self.old.told(known);
            self.looked[known] = true;
            self.kept[known] = told.is_of(&digest) && told.stands(&path);
            if self.kept[known] {
                return Ok(true);
            }
        }
        self.changed = true;
        let Ok(blob) = self.cache.verified(&digest, size) else {
            return Ok(false);
        };
        let bytes = fs::read(&blob).with_context(|| format!("read {}", blob.display()))?;
        // A column that repeats an axis would clash with the folder's name.
        let bytes = match table {
            Some(coords) if !coords.is_empty() => without_axis_columns(bytes, coords)?,
            _ => bytes,
        };
        write_beside(&path, &bytes)?;
        let metadata =
            fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?;
        let copy = Told::of(&digest, &metadata);
        self.new.insert(name.to_owned(), copy);
        self.written.insert(path);
        Ok(true)
    }

    /// Removes copies of stages and coordinates that the pipeline no longer
    /// has or copies, unless somebody changed them; keeps those that this run left out.
    fn forget(&mut self, pipeline: &Pipeline) -> Result<()> {
        let looked = self.looked.iter().enumerate();
        let untold = looked.filter(|(_, looked)| !**looked);
        let untold: Vec<usize> = untold.map(|(place, _)| place).collect();
        if untold.is_empty() {
            return Ok(());
        }
        let copied = |id: &InstanceId| pipeline.stage_of(*id).execution.publish;
        let copied = pipeline.ids().filter(copied);
        let places: BTreeSet<String> = copied.map(|id| place(pipeline, id)).collect();
        for known in untold {
            let Some(name) = self.old.name(known) else {
                self.changed = true;
                continue;
            };
            let path = self.folder.join(&name);
            let belongs = Path::new(&name)
                .ancestors()
                .any(|parent| places.contains(parent.to_string_lossy().as_ref()));
            if belongs && path.exists() {
                self.kept[known] = true;
                continue;
            }
            self.changed = true;
            if self.old.told(known).stands(&path) && is_below(&name) {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
                remove_empty_parents(&path, self.folder);
            }
        }
        Ok(())
    }
}

/// `grpo/lr=1e-4/step=25`, the axes in the order of the stage's `over`.
fn place(pipeline: &Pipeline, id: InstanceId) -> String {
    let stage = pipeline.stage_of(id);
    let coords = &pipeline.instance(id).coords;
    let mut place = safe(&stage.name);
    for axis in &stage.over {
        if let Some(value) = coords.get(axis) {
            place.push_str(&format!("/{}={}", safe(axis), safe(&value.to_string())));
        }
    }
    place
}

/// A name as one path component: separators and control characters become `_`.
fn safe(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| {
            if c == '/' || c == '\\' || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect();
    if matches!(clean.as_str(), "" | "." | "..") {
        "_".to_owned()
    } else {
        clean
    }
}

fn is_below(name: &str) -> bool {
    Path::new(name)
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
}

fn remove_empty_parents(path: &Path, root: &Path) {
    for parent in path
        .ancestors()
        .skip(1)
        .take_while(|parent| *parent != root)
    {
        if fs::remove_dir(parent).is_err() {
            return;
        }
    }
}
