//! Results that cannot be taken as they came: an input's bytes were broken or
//! gone, an output's are gone, a file outside changed, or a result that was
//! made again is not what it was. What can be made again is, in this run.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    engine::{
        event::Event,
        execute::{Done, Run, guard::violation},
        key::Settled,
    },
    pipeline::InstanceId,
};

/// How often one instance is begun anew since bytes were gone.
const MOST: u32 = 3;

/// What happened to passes and instances out of order.
#[derive(Default)]
pub(super) struct Mending {
    tries: BTreeMap<InstanceId, u32>,
    void: BTreeMap<u64, Void>,
    /// Made again since nobody could read what was there.
    remade: BTreeSet<InstanceId>,
    /// Whether a result was replaced by other bytes: keys found before may be outdated.
    replaced: bool,
}

impl Mending {
    /// Takes note that an instance is made again; false if it was before.
    pub(super) fn first_remake(&mut self, id: InstanceId) -> bool {
        self.remade.insert(id)
    }
}

/// Why what a pass reports is not taken.
enum Void {
    /// Bytes that it had published are gone.
    Gone,
    /// What it read changed.
    Changed(String),
}

/// Why a pass did not reach its end.
pub(super) enum Word {
    Error(String),
    /// A further attempt would end the same way.
    Final(String),
}

impl Word {
    pub(super) fn error(&self) -> &str {
        let (Word::Error(error) | Word::Final(error)) = self;
        error
    }

    pub(super) fn is_final(&self) -> bool {
        matches!(self, Word::Final(_))
    }
}

impl Run<'_> {
    /// Takes in the result of an instance; false if it had one before in this run.
    pub(super) fn settle(&mut self, id: InstanceId, mut done: Done) -> bool {
        let before = self.results.remove(&id);
        done.executed |= before.as_ref().is_some_and(|before| before.executed);
        let first = before.is_none();
        let replaced = before.is_some_and(|before| before.outputs != done.outputs);
        self.results.insert(id, done);
        for producer in self.graph.producers(id) {
            if self.pipeline.stage_of(producer).execution.temp {
                self.passing.consider(producer);
            }
        }
        if replaced {
            self.mending.replaced = true;
            for consumer in self.graph.consumers(id) {
                if self.graph.is_needed(consumer) {
                    self.schedule.reconsider(consumer);
                }
            }
        }
        first
    }

    /// Whether what an instance was to be made from is no longer what it was
    /// when its key was found.
    pub(super) fn outdated(&self, id: InstanceId) -> bool {
        self.mending.replaced && self.manifest(id).key() != self.manifests[&id].key()
    }

    /// Whether a pass's outputs may be recorded.
    pub(super) fn may_keep(&mut self, pass: u64, outputs: &Settled) -> bool {
        if self.mending.void.contains_key(&pass) {
            return false;
        }
        let changed = self
            .passes
            .get(&pass)
            .and_then(|state| violation(&state.guarded));
        let gone = || !outputs.values().all(|content| self.cache.has(content));
        let void = match changed {
            Some(message) => Void::Changed(message),
            None if gone() => Void::Gone,
            None => return true,
        };
        self.mending.void.insert(pass, void);
        false
    }

    /// Ends a pass that would read what changed.
    pub(super) fn void(&mut self, pass: u64, message: String) {
        self.mending.void.insert(pass, Void::Changed(message));
        self.over(pass, "");
    }

    /// What to say of a pass that is over; none if it begins anew.
    pub(super) fn last_word(&mut self, pass: u64, error: &str) -> Option<Word> {
        match self.mending.void.remove(&pass) {
            Some(Void::Changed(message)) => Some(Word::Final(message)),
            Some(Void::Gone) => {
                let gone = "its result was removed from the cache before it was recorded";
                (!self.again(pass, gone)).then(|| Word::Error(gone.to_owned()))
            }
            None if self.lost_input(pass) => {
                let said = format!("an input's bytes are lost and made again ({error})");
                (!self.again(pass, &said)).then(|| Word::Error(error.to_owned()))
            }
            None => Some(Word::Error(error.to_owned())),
        }
    }

    /// Whether the bytes of an input of an unfinished pass are gone.
    fn lost_input(&self, pass: u64) -> bool {
        let Some(id) = self.unfinished(pass) else {
            return false;
        };
        let inputs = self.pipeline.instance(id).inputs.iter().enumerate();
        let mut places =
            inputs.flat_map(|(i, input)| (0..input.sources.len()).map(move |j| (i, j)));
        places.any(|(i, j)| !self.cache.has(self.content(id, i, j)))
    }

    fn unfinished(&self, pass: u64) -> Option<InstanceId> {
        let by_mark = &self.passes.get(&pass)?.by_mark;
        by_mark.values().flatten().last().copied()
    }

    /// Has the unfinished members of a pass looked up again. False if that was
    /// done often enough, or the run is being stopped.
    fn again(&mut self, pass: u64, why: &str) -> bool {
        let Some(id) = self.unfinished(pass) else {
            return false;
        };
        let tries = self.mending.tries.entry(id).or_default();
        *tries += 1;
        if *tries > MOST || self.totals.interrupted {
            return false;
        }
        let label = self.pipeline.label(id);
        self.voice.say(Event::Warning {
            message: format!("`{label}` begins anew: {why}"),
        });
        self.passes.remove(&pass);
        let members = self.schedule.postpone(pass);
        for id in &members {
            // What was begun in vain uses up no retry.
            self.attempts.entry(*id).and_modify(|count| *count -= 1);
        }
        self.elsewhere.release(pass);
        self.schedule.retry(&members);
        true
    }
}
