//! From an instance up to what set it off: the producers whose own parameters
//! or files changed, whose bytes are gone, or that are new or forced.
use std::collections::{BTreeSet, VecDeque};

use serde::Serialize;

use crate::{
    digest::{Digest, Key},
    engine::{
        explain::{Difference, Explainer, Study},
        plan::{Reason, State},
    },
    pipeline::InstanceId,
};

/// Something that set an instance off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Root {
    pub instance: String,
    pub cause: Cause,
    /// From the instance asked about up to this one, both included.
    pub chain: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// Its own entries differ from the result compared with.
    Changed {
        differences: Vec<Difference>,
    },
    /// Nothing of its kind was ever run.
    New,
    /// Its bytes are gone and are wanted.
    BytesMissing,
    Forced,
    /// Its result was dropped, or found damaged.
    Dropped,
    /// Nothing in it changed, yet its bytes are others: another generation of
    /// a lost result, or a stage of another kind delivered them before.
    OtherBytes,
}

impl Explainer<'_> {
    /// Breadth first, so that each root comes with a shortest chain.
    pub(super) fn roots(&mut self, start: InstanceId) -> Vec<Root> {
        let mut roots = Vec::new();
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([(start, None, vec![self.pipeline.label(start)])]);
        while let Some((id, used, chain)) = queue.pop_front() {
            let (cause, onward) = self.step(id, used);
            if let Some(cause) = cause {
                roots.push(Root {
                    instance: self.pipeline.label(id),
                    cause,
                    chain: chain.clone(),
                });
            }
            for (producer, used) in onward {
                if seen.insert(producer) {
                    let mut chain = chain.clone();
                    chain.push(self.pipeline.label(producer));
                    queue.push_back((producer, used, chain));
                }
            }
        }
        roots
    }

    /// What an instance itself adds, and the producers to look at next, each
    /// with the result whose bytes were used before.
    fn step(
        &mut self,
        id: InstanceId,
        used: Option<Key>,
    ) -> (Option<Cause>, Vec<(InstanceId, Option<Key>)>) {
        let Some(entry) = self.plan.entry(id) else {
            return (None, Vec::new());
        };
        match entry.state {
            State::Run(Reason::Forced) => return (Some(Cause::Forced), Vec::new()),
            State::Run(Reason::Dropped) => return (Some(Cause::Dropped), Vec::new()),
            State::Run(Reason::BytesMissing) | State::Maybe(Reason::BytesMissing) => {
                return (Some(Cause::BytesMissing), Vec::new());
            }
            _ => {}
        }
        if used.is_some() && entry.key == used {
            return (Some(Cause::OtherBytes), Vec::new());
        }
        let study = self.study(id, used);
        if study.compared.is_none() {
            return (Some(Cause::New), Vec::new());
        }
        let own: Vec<Difference> = (study.differences.iter())
            .filter(|difference| difference.is_own())
            .cloned()
            .collect();
        let onward = self.onward(id, &study);
        let cause = if !own.is_empty() {
            Some(Cause::Changed { differences: own })
        } else if onward.is_empty() {
            Some(Cause::OtherBytes)
        } else {
            None
        };
        (cause, onward)
    }

    /// Producers that deliver other bytes than before, or bytes not known yet.
    fn onward(&mut self, id: InstanceId, study: &Study) -> Vec<(InstanceId, Option<Key>)> {
        let mut onward = Vec::new();
        for (place, (producer, output)) in self.producers(id) {
            let before: Option<Digest> =
                (study.inputs_before.get(&place)).and_then(|digest| digest.as_str()?.parse().ok());
            let entry = self.plan.entry(producer);
            let now = entry.and_then(|entry| Some(entry.outputs()?.get(output)?.digest));
            // What stands where nothing stood before is the consumer's own change.
            let new_and_settled = before.is_none() && now.is_some();
            if new_and_settled || now.is_some() && now == before {
                continue;
            }
            let kind = self.pipeline.stage_of(producer).kind.name;
            let earlier = self.earlier.as_mut();
            let used = before.and_then(|before| earlier?.maker(&before, kind));
            onward.push((producer, used));
        }
        onward
    }
}
