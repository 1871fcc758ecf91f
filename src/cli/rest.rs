//! What a run that looks at a part says of the rest: to whoever watches, in the
//! run's folder, in the answer, and for the next run.
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, absolute},
};

use crate::{
    cache::{Cache, Grounds, Proof},
    cli::{
        answer::Spent,
        note::{Detail, Head, Note, unexecuted},
        plan::planned,
        results::Published,
        unchanged::{Finished, cached},
    },
    digest::Key,
    engine::{Event, RunTotals, StagePlan, State},
    pipeline::InstanceId,
    runs::ResultLine,
};

/// The instances that stand, around those that are looked at.
pub(super) struct Rest<'a> {
    pub(super) note: &'a Note<'a>,
    pub(super) details: &'a [Detail<'a>],
    pub(super) proof: &'a Proof,
    /// The text of the whole pipeline.
    pub(super) text: &'a str,
    /// For each instance of the note where it stands in the part, if it does.
    pub(super) inside: Vec<Option<InstanceId>>,
}

impl Rest<'_> {
    /// Keys of the results that stand.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        let outside = self.places().filter(|(i, _)| self.inside[*i].is_none());
        outside.filter_map(|(_, place)| self.key(place)?.parse().ok().map(Key))
    }

    /// How many results stand.
    fn count(&self) -> usize {
        self.inside.iter().filter(|id| id.is_none()).count()
    }

    /// Each instance with the place of its record among the proof's files.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut next = 0;
        self.details.iter().enumerate().map(move |(i, detail)| {
            let place = next;
            next += detail.files;
            (i, place)
        })
    }

    /// A key as the name of its record's file says it.
    fn key(&self, place: usize) -> Option<&str> {
        Path::new(self.proof.file(place)).file_stem()?.to_str()
    }

    /// An event of the part as one of the whole.
    pub(super) fn tell(&self, event: Event, tell: &mut dyn FnMut(&Event)) {
        match event {
            Event::RunStarted {
                run, jobs, stages, ..
            } => {
                let stages = self.stages(&stages);
                let pipeline = &self.note.head.pipeline;
                tell(&Event::opening(&run, pipeline, jobs, stages));
                let instances = self.note.instances.iter().zip(&self.inside);
                for ((stage, label), _) in instances.filter(|(_, id)| id.is_none()) {
                    tell(&cached(stage, label));
                }
            }
            Event::RunFinished(totals) => tell(&Event::RunFinished(self.totals(&totals))),
            event => tell(&event),
        }
    }

    /// What the plan says of the stages: what does not run is cached.
    fn stages(&self, part: &[StagePlan]) -> Vec<StagePlan> {
        let part: HashMap<&str, &StagePlan> = part
            .iter()
            .map(|stage| (stage.stage.as_str(), stage))
            .collect();
        let mut stages = self.note.stages();
        for stage in &mut stages {
            if let Some(part) = part.get(stage.stage.as_str()) {
                (stage.to_run, stage.maybe) = (part.to_run, part.maybe);
                stage.cached = stage.instances - part.to_run - part.maybe;
                stage.estimate_ms = part.estimate_ms;
            }
        }
        stages
    }

    pub(super) fn totals(&self, part: &RunTotals) -> RunTotals {
        RunTotals {
            cached: part.cached + self.count(),
            ..part.clone()
        }
    }

    /// The lines of a kept plan; `part` has those of the part.
    pub(super) fn plan_lines(&self, part: &BTreeMap<InstanceId, String>) -> Vec<String> {
        let line = |(i, place): (usize, usize)| match self.inside[i] {
            Some(id) => part.get(&id).cloned().unwrap_or_default(),
            None => planned(
                self.note.instances[i],
                &State::Cached,
                self.key(place),
                None,
            ),
        };
        self.places().map(line).collect()
    }

    /// The lines of the results that are there in the end; `part` as above.
    pub(super) fn result_lines(&self, part: &BTreeMap<InstanceId, String>) -> Vec<String> {
        let all = self.inside.iter().zip(self.details);
        all.filter_map(|(id, detail)| match id {
            Some(id) => part.get(id).cloned(),
            None => Some(detail.line.to_owned()),
        })
        .collect()
    }

    /// What all results took, where the part took `now`.
    pub(super) fn spent(&self, now: Vec<Spent>) -> Vec<Spent> {
        let mut all = self.note.head.spent.clone();
        let inside = self.inside.iter().zip(self.details);
        for (_, detail) in inside.filter(|(id, _)| id.is_some()) {
            let Ok(line) = serde_json::from_str::<ResultLine>(detail.line) else {
                continue;
            };
            if let Some(spent) = all.iter_mut().find(|spent| spent.kind == line.kind) {
                spent.count -= 1;
                spent.ms -= line.duration_ms;
            }
        }
        for now in now {
            match all.iter_mut().find(|spent| spent.kind == now.kind) {
                Some(spent) => {
                    spent.count += now.count;
                    spent.ms += now.ms;
                }
                None => all.push(now),
            }
        }
        all.retain(|spent| spent.count > 0);
        all
    }

    /// What is left for the next run: what the whole rests on now, the note,
    /// the details. None where that cannot be said.
    pub(super) fn word(
        &self,
        cache: &Cache,
        done: &Finished<'_>,
        (published, lines): (&Published, &[String]),
    ) -> Option<(Grounds, String, String)> {
        let note = Note {
            head: Head {
                answer: done.answer.clone(),
                spent: done.spent.to_owned(),
                ..self.note.head.clone()
            },
            instances: self.note.instances.clone(),
        };
        let mut grounds = Grounds::default();
        let details = self.instances(cache, done, lines, &mut grounds)?;
        self.copies(cache, published, &mut grounds)?;
        self.outside(done, &mut grounds);
        Some((grounds, note.write()?, details))
    }

    /// What the instances rest on, and their details.
    fn instances(
        &self,
        cache: &Cache,
        done: &Finished<'_>,
        lines: &[String],
        grounds: &mut Grounds,
    ) -> Option<String> {
        let mut details = String::new();
        for (((i, place), detail), line) in self.places().zip(self.details).zip(lines) {
            let Some(id) = self.inside[i] else {
                grounds.files_of(self.proof, place..place + detail.files);
                detail.write(&mut details);
                continue;
            };
            let before = grounds.len();
            let result = done.outcome.results.get(&id)?;
            grounds.file(cache.root(), &cache.record_path(&result.key));
            if detail.target {
                for content in result.outputs.values() {
                    grounds.content(cache, content);
                }
            }
            let now = Detail {
                files: grounds.len() - before,
                line: &unexecuted(line),
                producers: detail.producers.clone(),
                ..*detail
            };
            now.write(&mut details);
        }
        Some(details)
    }

    /// The copies: those that this run wrote as they are now.
    fn copies(&self, cache: &Cache, published: &Published, grounds: &mut Grounds) -> Option<()> {
        let first: usize = self.details.iter().map(|detail| detail.files).sum();
        let known = first..self.proof.files();
        let known: HashMap<&Path, usize> = known
            .map(|place| (Path::new(self.proof.file(place)), place))
            .collect();
        for copy in &published.files {
            let written = published.written.contains(copy);
            let copy = absolute(copy).ok()?;
            let name = copy.strip_prefix(cache.root()).unwrap_or(&copy);
            match known.get(name).filter(|_| !written) {
                Some(place) => grounds.files_of(self.proof, *place..place + 1),
                None => grounds.file(cache.root(), &copy),
            }
        }
        Some(())
    }

    /// Of the files outside, those that the part read are as it read them.
    fn outside(&self, done: &Finished<'_>, grounds: &mut Grounds) {
        let places = done.externals.places().iter();
        let read: HashSet<&Path> = places.map(|(place, _)| place.as_path()).collect();
        for place in 0..self.proof.outside() {
            let path = Path::new(self.proof.place(place));
            if read.contains(path) {
                grounds.external(path, done.stat, self.proof.readers(place));
            } else {
                grounds.external_of(self.proof, place);
            }
        }
    }
}
