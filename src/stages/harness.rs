//! Runs a kind as the engine would, in a temporary folder, for tests: the only
//! place of theirs with a context and a sink. Makes up no inputs.
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    artifact::{Artifact, Body},
    digest::{Tree, TreeEntry, of_file},
    stage::{Context, Foreign, Held, Inputs, Outputs, Produced, Resume, Sink, Stage, Unit},
};

/// What a run left behind; its files live as long as it does.
pub(super) struct Ran {
    _folder: TempDir,
    /// Outputs by mark; those of a kind without marks are at mark 0.
    by_mark: BTreeMap<u64, BTreeMap<String, Artifact>>,
    /// Resume state by the mark that it belongs to.
    pub(super) snapshot: Option<(u64, PathBuf)>,
    /// The lines that the kind logged.
    pub(super) log: Vec<String>,
    /// How far the kind said to have come.
    pub(super) done: u64,
}

impl Ran {
    /// An output of the run's last mark.
    pub(super) fn artifact(&self, port: &str) -> &Artifact {
        &self.last()[port]
    }

    /// The outputs of the run's last mark, by port.
    pub(super) fn last(&self) -> &BTreeMap<String, Artifact> {
        let (_, outputs) = self.by_mark.last_key_value().expect("a run has outputs");
        outputs
    }

    /// An output as it was handed over at a mark.
    pub(super) fn at(&self, mark: u64, port: &str) -> &Artifact {
        &self.by_mark[&mark][port]
    }

    /// The marks handed over, ascending.
    pub(super) fn marks(&self) -> Vec<u64> {
        self.by_mark.keys().copied().collect()
    }

    pub(super) fn resume(&self) -> Resume {
        let (mark, folder) = self.snapshot.clone().expect("the run kept a snapshot");
        Resume { mark, folder }
    }
}

/// What an engine would decide.
#[derive(Default)]
pub(super) struct Setting {
    pub(super) marks: Vec<u64>,
    pub(super) resume: Option<Resume>,
    pub(super) externals: BTreeMap<String, PathBuf>,
    /// Ask the kind to stop once it has come this far.
    pub(super) stop_at: Option<u64>,
}

/// Runs a kind with artifacts on its input ports.
pub(super) fn run<S: Stage>(stage: &S, inputs: &[(&str, &Artifact)]) -> Result<Ran> {
    run_in(stage, inputs, Setting::default())
}

/// The same for a kind that is progressive or reads externals.
pub(super) fn run_in<S: Stage>(
    stage: &S,
    inputs: &[(&str, &Artifact)],
    setting: Setting,
) -> Result<Ran> {
    let mut delivered = Inputs::default();
    for (port, artifact) in inputs {
        let artifacts = delivered.0.entry((*port).to_owned()).or_default();
        artifacts.push((*artifact).clone());
    }
    run_delivered(stage, &delivered, setting)
}

/// The same with inputs as the engine delivers them.
pub(super) fn run_delivered<S: Stage>(stage: &S, inputs: &Inputs, setting: Setting) -> Result<Ran> {
    let (ran, outcome) = attempt(stage, inputs, setting, &Held::default())?;
    outcome.map(|()| ran)
}

/// The same in a worker that holds a model; also what a run that failed left behind.
pub(super) fn attempt<S: Stage>(
    stage: &S,
    inputs: &Inputs,
    setting: Setting,
    held: &Held,
) -> Result<(Ran, Result<()>)> {
    let folder = tempfile::tempdir()?;
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch)?;
    let keep = Keep {
        folder: folder.path().to_owned(),
        by_mark: RefCell::default(),
        snapshot: RefCell::default(),
        log: RefCell::default(),
        done: Cell::default(),
        stop_at: setting.stop_at,
    };
    let last = setting.marks.last().copied().unwrap_or(0);
    let context = Context {
        scratch,
        marks: setting.marks,
        resume: setting.resume,
        references: BTreeMap::new(),
        downloads: folder.path().join("downloads"),
        externals: setting.externals,
        foreign: Foreign::default(),
        sink: &keep,
        held,
    };
    let outcome = stage.run(inputs, &context).and_then(|outputs| {
        let made: BTreeSet<&str> = outputs.0.keys().map(String::as_str).collect();
        let declared: BTreeSet<&str> = S::PORTS.outputs.iter().map(|port| port.name).collect();
        assert_eq!(made, declared);
        keep.reached(last, outputs)
    });
    let ran = Ran {
        _folder: folder,
        by_mark: keep.by_mark.into_inner(),
        snapshot: keep.snapshot.into_inner(),
        log: keep.log.into_inner(),
        done: keep.done.get(),
    };
    Ok((ran, outcome))
}

/// The parameter that a kind refuses and what it says.
pub(super) fn refusal<S: Stage>(stage: &S) -> (&'static str, String) {
    let refusal = stage.check().expect_err("the parameters are refused");
    (refusal.param, refusal.message)
}

/// A folder as an artifact.
pub(super) fn tree(folder: &Path) -> Result<Artifact> {
    let mut files = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.context("a file name that is not UTF-8")?.to_owned();
        let (digest, size) = of_file(&path)?;
        entries.insert(name.clone(), TreeEntry { digest, size });
        files.insert(name, path);
    }
    Ok(Artifact {
        coords: BTreeMap::new(),
        digest: Tree { files: entries }.digest(),
        body: Body::Tree(files),
    })
}

/// A file as an artifact.
pub(super) fn file(path: &Path) -> Result<Artifact> {
    Ok(Artifact {
        coords: BTreeMap::new(),
        digest: of_file(path)?.0,
        body: Body::File(path.to_owned()),
    })
}

struct Keep {
    folder: PathBuf,
    by_mark: RefCell<BTreeMap<u64, BTreeMap<String, Artifact>>>,
    snapshot: RefCell<Option<(u64, PathBuf)>>,
    log: RefCell<Vec<String>>,
    done: Cell<u64>,
    stop_at: Option<u64>,
}

impl Sink for Keep {
    fn progress(&self, done: u64, _total: u64, _unit: Unit, _note: &str) {
        self.done.set(done);
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }

    fn reached(&self, mark: u64, outputs: Outputs) -> Result<()> {
        let mut artifacts = BTreeMap::new();
        for (port, produced) in outputs.0 {
            let artifact = match produced {
                Produced::Bytes(bytes) => {
                    let path = self.folder.join(format!("{port}-{mark}"));
                    fs::write(&path, &bytes)?;
                    file(&path)?
                }
                Produced::File(path) => file(&path)?,
                Produced::Tree(path) => tree(&path)?,
            };
            artifacts.insert(port, artifact);
        }
        self.by_mark.borrow_mut().insert(mark, artifacts);
        Ok(())
    }

    fn snapshot(&self, mark: u64, write: &dyn Fn() -> Result<PathBuf>) -> Result<()> {
        let folder = write()?;
        let kept = self.folder.join(format!("snapshot-{mark}"));
        fs::create_dir(&kept)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
        self.snapshot.replace(Some((mark, kept)));
        Ok(())
    }

    fn foreign_peak_rss_bytes(&self, _bytes: u64) {}

    fn stopping(&self) -> bool {
        self.stop_at == Some(self.done.get())
    }
}
