//! What a run that looks at a part says of the rest: to whoever watches, in the
//! run's folder, in the answer, and for the next run.
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    path::absolute,
    time::SystemTime,
};

use memchr::memrchr;

use crate::{
    cache::{Cache, Content, Grounds, Proof},
    cli::{
        answer::Spent,
        details::{Details, Row},
        note::{Head, Note},
        results::Published,
        run::{OwnLines, standing},
        unchanged::{Finished, Word, cached, stand_on},
    },
    digest::Digest,
    engine::{Event, Plan, RunTotals, StagePlan, State},
    pipeline::InstanceId,
    runs::{LINE_END, Piece, ResultLine},
};

/// The instances that stand, around those that are looked at.
pub(super) struct Rest<'a> {
    pub(super) note: &'a Note<'a>,
    pub(super) details: &'a Details<'a>,
    /// Of the lines of the details.
    pub(super) stamp: &'a str,
    pub(super) proof: &'a Proof,
    /// The text of the whole pipeline.
    pub(super) text: &'a str,
    /// The instances that are in the part, in order.
    pub(super) inside: Vec<Inside>,
    /// What the cache said of removals before the proof was looked at.
    pub(super) removals: Option<SystemTime>,
}

/// An instance of the note that is in the part.
pub(super) struct Inside {
    /// Where it stands in the note.
    pub(super) place: usize,
    /// Where it stands in the part.
    pub(super) id: InstanceId,
    /// Whether it may have changed; else others read it.
    pub(super) affected: bool,
}

impl<'a> Rest<'a> {
    /// Whether nothing runs but what may have changed: something lost that is made
    /// again may turn out different, and others read it too.
    pub(super) fn stands(&self, plan: &Plan) -> bool {
        let mut others = self.inside.iter().filter(|inside| !inside.affected);
        others.all(|inside| {
            let entry = plan.entry(inside.id);
            entry.is_some_and(|entry| entry.state == State::Cached)
        })
    }

    /// Keys of the results that stand.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let outside = self.instances().filter(|(_, id)| id.is_none());
        outside.filter_map(|(i, _)| self.key(i))
    }

    /// How many results stand.
    pub(super) fn count(&self) -> usize {
        self.details.len() - self.inside.len()
    }

    /// Each instance of the note with where it stands in the part, if it does.
    fn instances(&self) -> impl Iterator<Item = (usize, Option<InstanceId>)> {
        let mut inside = self.inside.iter().peekable();
        (0..self.details.len()).map(move |i| {
            let found = inside.next_if(|inside| inside.place == i);
            (i, found.map(|inside| inside.id))
        })
    }

    /// A key as the name of its record's file says it.
    fn key(&self, instance: usize) -> Option<&str> {
        let record = self.proof.file(self.details.files(instance).start);
        let start = memrchr(b'/', record.as_bytes()).map_or(0, |slash| slash + 1);
        record.get(start..start + Digest::DIGITS)
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
                for (i, _) in self.instances().filter(|(_, id)| id.is_none()) {
                    let (stage, label) = self.note.instances[i];
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

    /// Keys of what is cached by the plan of the part, and of what stands, in order.
    pub(super) fn standing<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = Cow<'p, str>> {
        self.instances().filter_map(move |(i, id)| match id {
            None => self.key(i).map(Cow::Borrowed),
            Some(id) => plan.entry(id).and_then(standing).map(Cow::Owned),
        })
    }

    /// The lines of the results that are there in the end; `own` are those of the part.
    pub(super) fn result_lines<'o>(&'o self, own: &'o OwnLines) -> Vec<Piece<'o>> {
        let now = |inside: &Inside| {
            let line = own.get(&inside.id).map_or("", String::as_str);
            (inside.place, line)
        };
        let others: Vec<(usize, &str)> = self.inside.iter().map(now).collect();
        self.details.lines_with(&others)
    }

    /// Whether these are the lines that were there before.
    pub(super) fn are_as_before(&self, own: &OwnLines) -> bool {
        self.inside.iter().all(|inside| {
            let line = own
                .get(&inside.id)
                .and_then(|line| line.strip_suffix(LINE_END));
            line.is_some() && line == self.details.line(inside.place).as_deref()
        })
    }

    /// What the instances of the part gave, by the name of the output, when the
    /// last run ended.
    pub(super) fn outputs(&self) -> impl Fn(InstanceId, &str) -> Option<Content> + use<> {
        let outputs = self.inside.iter().filter_map(|inside| {
            let line = self.result(inside.place)?;
            Some((inside.id, line.outputs))
        });
        let outputs: HashMap<InstanceId, BTreeMap<String, Content>> = outputs.collect();
        move |id, name| outputs.get(&id)?.get(name).copied()
    }

    /// Whether copies lie in the folder of results, besides their list.
    pub(super) fn has_copies(&self) -> bool {
        self.proof.files() > self.details.all_files() + 1
    }

    /// What the last run left of an instance.
    fn result(&self, instance: usize) -> Option<ResultLine> {
        serde_json::from_str(&self.details.line(instance)?).ok()
    }

    /// What all results took, where the part took `now`.
    pub(super) fn spent(&self, now: Vec<Spent>) -> Vec<Spent> {
        let mut all = self.note.head.spent.clone();
        for inside in &self.inside {
            let Some(line) = self.result(inside.place) else {
                continue;
            };
            if let Some(spent) = all.iter_mut().find(|spent| spent.kind == line.kind) {
                spent.count = spent.count.saturating_sub(1);
                spent.ms = spent.ms.saturating_sub(line.duration_ms);
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

    /// What is left for the next run. None where that cannot be said, or where
    /// something that stood may be gone since.
    pub(super) fn word(
        &self,
        cache: &Cache,
        done: &Finished<'_>,
        own: &OwnLines,
    ) -> Option<Word<'_>> {
        if self.removals.is_none() || cache.removals() != self.removals {
            return None;
        }
        let head = Head {
            answer: done.answer.clone(),
            spent: done.spent.to_owned(),
            ..self.note.head.clone()
        };
        let mut grounds = Grounds::default();
        let details = self.instances_now(cache, done, own, &mut grounds)?;
        self.copies(cache, done.published, &mut grounds)?;
        self.outside(done, &mut grounds);
        Some(Word {
            grounds,
            note: vec![head.line()?.into(), self.note.written.into()],
            details,
        })
    }

    /// What the instances rest on, and their details.
    fn instances_now(
        &self,
        cache: &Cache,
        done: &Finished<'_>,
        own: &OwnLines,
        grounds: &mut Grounds<'a>,
    ) -> Option<Vec<Cow<'a, str>>> {
        let mut others = Vec::with_capacity(self.inside.len());
        // Files before are taken over.
        let mut next = 0;
        for Inside {
            place,
            id,
            affected,
        } in &self.inside
        {
            let line = own.get(id)?;
            let before = || self.details.line(*place);
            if !affected && line.strip_suffix(LINE_END) != before().as_deref() {
                // Others read it as it was.
                return None;
            }
            let files = self.details.files(*place);
            grounds.files_of(self.proof, next..files.start);
            next = files.end;
            let (before, target) = (grounds.len(), self.details.is_target(*place));
            stand_on(grounds, cache, done.outcome.results.get(id)?, target);
            let mut row = String::new();
            let now = Row {
                target,
                files: grounds.len() - before,
                line: line.len(),
                producers: self.details.producers(*place),
            };
            now.write(&mut row);
            others.push((*place, row));
        }
        grounds.files_of(self.proof, next..self.details.all_files());
        Some(self.details.rows_with(others))
    }

    /// The copies: those that this run wrote as they are now. All others stand.
    fn copies(
        &self,
        cache: &Cache,
        published: &Published,
        grounds: &mut Grounds<'a>,
    ) -> Option<()> {
        let root = cache.root();
        let mut written = BTreeSet::new();
        for copy in &published.written {
            let copy = absolute(copy).ok()?;
            let name = copy.strip_prefix(root).unwrap_or(&copy);
            written.insert(name.to_str()?.to_owned());
        }
        let first = self.details.all_files();
        let mut next = first;
        for place in first..self.proof.files() {
            let name = self.proof.file(place);
            if written.remove(name) {
                grounds.files_of(self.proof, next..place);
                next = place + 1;
                grounds.file(root, &root.join(name));
            }
        }
        grounds.files_of(self.proof, next..self.proof.files());
        for name in written {
            grounds.file(root, &root.join(name));
        }
        Some(())
    }

    /// Of the files outside, those that the part read are as it read them.
    fn outside(&self, done: &Finished<'_>, grounds: &mut Grounds<'a>) {
        let read = done.externals.places().iter();
        let read: BTreeSet<&str> = read.filter_map(|(place, _)| place.to_str()).collect();
        let mut next = 0;
        for place in 0..self.proof.outside() {
            let path = self.proof.place(place);
            if read.contains(path) {
                grounds.externals_of(self.proof, next..place);
                next = place + 1;
                grounds.external(path.as_ref(), done.stat, self.proof.readers(place));
            }
        }
        grounds.externals_of(self.proof, next..self.proof.outside());
    }
}
