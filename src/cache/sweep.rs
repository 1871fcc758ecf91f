//! The removing half of `gc`: a few things at a time, each time behind the
//! gate, where no run can begin, and only what still nobody needs.
use std::{collections::HashSet, fs, time::SystemTime};

use anyhow::Result;

use crate::{
    cache::{
        gc::{Doomed, Fate, GcReport},
        lease::Leased,
        pin::{Gate, Live},
        store::Cache,
    },
    digest::Digest,
};

/// Records or blobs removed before runs may begin again.
const BATCH: usize = 32;

impl Cache {
    /// Removes what is doomed and was written before `before`, and corrects the
    /// report by what turned out to be needed.
    pub(super) fn sweep(
        &self,
        doomed: &Doomed,
        before: SystemTime,
        report: &mut GcReport,
    ) -> Result<()> {
        let mut watch = Watch::default();
        for batch in doomed.results.chunks(BATCH) {
            let _gate = self.watched_gate(&mut watch, report)?;
            for (at, blobs) in batch {
                self.sweep_result(*at, blobs, before, &watch, report)?;
            }
        }
        for batch in doomed.orphans.chunks(BATCH) {
            let _gate = self.watched_gate(&mut watch, report)?;
            for digest in batch {
                if let Some(size) = self.spare(digest, before, &watch) {
                    report.spared += 1;
                    report.orphans -= 1;
                    report.orphan_bytes -= size;
                    report.freed -= size;
                    report.left += size;
                } else {
                    self.remove_blob(digest)?;
                }
            }
        }
        for snapshot in &doomed.snapshots {
            let _gate = self.watched_gate(&mut watch, report)?;
            let lease = self.try_lease(&snapshot.family)?;
            if watch.live.runs.is_empty() && matches!(lease, Leased::Held(_)) {
                self.drop_snapshot(&snapshot.family)?;
            } else {
                report.spared += 1;
                report.snapshots -= 1;
                report.snapshot_bytes -= snapshot.bytes;
                report.freed -= snapshot.bytes;
                report.left += snapshot.bytes;
            }
        }
        for download in &doomed.downloads {
            let _gate = self.watched_gate(&mut watch, report)?;
            if !watch.live.runs.is_empty() || !download.remove()? {
                report.spared += 1;
                report.downloads -= 1;
                report.download_bytes -= download.bytes;
                report.freed -= download.bytes;
            }
        }
        Ok(())
    }

    fn sweep_result(
        &self,
        at: usize,
        blobs: &[Digest],
        before: SystemTime,
        watch: &Watch,
        report: &mut GcReport,
    ) -> Result<()> {
        let verdict = &mut report.verdicts[at];
        let (key, shape) = (verdict.holding.key, verdict.holding.shape);
        let mut kept = 0;
        if watch.live.roots.holds(&key, &shape) {
            report.spared += 1;
            verdict.fate = Fate::Kept;
            kept = verdict.freed;
        } else {
            if verdict.fate == Fate::Dropped {
                // First the record: one without bytes is whole, bytes without one are garbage.
                self.retire(&key)?;
            }
            for digest in blobs {
                match self.spare(digest, before, watch) {
                    Some(size) => kept += size,
                    None => drop(self.remove_blob(digest)?),
                }
            }
        }
        verdict.freed -= kept;
        report.freed -= kept;
        report.left += kept;
        Ok(())
    }

    /// The size of a blob that must stay after all; none if it may go.
    fn spare(&self, digest: &Digest, before: SystemTime, watch: &Watch) -> Option<u64> {
        let found = fs::symlink_metadata(self.blob_path(digest)).ok()?;
        let young = found.modified().is_ok_and(|written| written >= before);
        (young || watch.needed.contains(digest)).then_some(found.len())
    }

    fn watched_gate(&self, watch: &mut Watch, report: &GcReport) -> Result<Gate> {
        let gate = self.needed_gate()?;
        let live = self.live_runs(&gate, None)?;
        if live.runs.keys().ne(watch.live.runs.keys()) {
            // A run that began since counts on results that were to go.
            let needed = report.verdicts.iter().map(|verdict| &verdict.holding);
            let needed = needed.filter(|held| live.roots.holds(&held.key, &held.shape));
            watch.needed = needed
                .flat_map(|held| held.blobs.iter().map(|(digest, _)| *digest))
                .collect();
            watch.live = live;
        }
        Ok(gate)
    }
}

/// The live runs when last looked, and the blobs that they need.
#[derive(Default)]
struct Watch {
    live: Live,
    needed: HashSet<Digest>,
}
