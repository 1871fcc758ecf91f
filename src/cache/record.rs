//! Records and how they are read: which artifacts a key produced, and how.
//!
//! A record file that cannot be trusted is moved to quarantine and counts as a
//! miss, never as an error.
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cache::{
        blob::Content,
        sealed,
        store::{Cache, FORMAT_VERSION, is_absent},
    },
    digest::{Digest, Key},
    disk::fault,
};

/// What executing a key produced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    pub key: Key,
    /// The manifest without the progressive parameter.
    pub family: Digest,
    /// The manifest without the digests of inputs.
    pub shape: Digest,
    /// All that the result depends on; its canonical JSON hashes to `key`.
    pub manifest: Value,
    pub outputs: BTreeMap<String, Content>,
    #[serde(default)]
    pub provenance: Provenance,
}

/// How a result came to be; decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// RFC 3339.
    pub started: String,
    pub duration_ms: u64,
    /// The most memory of the process that computed, since it began; of a foreign
    /// program, of the largest process, and none where its worker had as much.
    pub peak_rss_bytes: Option<u64>,
    pub host: String,
    pub device: String,
    pub instruction_set: String,
    pub program_version: String,
    pub revision: Option<String>,
    pub libraries: BTreeMap<String, String>,
    /// Of a foreign program: the variables that it was given.
    pub environment: BTreeMap<String, String>,
    /// The devices that it was given, as `CUDA_VISIBLE_DEVICES` names them.
    pub gpus: Vec<String>,
    /// The run that made it, and what the instance was called there.
    pub run: String,
    pub pipeline: String,
    pub instance: String,
    pub attempts: u32,
    pub log: Option<String>,
    /// Whether its bytes were meant to go once nothing needed them.
    pub temp: bool,
}

impl Record {
    /// The name of the kind, where the manifest says it under `kind`.
    pub fn kind(&self) -> &str {
        self.manifest
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<()> {
        let found = Key::of(&self.manifest);
        ensure!(
            found == self.key,
            "its manifest has the key {found}, not {}",
            self.key
        );
        for name in self.outputs.keys() {
            let odd = name.is_empty() || name.contains(char::is_control);
            ensure!(!odd, "`{}` cannot name an output", name.escape_debug());
        }
        Ok(())
    }
}

impl Cache {
    /// The canonical record of a key. A file that is truncated, altered or
    /// garbage is a miss: it is moved to quarantine, with a notice.
    pub fn record(&self, key: &Key) -> Result<Option<Record>> {
        let path = self.record_path(key);
        let bytes = match read_quietly(&path) {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(fault("read", &path, 0, error)),
        };
        let why = match parse(&bytes, key) {
            Ok(record) if record.format == FORMAT_VERSION => return Ok(Some(record)),
            Ok(record) => {
                let format = record.format;
                self.notice(format!(
                    "record {} has format {format}; ignored",
                    path.display()
                ));
                return Ok(None);
            }
            Err(why) => why,
        };
        let moved = match self.quarantine(&path) {
            Ok(target) => format!("moved to {}", target.display()),
            Err(error) => format!("left in place ({error:#})"),
        };
        self.notice(format!(
            "record {} cannot be used: {why:#}; {moved}",
            path.display()
        ));
        Ok(None)
    }

    /// The records kept beside the canonical one, oldest first.
    pub fn records_beside(&self, key: &Key) -> Vec<Record> {
        (1..)
            .map_while(|n| fs::read(self.beside_path(key, n)).ok())
            .filter_map(|bytes| parse(&bytes, key).ok())
            .collect()
    }

    /// All canonical records, sorted by key; what cannot be used is left out.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn records(&self) -> Result<impl Iterator<Item = Record>> {
        let mut keys = self.record_keys()?;
        keys.sort_unstable();
        Ok(keys
            .into_iter()
            .filter_map(|key| self.record(&key).ok().flatten()))
    }

    /// The keys that have a canonical record, by the names of files alone.
    pub(super) fn record_keys(&self) -> Result<Vec<Key>> {
        let root = self.root().join("records");
        let mut keys = Vec::new();
        for folder in names(&root)? {
            let folder = root.join(folder);
            if !folder.is_dir() {
                continue;
            }
            for name in names(&folder)? {
                let name = name.to_string_lossy();
                let digest = name
                    .strip_suffix(".json")
                    .and_then(|name| name.parse().ok());
                keys.extend(digest.map(Key));
            }
        }
        Ok(keys)
    }
}

/// Reads a file without its time of access moving, which says when a run last
/// used the record; where the system refuses that, it moves.
fn read_quietly(path: &Path) -> io::Result<Vec<u8>> {
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    #[cfg(target_os = "linux")]
    let opened = open(libc::O_NOATIME).or_else(|error| match error.raw_os_error() {
        Some(libc::EPERM) => open(0),
        _ => Err(error),
    });
    #[cfg(not(target_os = "linux"))]
    let opened = open(0);
    let mut file = opened?;
    let size = file.metadata().map_or(0, |found| found.len());
    let mut bytes = Vec::with_capacity(size.min(1 << 20) as usize + 1);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn parse(bytes: &[u8], key: &Key) -> Result<Record> {
    let record: Record = sealed::unseal(bytes)?;
    ensure!(record.key == *key, "it is the record of {}", record.key);
    record.check()?;
    Ok(record)
}

/// The names in a folder; none where it is missing.
pub(super) fn names(folder: &Path) -> Result<Vec<OsString>> {
    let failed = |error| fault("list", folder, 0, error);
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry.map_err(failed)?.file_name()))
            .collect(),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::cache::blob::Form;

    pub(crate) fn cache() -> (tempfile::TempDir, Cache) {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(&place.path().join("cache")).unwrap();
        (place, cache)
    }

    /// A record of a toy kind with one output, whose bytes are stored.
    pub(crate) fn record(cache: &Cache, x: u32, text: &str) -> Record {
        cache.put_bytes(text.as_bytes()).unwrap();
        unstored(x, text)
    }

    pub(crate) fn unstored(x: u32, text: &str) -> Record {
        let (digest, size) = (Digest::of(text.as_bytes()), text.len() as u64);
        let manifest = json!({ "kind": "toy", "x": x, "rate": 0.1 });
        Record {
            format: FORMAT_VERSION,
            key: Key::of(&manifest),
            family: Digest::of(b"family"),
            shape: Digest::of(&x.to_le_bytes()),
            manifest,
            outputs: BTreeMap::from([(
                "out".to_owned(),
                Content {
                    digest,
                    size,
                    form: Form::File,
                },
            )]),
            provenance: Provenance {
                duration_ms: 10 * u64::from(x),
                ..Provenance::default()
            },
        }
    }

    #[test]
    fn garbage_is_a_miss_and_is_said() {
        let (_place, cache) = cache();
        let one = record(&cache, 1, "one");
        let two = record(&cache, 2, "two");
        cache.commit(&two).unwrap();
        let path = cache.record_path(&one.key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let misfiled = fs::read(cache.record_path(&two.key)).unwrap();
        let deep = "[".repeat(100_000);
        let garbage: [&[u8]; 5] = [b"", b"\0\0\0", b"{}", deep.as_bytes(), &misfiled];
        for bytes in garbage {
            fs::write(&path, bytes).unwrap();
            assert_eq!(cache.records().unwrap().count(), 1);
            let notices = cache.take_notices();
            assert!(notices[0].contains("cannot be used"), "{notices:?}");
        }
        let mut newer = one.clone();
        newer.format = 2;
        fs::write(&path, sealed::seal(&newer).unwrap()).unwrap();
        assert_eq!(cache.record(&one.key).unwrap(), None);
        assert!(cache.take_notices()[0].contains("has format 2; ignored"));
        assert!(path.exists());
        assert!(cache.commit(&one).is_err());
    }

    #[test]
    fn fields_may_be_added_and_may_be_absent() {
        let (_place, cache) = cache();
        let expected = record(&cache, 0, "one");
        let mut value = serde_json::to_value(&expected).unwrap();
        value["provenance"] = json!({ "weather": "rain" });
        value["added"] = json!(1);
        let path = cache.record_path(&expected.key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, sealed::seal(&value).unwrap()).unwrap();
        assert_eq!(cache.record(&expected.key).unwrap(), Some(expected));
    }
}
