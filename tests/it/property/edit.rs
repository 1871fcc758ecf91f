//! Random edits: of the pipeline, of the files beside it, and of the cache.
use std::fs;

use proptest::{prelude::any, prop_oneof, strategy::Strategy};
use vgh::cache::{Cache, Record};

use crate::property::world::{AXES, Drawn, FILES, World};

/// One edit. Positions are taken modulo what there is.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Value(u16, u8),
    Kind(u16, u8),
    Input(u16, u16),
    File(u8, u8),
    AddStage(Drawn),
    DropStage(u16),
    AddAxisValue(u8, u8),
    DropAxisValue(u8),
    ReorderAxis(u8),
    RenameStage(u16),
    RenameAxis(u8),
    ReorderStages(u16),
    LoseBlob(u16),
    CorruptBlob(u16),
    TruncateBlob(u16),
    /// Every second blob, from the first or the second.
    Evict(bool),
    DropRecord(u16),
    TruncateRecord(u16),
    LoseIndex,
    LoseSnapshots,
    Nothing,
    /// Runs this stage, although cached.
    Force(u16),
    /// Runs this stage and what it needs.
    Select(u16),
    /// Back to the world before so many edits.
    Revert(u8),
}

impl Edit {
    pub(crate) fn any() -> impl Strategy<Value = Edit> {
        let at = any::<u16>();
        prop_oneof![
            4 => (at, any::<u8>()).prop_map(|(at, value)| Edit::Value(at, value)),
            1 => (at, any::<u8>()).prop_map(|(at, kind)| Edit::Kind(at, kind)),
            2 => (at, at).prop_map(|(at, pick)| Edit::Input(at, pick)),
            3 => any::<(u8, u8)>().prop_map(|(file, value)| Edit::File(file, value)),
            2 => Drawn::any().prop_map(Edit::AddStage),
            2 => at.prop_map(Edit::DropStage),
            2 => (any::<u8>(), 1..=6u8).prop_map(|(axis, value)| Edit::AddAxisValue(axis, value)),
            2 => any::<u8>().prop_map(Edit::DropAxisValue),
            1 => any::<u8>().prop_map(Edit::ReorderAxis),
            1 => at.prop_map(Edit::RenameStage),
            1 => any::<u8>().prop_map(Edit::RenameAxis),
            1 => at.prop_map(Edit::ReorderStages),
            3 => at.prop_map(Edit::LoseBlob),
            2 => at.prop_map(Edit::CorruptBlob),
            1 => at.prop_map(Edit::TruncateBlob),
            3 => any::<bool>().prop_map(Edit::Evict),
            2 => at.prop_map(Edit::DropRecord),
            1 => at.prop_map(Edit::TruncateRecord),
            1 => proptest::strategy::Just(Edit::LoseIndex),
            1 => proptest::strategy::Just(Edit::LoseSnapshots),
            1 => proptest::strategy::Just(Edit::Nothing),
            2 => at.prop_map(Edit::Force),
            2 => at.prop_map(Edit::Select),
            3 => any::<u8>().prop_map(Edit::Revert),
        ]
    }

    /// Changes the pipeline or its files; whether it was such an edit.
    pub(crate) fn of_world(&self, world: &mut World) -> bool {
        let stage = |world: &World, at: u16| at as usize % world.stages.len();
        let axis = |at: u8| at as usize % AXES;
        match self {
            Edit::Value(at, value) => {
                let at = stage(world, *at);
                world.stages[at].value = *value;
                world.stages[at].by_axis = value & 64 != 0;
            }
            Edit::Kind(at, kind) => {
                let at = stage(world, *at);
                world.stages[at].kind = *kind;
            }
            Edit::Input(at, pick) => {
                let at = stage(world, *at);
                world.stages[at].picks[0] = *pick;
            }
            Edit::File(at, value) => world.files[*at as usize % FILES] = *value,
            Edit::AddStage(drawn) => {
                let name = world.next_name;
                world.next_name += 1;
                world.stages.push(Drawn {
                    name,
                    ..drawn.clone()
                });
            }
            Edit::DropStage(at) if world.stages.len() > 1 => {
                let at = stage(world, *at);
                world.stages.remove(at);
            }
            Edit::AddAxisValue(at, value) => world.axes[axis(*at)].push(*value),
            Edit::DropAxisValue(at) => {
                let values = world.values(axis(*at));
                if values.len() > 1 {
                    world.axes[axis(*at)] = values[1..].to_vec();
                }
            }
            Edit::ReorderAxis(at) => world.axes[axis(*at)].reverse(),
            Edit::RenameStage(at) => {
                let at = stage(world, *at);
                world.stages[at].name = world.next_name;
                world.next_name += 1;
            }
            Edit::RenameAxis(at) => world.axis_names[axis(*at)] += 1,
            Edit::ReorderStages(first) => world.first = *first,
            _ => return false,
        }
        true
    }

    /// Damages or empties the cache.
    pub(crate) fn of_cache(&self, cache: &Cache) {
        match self {
            Edit::LoseBlob(at) => drop(blob(cache, *at).map(|path| fs::remove_file(path).unwrap())),
            Edit::CorruptBlob(at) => spoil(cache, *at, |bytes| {
                if let Some(byte) = bytes.first_mut() {
                    *byte = if *byte == b'7' { b'8' } else { b'7' };
                }
            }),
            Edit::TruncateBlob(at) => spoil(cache, *at, |bytes| {
                bytes.pop();
            }),
            Edit::Evict(odd) => {
                for path in blobs(cache).into_iter().skip(usize::from(*odd)).step_by(2) {
                    fs::remove_file(path).unwrap();
                }
            }
            Edit::DropRecord(at) => {
                if let Some(record) = record(cache, *at) {
                    cache.drop_record(&record.key).unwrap();
                }
            }
            Edit::TruncateRecord(at) => {
                if let Some(record) = record(cache, *at) {
                    let path = cache.record_path(&record.key);
                    let bytes = fs::read(&path).unwrap();
                    // Not through the name: others may share the file's bytes.
                    fs::remove_file(&path).unwrap();
                    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
                }
            }
            Edit::LoseIndex => drop(fs::remove_file(cache.root().join("index"))),
            Edit::LoseSnapshots => drop(fs::remove_dir_all(cache.root().join("snapshots"))),
            _ => {}
        }
    }
}

fn records(cache: &Cache) -> Vec<Record> {
    cache.records().unwrap().collect()
}

fn record(cache: &Cache, at: u16) -> Option<Record> {
    let mut records = records(cache);
    (!records.is_empty()).then(|| records.swap_remove(at as usize % records.len()))
}

/// Blobs that results are made of and that are there, in the order of names.
fn blobs(cache: &Cache) -> Vec<std::path::PathBuf> {
    let records = records(cache);
    let outputs = records.iter().flat_map(|record| record.outputs.values());
    let mut paths: Vec<_> = outputs
        .map(|content| cache.blob_path(&content.digest))
        .filter(|path| path.exists())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

fn blob(cache: &Cache, at: u16) -> Option<std::path::PathBuf> {
    let mut blobs = blobs(cache);
    (!blobs.is_empty()).then(|| blobs.swap_remove(at as usize % blobs.len()))
}

fn spoil(cache: &Cache, at: u16, with: impl FnOnce(&mut Vec<u8>)) {
    if let Some(path) = blob(cache, at) {
        let mut bytes = fs::read(&path).unwrap();
        with(&mut bytes);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}
