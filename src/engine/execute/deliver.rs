//! Handing results over, once nothing is left to do. Only here may it show that
//! the bytes of a hit are damaged, since nobody read them before: what was
//! asked for is then made again, in the same run.
use std::collections::BTreeMap;

use crate::{
    engine::{
        event::Event,
        execute::{Done, Options, Run},
    },
    pipeline::InstanceId,
};

/// Takes the results for whoever asked, and names those whose bytes are broken.
/// Called again when some of them were made again.
pub type Deliver<'a> = dyn Fn(&BTreeMap<InstanceId, Done>) -> Vec<InstanceId> + 'a;

impl Run<'_> {
    /// Hands the results over; false if one that was asked for must be made
    /// again first.
    pub(super) fn deliver(&mut self, options: &Options<'_>) -> bool {
        // What failed to be made again is no result, though it has a record.
        let whole = |id: &InstanceId| self.schedule.is_settled(*id) && !self.failed.contains(id);
        self.results.retain(|id, _| whole(id));
        let broken = (options.deliver)(&self.results);
        for message in self.cache.take_notices() {
            self.voice.say(Event::Warning { message });
        }
        if self.schedule.is_closed() {
            return true;
        }
        let mut complete = true;
        for id in broken.into_iter().filter(|id| self.graph.is_target(*id)) {
            if self.mending.first_remake(id) {
                self.schedule.remake(id);
                complete = false;
            } else {
                self.results.remove(&id);
                self.fail(
                    id,
                    0,
                    "its result cannot be read, although it was made again",
                );
            }
        }
        complete
    }
}
