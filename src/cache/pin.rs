//! Pins: what live runs need, so that nobody removes it under them. A file for
//! each live run, whose kernel lock dies with its process.
//!
//! A run writes its pin before it looks anything up, under the gate; whoever
//! removes bytes holds the gate alone while it does, and so sees every run
//! that may rely on them. Neither holds it for long.
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cache::{
        attempt::{GRACE, boot, open_lock},
        holding,
        lease::{holder, same_file},
        publish::ensure_dir,
        record::names,
        store::Cache,
    },
    digest::{AsItIs, Digest, Key},
    disk::fault,
};

const GATE: &str = "gate";
/// Bytes put together before they are written.
const BUFFER: usize = 1 << 16;
/// Bytes about one key or shape.
const LINE: usize = 66;
/// Bytes written this long before the oldest live run are not older than it:
/// clocks tick, and a run may have begun before it wrote its pin.
pub(super) const SLACK: Duration = Duration::from_mins(1);

/// Results that must stay: by key, or by shape where the key is not known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    pub keys: HashSet<Key, AsItIs>,
    pub shapes: HashSet<Digest, AsItIs>,
}

impl Roots {
    pub fn holds(&self, key: &Key, shape: &Digest) -> bool {
        self.keys.contains(key) || self.shapes.contains(shape)
    }

    fn write(&self, run: &str, beside: &[&str], out: impl Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(BUFFER, out);
        writeln!(out, "vgh pin 1\t{}\t{}", boot(), holder(run))?;
        for key in beside {
            for piece in ["k", key, "\n"] {
                out.write_all(piece.as_bytes())?;
            }
        }
        for key in &self.keys {
            writeln!(out, "k{key}")?;
        }
        for shape in &self.shapes {
            writeln!(out, "s{shape}")?;
        }
        out.flush()
    }

    pub fn extend(&mut self, other: &Roots) {
        self.keys.extend(&other.keys);
        self.shapes.extend(&other.shapes);
    }
}

/// A live run's claim on what it needs; gone when dropped.
#[derive(Debug)]
pub struct Pin {
    path: PathBuf,
    lock: File,
}

impl Drop for Pin {
    fn drop(&mut self) {
        if same_file(&self.lock, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The live runs at one moment: name, and when it began as the file system tells.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) runs: BTreeMap<String, SystemTime>,
    pub(super) roots: Roots,
}

impl Live {
    /// The moment from which on nothing may be removed; none without a live run.
    pub(super) fn since(&self) -> Option<SystemTime> {
        let oldest = self.runs.values().min()?;
        Some(oldest.checked_sub(SLACK).unwrap_or(*oldest))
    }
}

/// Held while bytes are removed.
#[derive(Debug)]
pub(super) struct Gate {
    lock: File,
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Closing would do it too; this says why the value is held.
        let _ = self.lock.unlock();
    }
}

impl Cache {
    /// Says that a run named `run` is live and needs `roots`, until dropped.
    ///
    /// # Errors
    /// A place that cannot be written, or a live run of the same name.
    pub fn pin(&self, run: &str, roots: &Roots) -> Result<Pin> {
        self.pin_beside(run, roots, &[])
    }

    /// As [`Cache::pin`], with the keys `beside`, spelled, among the roots.
    ///
    /// # Errors
    /// Those of [`Cache::pin`].
    pub fn pin_beside(&self, run: &str, roots: &Roots, beside: &[&str]) -> Result<Pin> {
        let folder = self.root().join("pins");
        ensure_dir(&folder)?;
        let gate = open_lock(&folder.join(GATE))?;
        // Where locks do not work, nothing is ever removed either.
        let _ = gate.lock_shared();
        for n in 0..1000 {
            // Several runs of one process, or of one millisecond, have a pin each.
            let path = folder.join(format!("{run}.{n}"));
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            let lock = match made {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(fault("create", &path, 0, error)),
            };
            let _ = lock.try_lock();
            let count = 1 + beside.len() + roots.keys.len() + roots.shapes.len();
            let needed = (LINE * count) as u64;
            roots
                .write(run, beside, &lock)
                .map_err(|error| fault("write", &path, needed, error))?;
            return Ok(Pin { path, lock });
        }
        bail!("too many runs are named `{run}`")
    }

    /// How the runs that have a pin name themselves.
    pub(super) fn pinned_by(&self) -> Vec<String> {
        let folder = self.root().join("pins");
        let texts = names(&folder).unwrap_or_default().into_iter();
        let texts = texts.filter_map(|name| fs::read_to_string(folder.join(name)).ok());
        let head = |text: String| text.lines().next()?.split('\t').nth(2).map(str::to_owned);
        texts.filter_map(head).collect()
    }

    /// When the gate was last shut: while it says the same, nothing was removed.
    /// None while somebody removes something, and where there is no telling.
    pub fn removals(&self) -> Option<SystemTime> {
        let path = self.root().join("pins").join(GATE);
        let gate = File::open(&path).ok()?;
        gate.try_lock_shared().ok()?;
        gate.metadata().and_then(|found| found.modified()).ok()
    }

    /// Shuts the gate: no run begins until the guard is dropped. None where
    /// locks do not work, and so nothing may be removed.
    pub(super) fn shut_gate(&self) -> Result<Option<Gate>> {
        let folder = self.root().join("pins");
        ensure_dir(&folder)?;
        let lock = open_lock(&folder.join(GATE))?;
        if lock.lock().is_err() {
            return Ok(None);
        }
        // Before anything goes: who looked earlier must look again. A time needs
        // no room on a full disk.
        lock.set_modified(holding::now())
            .map_err(|error| fault("mark", &folder.join(GATE), 0, error))?;
        Ok(Some(Gate { lock }))
    }

    /// As [`Cache::shut_gate`], for those who cannot go on without it.
    pub(super) fn needed_gate(&self) -> Result<Gate> {
        self.shut_gate()?.with_context(|| {
            let root = self.root().display();
            format!("locks do not work at {root}, so nothing can be removed while runs may be live")
        })
    }

    /// The live runs but `own`, and what they need; pins of dead ones are removed.
    /// Behind the gate, since a pin that is just being written has no lock yet.
    pub(super) fn live_runs(&self, _gate: &Gate, own: Option<&Pin>) -> Result<Live> {
        let folder = self.root().join("pins");
        let mut live = Live::default();
        for name in names(&folder)? {
            let path = folder.join(&name);
            if name == GATE || own.is_some_and(|own| own.path == path) {
                continue;
            }
            let Ok(lock) = File::open(&path) else {
                continue;
            };
            let held = match lock.try_lock() {
                Ok(()) => false,
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
            };
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if held || is_foreign(&text, &lock) {
                let began = lock.metadata().and_then(|found| found.modified());
                live.runs.insert(
                    name.to_string_lossy().into_owned(),
                    began.unwrap_or(SystemTime::UNIX_EPOCH),
                );
                read_roots(&text, &mut live.roots);
            } else {
                remove_dead(&path, &lock);
            }
        }
        Ok(live)
    }
}

/// A pin that another machine wrote lately: its lock may not be visible here.
fn is_foreign(text: &str, file: &File) -> bool {
    let ours = text.split('\t').nth(1) == Some(boot());
    let age = file.metadata().and_then(|found| found.modified()).ok();
    let young = age.is_none_or(|made| made.elapsed().is_ok_and(|age| age < GRACE));
    !ours && young && text.ends_with('\n')
}

fn remove_dead(path: &Path, lock: &File) {
    if same_file(lock, path) {
        let _ = fs::remove_file(path);
    }
}

fn read_roots(text: &str, roots: &mut Roots) {
    for line in text.lines().skip(1) {
        if let Some(key) = line.strip_prefix('k') {
            roots.keys.extend(key.parse().ok().map(Key));
        } else if let Some(shape) = line.strip_prefix('s') {
            roots.shapes.extend(shape.parse::<Digest>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::record::tests::cache;

    fn roots(n: u32) -> Roots {
        let digest = Digest::of(&n.to_le_bytes());
        Roots {
            keys: HashSet::from_iter([Key(digest)]),
            shapes: HashSet::from_iter([Digest::of(digest.as_bytes())]),
        }
    }

    fn live(cache: &Cache, own: Option<&Pin>) -> Live {
        cache.live_runs(&cache.needed_gate().unwrap(), own).unwrap()
    }

    #[test]
    fn a_gate_that_was_shut_says_so_to_those_who_looked_before() {
        let (_place, cache) = cache();
        assert_eq!(cache.removals(), None);
        drop(cache.pin("run", &Roots::default()).unwrap());
        let before = cache.removals();
        drop(cache.pin("run", &Roots::default()).unwrap());
        assert!(before.is_some() && cache.removals() == before);
        let gate = cache.shut_gate().unwrap();
        assert_eq!(cache.removals(), None);
        drop(gate);
        let after = cache.removals();
        assert!(after.is_some() && after != before);
        drop(cache.shut_gate().unwrap());
        assert!(cache.removals().is_some_and(|now| Some(now) != after));
    }

    #[test]
    fn live_runs_are_known_with_what_they_need() {
        let (_place, cache) = cache();
        assert!(live(&cache, None).since().is_none());
        let one = cache.pin("one", &roots(1)).unwrap();
        let shapes = Roots {
            shapes: roots(2).shapes,
            ..Roots::default()
        };
        let beside = roots(2).keys.into_iter().next().unwrap().to_string();
        let two = cache.pin_beside("one", &shapes, &[&beside]).unwrap();
        let found = live(&cache, None);
        assert_eq!(found.runs.keys().collect::<Vec<_>>(), ["one.0", "one.1"]);
        let mut both = roots(1);
        both.extend(&roots(2));
        assert_eq!(found.roots, both);
        assert!(found.since().unwrap() < holding::now());
        let others = live(&cache, Some(&one));
        assert_eq!(others.roots, roots(2));
        drop(two);
        drop(one);
        assert!(live(&cache, None).runs.is_empty());
    }

    #[test]
    fn a_dead_runs_pin_holds_nothing_and_another_machines_does() {
        let (_place, cache) = cache();
        let pinned = cache.pin("live", &roots(1)).unwrap();
        let pins = cache.root().join("pins");
        let text = fs::read_to_string(&pinned.path).unwrap();
        fs::write(pins.join("dead.0"), &text).unwrap();
        fs::write(pins.join("torn.0"), "vgh pin").unwrap();
        let foreign = text.replacen(boot(), "elsewhere", 1);
        fs::write(pins.join("foreign.0"), &foreign).unwrap();
        let old = holding::now() - GRACE - Duration::from_mins(1);
        fs::write(pins.join("old.0"), foreign).unwrap();
        File::open(pins.join("old.0"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        let found = live(&cache, None);
        assert_eq!(
            found.runs.keys().collect::<Vec<_>>(),
            ["foreign.0", "live.0"]
        );
        assert!(!pins.join("dead.0").exists() && !pins.join("torn.0").exists());
    }

    #[test]
    fn no_run_begins_while_the_gate_is_shut() {
        let (_place, cache) = cache();
        let gate = cache.shut_gate().unwrap();
        let begun = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                let pin = cache.pin("run", &Roots::default());
                begun.store(true, order);
                pin
            });
            std::thread::sleep(Duration::from_millis(30));
            assert!(!begun.load(order));
            drop(gate);
            run.join().unwrap().unwrap();
        });
        assert!(begun.load(order));
    }
}
