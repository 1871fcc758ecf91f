//! From an instance whose inputs are settled to its key, and from the key to a
//! record or to the need to run.
use std::sync::Arc;

use crate::{
    cache::IndexEntry,
    digest::{Digest, Key},
    engine::{
        capacity::Capacity,
        execute::Run,
        key::{Manifest, mark},
        plan::State,
    },
    pipeline::InstanceId,
};

impl Run<'_> {
    /// Finds the key of an instance whose inputs are settled, and looks it up.
    pub(super) fn consider(&mut self, id: InstanceId) {
        let instance = self.pipeline.instance(id);
        let kind = self.pipeline.stage_of(id).kind;
        if let Some(entry) = self.as_planned(id) {
            self.cache.mark_used(&entry);
            self.hit(id, entry.key, entry);
            return;
        }
        let manifest = self.manifest(id);
        let key = manifest.key();
        if let Some(entry) = self.usable(id, &key) {
            self.cache.mark_used(&entry);
            if self.elsewhere.left_to_others(id) {
                // Its maker may not have come to sync it.
                self.cache.owe_result(&key, &entry.outputs);
            }
            self.hit(id, key, entry);
            return;
        }
        let mut lost: Vec<InstanceId> = Vec::new();
        for (i, input) in instance.inputs.iter().enumerate() {
            for (j, source) in input.sources.iter().enumerate() {
                if !self.cache.has(self.content(id, i, j)) {
                    lost.push(source.instance);
                }
            }
        }
        lost.sort_unstable();
        lost.dedup();
        let there = self.capacity.total(u32::MAX);
        if let Some(lack) = Capacity::lack(&self.schedule.takes(id), &there) {
            self.schedule.refuse(id);
            self.fail(id, 0, &lack);
            return;
        }
        self.schedule.keeps(id, self.largest_input(id));
        let family = manifest.family(kind);
        self.manifests.insert(id, manifest);
        self.schedule
            .miss(id, family, mark(kind, instance).unwrap_or(0), &lost);
    }

    /// The record of an instance that the plan found cached, if its inputs came
    /// out as the plan took them and nothing was removed since it looked.
    fn as_planned(&self, id: InstanceId) -> Option<IndexEntry> {
        let planned = |id| self.plan.entry(id).filter(|_| self.believed);
        let entry = planned(id).filter(|entry| entry.state == State::Cached)?;
        let stands = |producer| {
            let planned = planned(producer)?.record.as_ref()?;
            let done = self.results.get(&producer)?;
            Arc::ptr_eq(&planned.outputs, &done.outputs).then_some(())
        };
        let mut producers = self.graph.producers(id);
        let as_planned = !self.schedule.must_remake(id)
            && !self.results.contains_key(&id)
            && producers.all(|producer| stands(producer).is_some());
        entry.record.clone().filter(|_| as_planned)
    }

    /// What a worker most likely keeps in memory for the next task.
    fn largest_input(&self, id: InstanceId) -> Option<Digest> {
        let inputs = self.pipeline.instance(id).inputs.iter();
        let contents = inputs.flat_map(|input| &input.sources).map(|source| {
            let content = &self.results[&source.instance].outputs[source.output.name];
            (content.size, content.digest)
        });
        contents.max().map(|(_, digest)| digest)
    }

    /// Tells the schedule the size of a result that is on the disk.
    pub(super) fn note_bytes(&mut self, id: InstanceId) {
        let Some(done) = self.results.get(&id) else {
            return;
        };
        let bytes = done.outputs.values().map(|content| content.size).sum();
        let passing = self.is_passing(id);
        if passing {
            self.schedule.temporary(id, bytes);
            let published = self.cache.published_at(done.outputs.values());
            self.passing.published(id, published);
        }
        if passing || self.schedule.takes(id).disk_bytes > 0 {
            self.schedule.leave(id, bytes);
        }
    }

    /// All that a result depends on, as its producers stand now.
    pub(super) fn manifest(&self, id: InstanceId) -> Manifest {
        Manifest::full(
            self.pipeline.stage_of(id).kind,
            self.pipeline.instance(id),
            self.externals.of(id),
            |input, source| self.content(id, input, source),
        )
    }

    /// The record of a key, if that is enough: it has every output, and their
    /// bytes are there where somebody wants them.
    pub(super) fn usable(&self, id: InstanceId, key: &Key) -> Option<IndexEntry> {
        let again = self.schedule.must_remake(id);
        // What the plan runs again runs, even if its bytes came back by chance.
        let spared = !self.forced(id) && self.elsewhere.left_to_others(id);
        if again && self.planned_again(id) && !spared {
            return None;
        }
        let ports = &self.pipeline.stage_of(id).outputs;
        let wanted = again || (self.graph.is_target(id) && !self.planned_again(id));
        self.index.lookup(key).filter(|entry| {
            let mut names = ports.iter().map(|port| port.name);
            names.all(|name| entry.outputs.contains_key(name)) && (!wanted || self.present(entry))
        })
    }
}
