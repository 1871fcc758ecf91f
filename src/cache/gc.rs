//! Which results and bytes may go, and letting them go: mark, then sweep.
//!
//! Never takes what a live run pins, nor anything younger than the oldest live
//! run. Records that nothing asks for any more go with their bytes; for want
//! of room only bytes go, and their records stay, so that nothing after them
//! runs again. What a dead process left goes always.
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use anyhow::Result;

use crate::{
    cache::{
        downloads::Download,
        holding::{BlobFile, Holding, age, now},
        pin::{Live, Roots},
        snapshot::Kept,
        store::Cache,
    },
    digest::Digest,
};

/// What to collect.
#[derive(Debug, Clone)]
pub struct GcOptions {
    /// Results that stay; none keeps all that the other rules spare.
    pub roots: Option<Roots>,
    /// Results that no run took for this long go.
    pub older_than: Option<Duration>,
    /// Bytes go until no more than this is left.
    pub max_bytes: Option<u64>,
    /// Bytes go until this much is free on the file system.
    pub free_bytes: Option<u64>,
    /// What is younger stays whatever else is said.
    pub grace: Duration,
    /// Say what would go, and remove nothing.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> GcOptions {
        GcOptions {
            roots: None,
            older_than: None,
            max_bytes: None,
            free_bytes: None,
            grace: Duration::from_mins(1),
            dry_run: false,
        }
    }
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    /// Its bytes go, it stays.
    Emptied,
    /// It goes, with the bytes that nothing else names.
    Dropped,
}

/// One record and its fate.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub holding: Holding,
    pub fate: Fate,
    /// Bytes that go with it.
    pub freed: u64,
}

/// What was collected, or would be.
#[derive(Debug, Default)]
pub struct GcReport {
    pub verdicts: Vec<Verdict>,
    /// Blobs that no record names.
    pub orphans: usize,
    pub orphan_bytes: u64,
    pub snapshots: usize,
    pub snapshot_bytes: u64,
    /// Files that were on their way from a hub and that nobody went on with.
    pub downloads: usize,
    pub download_bytes: u64,
    /// Folders of dead processes.
    pub abandoned: usize,
    /// All bytes that go: of results, orphans, snapshots and downloads.
    pub freed: u64,
    /// Bytes of blobs and snapshots that are left.
    pub left: u64,
    /// Things to go that a run turned out to need meanwhile.
    pub spared: usize,
    /// The live runs that held the rest back.
    pub live: Vec<String>,
}

impl Cache {
    /// Collects by `options`. Does not wait for runs, nor they for it.
    ///
    /// # Errors
    /// The cache cannot be listed, or something cannot be removed.
    pub fn gc(&self, options: &GcOptions) -> Result<GcReport> {
        let now = now();
        let live = self.live_runs(&self.needed_gate()?, None)?;
        let mut before = now.checked_sub(options.grace).unwrap_or(now);
        if let Some(since) = live.since() {
            before = before.min(since);
        }
        let marking = Marking {
            options,
            live: &live,
            before,
            now,
            blobs: self.blob_files()?,
            left: HashMap::new(),
        };
        let snapshots = self.kept_snapshots()?;
        let downloads = self.old_downloads(options, before, now)?;
        let others = (snapshots, downloads);
        let (mut report, plan) = marking.mark(self.holdings()?, others, self.available_bytes());
        report.live = live.runs.into_keys().collect();
        if options.dry_run {
            return Ok(report);
        }
        self.sweep(&plan, before, &mut report)?;
        report.abandoned = self.clear_abandoned()?;
        Ok(report)
    }
}

/// What is to go.
#[derive(Debug, Default)]
pub(super) struct Doomed {
    /// Records by position among the verdicts, with the blobs that go with them.
    pub(super) results: Vec<(usize, Vec<Digest>)>,
    pub(super) orphans: Vec<Digest>,
    pub(super) snapshots: Vec<Kept>,
    pub(super) downloads: Vec<Download>,
}

struct Marking<'a> {
    options: &'a GcOptions,
    live: &'a Live,
    /// What was written or made later stays.
    before: SystemTime,
    now: SystemTime,
    blobs: HashMap<Digest, BlobFile>,
    /// How many records that stay name a blob.
    left: HashMap<Digest, usize>,
}

impl Marking<'_> {
    fn mark(
        mut self,
        holdings: Vec<Holding>,
        (snapshots, downloads): (Vec<Kept>, Vec<Download>),
        available: Option<u64>,
    ) -> (GcReport, Doomed) {
        let mut report = GcReport::default();
        let mut doomed = Doomed::default();
        let judged = holdings.into_iter().map(|holding| Verdict {
            fate: if self.is_unwanted(&holding) {
                Fate::Dropped
            } else {
                Fate::Kept
            },
            freed: 0,
            holding,
        });
        report.verdicts = judged.collect();
        for verdict in &report.verdicts {
            for (digest, _) in &verdict.holding.blobs {
                *self.left.entry(*digest).or_default() += 1;
            }
        }
        for (at, verdict) in report.verdicts.iter_mut().enumerate() {
            if verdict.fate == Fate::Dropped {
                self.let_go(at, verdict, &mut doomed);
            }
        }
        let named: HashSet<Digest> = self.left.keys().copied().collect();
        for (digest, blob) in &self.blobs {
            if !named.contains(digest) && blob.written < self.before {
                report.orphans += 1;
                report.orphan_bytes += blob.size;
                doomed.orphans.push(*digest);
            }
        }
        self.choose_snapshots(snapshots, &mut report, &mut doomed);
        // As with those: what a live run will come to is not known.
        if self.live.runs.is_empty() {
            report.downloads = downloads.len();
            report.download_bytes = downloads.iter().map(|download| download.bytes).sum();
            doomed.downloads = downloads;
        }
        self.make_room(available, &mut report, &mut doomed);
        (report, doomed)
    }

    fn is_removable(&self, holding: &Holding) -> bool {
        holding.made < self.before && !self.live.roots.holds(&holding.key, &holding.shape)
    }

    fn is_unwanted(&self, holding: &Holding) -> bool {
        let rootless = |roots: &Roots| !roots.holds(&holding.key, &holding.shape);
        let unused = |limit: Duration| age(holding.used, self.now) > limit;
        self.is_removable(holding)
            && (self.options.roots.as_ref().is_some_and(rootless)
                || self.options.older_than.is_some_and(unused))
    }

    /// Takes a record's hold off its blobs; those that nothing else holds go.
    fn let_go(&mut self, at: usize, verdict: &mut Verdict, doomed: &mut Doomed) {
        let mut going = Vec::new();
        for (digest, size) in &verdict.holding.blobs {
            let left = self.left.entry(*digest).or_insert(1);
            *left = left.saturating_sub(1);
            let young = self
                .blobs
                .get(digest)
                .is_none_or(|blob| blob.written >= self.before);
            if *left == 0 && !young {
                going.push(*digest);
                verdict.freed += size;
            }
        }
        doomed.results.push((at, going));
    }

    /// Resume state of results that nothing asks for. None goes while a run is
    /// live: which families it will come to is not known.
    fn choose_snapshots(&self, snapshots: Vec<Kept>, report: &mut GcReport, doomed: &mut Doomed) {
        let wanted: HashSet<Digest> = report
            .verdicts
            .iter()
            .filter(|verdict| verdict.fate == Fate::Kept)
            .map(|verdict| verdict.holding.family)
            .collect();
        let idle = self.live.runs.is_empty();
        for snapshot in snapshots {
            let rootless = self.options.roots.is_some() && !wanted.contains(&snapshot.family);
            let unused = |limit: Duration| age(snapshot.written, self.now) > limit;
            let unused = self.options.older_than.is_some_and(unused);
            if idle && snapshot.written < self.before && (rootless || unused) {
                report.snapshots += 1;
                report.snapshot_bytes += snapshot.bytes;
                doomed.snapshots.push(snapshot);
            } else {
                report.left += snapshot.bytes;
            }
        }
    }

    /// Empties records until the limits are met: temporary ones first, then
    /// those that no run took for the longest time.
    fn make_room(&mut self, available: Option<u64>, report: &mut GcReport, doomed: &mut Doomed) {
        let all: u64 = self.blobs.values().map(|blob| blob.size).sum();
        let freed: u64 = report.verdicts.iter().map(|verdict| verdict.freed).sum();
        report.left += all - freed - report.orphan_bytes;
        report.freed = freed + report.orphan_bytes + report.snapshot_bytes + report.download_bytes;
        let options = self.options;
        let goal = |report: &GcReport| {
            let over = options
                .max_bytes
                .map_or(0, |max| report.left.saturating_sub(max));
            let short = match (options.free_bytes, available) {
                (Some(floor), Some(free)) => floor.saturating_sub(free + report.freed),
                _ => 0,
            };
            over.max(short)
        };
        let mut order: Vec<usize> = (0..report.verdicts.len())
            .filter(|at| {
                let verdict = &report.verdicts[*at];
                verdict.fate == Fate::Kept
                    && !verdict.holding.blobs.is_empty()
                    && self.is_removable(&verdict.holding)
            })
            .collect();
        order.sort_by_key(|at| {
            let holding = &report.verdicts[*at].holding;
            (!holding.temp, holding.used, holding.key)
        });
        for at in order {
            if goal(report) == 0 {
                break;
            }
            let mut verdict = report.verdicts[at].clone();
            verdict.fate = Fate::Emptied;
            self.let_go(at, &mut verdict, doomed);
            report.left -= verdict.freed;
            report.freed += verdict.freed;
            report.verdicts[at] = verdict;
        }
    }
}
