//! What the engine does with a report: records, events, and the state of the
//! schedule. A record is written only here.
use std::sync::Arc;

use anyhow::Result;

use crate::{
    cache::{Committed, FORMAT_VERSION, Provenance, Record},
    engine::{
        event::Event,
        execute::{Done, Run},
        key::{Manifest, Settled},
        task::{Report, Usage},
    },
    pipeline::InstanceId,
};

impl Run<'_> {
    pub(super) fn hear(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Progress {
                task,
                done,
                total,
                unit,
                note,
            } => {
                self.voice.say(Event::Progress {
                    pass: task,
                    done,
                    total,
                    unit,
                    note,
                });
            }
            Report::Log { task, line } => self.voice.say(Event::Log { pass: task, line }),
            Report::Reached {
                task,
                mark,
                outputs,
                usage,
            } => {
                if self.may_keep(task, &outputs) {
                    self.commit_mark(task, mark, &outputs, &usage)?;
                }
            }
            Report::Finished {
                task,
                outputs,
                usage,
            } => {
                let last = self
                    .passes
                    .get(&task)
                    .and_then(|pass| pass.by_mark.keys().last().copied());
                if self.may_keep(task, &outputs) {
                    self.commit_mark(task, last.unwrap_or(0), &outputs, &usage)?;
                }
                self.over(task, "the kind returned without reaching this mark");
            }
            Report::Failed { task, error } => self.over(task, &error),
            Report::Stopped { task } => self.over(task, "stopped"),
        }
        Ok(())
    }

    /// Writes the records of all instances that wanted this mark.
    fn commit_mark(
        &mut self,
        pass: u64,
        mark: u64,
        outputs: &Settled,
        usage: &Usage,
    ) -> Result<()> {
        let members = self
            .passes
            .get_mut(&pass)
            .and_then(|state| state.by_mark.remove(&mark));
        for id in members.into_iter().flatten() {
            let outputs = self.commit(pass, id, outputs, usage)?;
            self.downloads.settled(id, self.cache);
            let key = self.manifests[&id].key();
            let done = Done {
                key,
                outputs: Arc::new(outputs),
                duration_ms: usage.duration_ms,
                executed: true,
            };
            self.made.insert(key, pass);
            self.attempts.remove(&id);
            self.settle(id, done);
            self.note_bytes(id);
            self.schedule.reached(id);
            if self.outdated(id) {
                self.schedule.reconsider(id);
            }
            let (stage, instance) = self.names(id);
            self.voice.say(Event::Finished {
                pass,
                stage,
                instance,
                duration_ms: usage.duration_ms,
            });
        }
        Ok(())
    }

    fn commit(
        &mut self,
        pass: u64,
        id: InstanceId,
        outputs: &Settled,
        usage: &Usage,
    ) -> Result<Settled> {
        let stage = self.pipeline.stage_of(id);
        let manifest = &self.manifests[&id];
        let shape = Manifest::shape(
            stage.kind,
            self.pipeline.instance(id),
            self.externals.of(id),
        );
        let record = Record {
            format: FORMAT_VERSION,
            key: manifest.key(),
            family: manifest.family(stage.kind),
            shape: shape.digest(),
            manifest: manifest.0.clone(),
            outputs: outputs.clone(),
            provenance: self.provenance(id, pass, usage),
        };
        let ports = &stage.outputs;
        let complete =
            |record: &Record| (ports.iter()).all(|port| record.outputs.contains_key(port.name));
        let committed = self.cache.commit(&record)?;
        let settled = match committed {
            Committed::New | Committed::Same => {
                self.index.note(&record);
                outputs.clone()
            }
            Committed::Differs { canonical }
                if complete(&canonical)
                    && canonical
                        .outputs
                        .values()
                        .all(|content| self.cache.has(content)) =>
            {
                let then = "the first result stays, the other is kept beside it";
                self.warn_differs(id, (&canonical.outputs, outputs), then);
                self.index.note(&canonical);
                canonical.outputs
            }
            Committed::Differs { canonical } => {
                let then = "the first result's bytes are lost, so the next one takes its place";
                self.warn_differs(id, (&canonical.outputs, outputs), then);
                let winner = match self.cache.supersede(&record, &canonical)? {
                    // Another run was first to replace it.
                    Committed::Differs { canonical } => *canonical,
                    Committed::New | Committed::Same => record,
                };
                self.index.note(&winner);
                winner.outputs
            }
        };
        Ok(settled)
    }

    /// The pass is over; what it did not reach has failed with `error`.
    pub(super) fn over(&mut self, pass: u64, error: &str) {
        self.look_at_disk();
        let Some(word) = self.last_word(pass, error) else {
            return;
        };
        self.elsewhere.release(pass);
        let error = word.error();
        if !word.is_final() && self.try_again(pass, error) {
            return;
        }
        let unfinished = self.schedule.finished(pass);
        let Some(state) = self.passes.remove(&pass) else {
            return;
        };
        let reached_all = unfinished.is_empty();
        for id in unfinished {
            let (stage, instance) = self.names(id);
            if self.totals.interrupted {
                self.totals.skipped += 1;
                self.failed.insert(id);
                self.voice.say(Event::Skipped {
                    stage,
                    instance,
                    because: "the run was stopped".into(),
                });
            } else {
                self.fail(id, pass, error);
            }
        }
        if reached_all {
            let duration_ms = state.begun.elapsed().as_millis() as u64;
            self.voice.say(Event::PassFinished {
                pass,
                stage: state.stage,
                duration_ms,
            });
        }
    }

    fn provenance(&self, id: InstanceId, pass: u64, usage: &Usage) -> Provenance {
        Provenance {
            started: usage.started.clone(),
            duration_ms: usage.duration_ms,
            peak_rss_bytes: usage.peak_rss_bytes,
            host: usage.host.clone(),
            device: usage.device.clone(),
            instruction_set: usage.instruction_set.clone(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.name.to_owned(),
            pipeline: self.pipeline.name.clone(),
            instance: self.pipeline.label(id),
            environment: usage.environment.clone(),
            temp: self.pipeline.stage_of(id).execution.temp,
            attempts: self.attempts.get(&id).copied().unwrap_or(1),
            gpus: (self.passes.get(&pass)).map_or_else(Vec::new, |state| state.gpus.clone()),
            ..Provenance::default()
        }
    }
}
