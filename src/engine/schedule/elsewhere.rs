//! Passes that cannot begin although everything here is ready for them: another
//! run makes the same results now, or an input's bytes were found broken.
use crate::{
    engine::schedule::{Schedule, node::State},
    pipeline::InstanceId,
};

impl Schedule {
    /// Takes a pass back as if it had not started; its resources are free again.
    /// Members without a result wait until [`Schedule::retry`] names them.
    pub(in crate::engine) fn postpone(&mut self, pass: u64) -> Vec<InstanceId> {
        let postponed = self.end(pass);
        for id in &postponed {
            self.node(*id).state = State::Elsewhere;
        }
        postponed
    }

    pub(in crate::engine) fn is_settled(&self, id: InstanceId) -> bool {
        self.nodes
            .get(&id)
            .is_some_and(|node| node.state == State::Settled)
    }

    /// Has a settled instance looked up again, since what it was made from changed.
    pub(in crate::engine) fn reconsider(&mut self, id: InstanceId) {
        if self.nodes[&id].state == State::Settled {
            self.node(id).state = State::Waiting(0);
            self.to_consider.push_back(id);
        }
    }

    /// Has postponed instances looked up again.
    pub(in crate::engine) fn retry(&mut self, ids: &[InstanceId]) {
        for &id in ids {
            if self.nodes[&id].state == State::Elsewhere {
                self.node(id).state = State::Ready;
                self.to_consider.push_back(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        engine::schedule::{Amounts, Ask, NodeSpec},
    };

    fn two() -> Schedule {
        let spec = |id| NodeSpec {
            id: InstanceId(id),
            producers: Vec::new(),
            weight: 1,
            takes: Amounts {
                cpu: 1,
                ..Amounts::default()
            },
            leaves: 0,
            temp: false,
        };
        let total = spec(0).takes;
        Schedule::new(vec![spec(0), spec(1)], total, false)
    }

    fn start(schedule: &mut Schedule) -> Option<(u64, usize)> {
        loop {
            match schedule.next()? {
                Ask::Consider(id) => {
                    schedule.miss(id, Digest::of(&id.0.to_le_bytes()), 0, &[]);
                }
                Ask::Start(start) => return Some((start.pass, start.members[0].0)),
            }
        }
    }

    #[test]
    fn a_postponed_pass_holds_nothing_and_is_looked_up_again_when_told() {
        let mut schedule = two();
        let (pass, first) = start(&mut schedule).unwrap();
        assert_eq!(first, 0);
        assert_eq!(schedule.postpone(pass), [InstanceId(0)]);
        assert_eq!(schedule.running(), 0);
        // The only slot goes to the other one.
        let (other, second) = start(&mut schedule).unwrap();
        assert_eq!(second, 1);
        schedule.reached(InstanceId(1));
        assert!(schedule.finished(other).is_empty());
        assert_eq!(start(&mut schedule), None);
        schedule.retry(&[InstanceId(0), InstanceId(1)]);
        assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
        schedule.hit(InstanceId(0));
        assert!(schedule.skip_rest().is_empty());
    }

    #[test]
    fn what_is_still_postponed_at_the_end_is_skipped() {
        let mut schedule = two();
        let (pass, _) = start(&mut schedule).unwrap();
        schedule.postpone(pass);
        schedule.close();
        assert_eq!(schedule.skip_rest().len(), 2);
    }
}
