//! What becomes of an instance that has a record: taken as it is, or executed
//! once more because the plan says so. Keeps what runs within the plan.
use crate::{
    cache::IndexEntry,
    digest::Key,
    engine::{
        event::Event,
        execute::{Done, Run},
        plan::{Reason, State},
    },
    pipeline::InstanceId,
};

impl Run<'_> {
    pub(super) fn present(&self, entry: &IndexEntry) -> bool {
        let mut outputs = entry.outputs.values();
        outputs.all(|content| self.cache.has(content))
    }

    fn planned(&self, id: InstanceId) -> Option<&State> {
        self.plan.entry(id).map(|entry| &entry.state)
    }

    /// Whether the plan says that the instance runs although there is a record.
    pub(super) fn planned_again(&self, id: InstanceId) -> bool {
        let again =
            |state: &State| matches!(state, State::Run(Reason::BytesMissing | Reason::Forced));
        self.planned(id).is_some_and(again)
    }

    pub(super) fn forced(&self, id: InstanceId) -> bool {
        self.planned(id) == Some(&State::Run(Reason::Forced))
    }

    /// A record answers. What is to be made again nevertheless settles first,
    /// so that whatever depends on it learns its key before anything starts.
    pub(super) fn hit(&mut self, id: InstanceId, key: Key, entry: IndexEntry) {
        // A result that this very run made for another instance is no old one.
        let made = self.made.get(&key).copied();
        let made = made.filter(|_| self.planned(id) != Some(&State::Cached));
        let again =
            made.is_none() && self.planned_again(id) && (self.forced(id) || !self.present(&entry));
        if !again {
            // A run that was killed right after the record left them.
            self.downloads.settled(id, self.cache);
        }
        let there = !again && self.is_passing(id) && self.present(&entry);
        let duration_ms = entry.duration_ms;
        let done = Done {
            key,
            outputs: entry.outputs,
            duration_ms,
            executed: made.is_some(),
        };
        let first = self.settle(id, done);
        if there {
            self.note_bytes(id);
        }
        self.schedule.hit(id);
        if again {
            self.schedule.remake(id);
            return;
        }
        if !first && !self.planned_again(id) {
            return;
        }
        let (stage, instance) = self.names(id);
        self.voice.say(match made {
            Some(pass) => Event::Finished {
                pass,
                stage,
                instance,
                duration_ms,
            },
            None => Event::Cached { stage, instance },
        });
    }
}
