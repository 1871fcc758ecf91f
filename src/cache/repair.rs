//! What a check found wrong, put out of the way so that the next run makes it
//! anew. Moves to quarantine, and destroys nothing.
use std::collections::BTreeSet;

use anyhow::Result;

use crate::{
    cache::{store::Cache, verify::Report},
    digest::Key,
};

impl Cache {
    /// Retires the records whose bytes are lost, except temporary ones and
    /// those that a live run needs, and moves away what is no blob; how many
    /// records. What was corrupt went to quarantine when it was found.
    pub fn repair(&self, report: &Report) -> Result<usize> {
        let lost: BTreeSet<Key> = report.missing.iter().map(|missing| missing.key).collect();
        let live = self.live_runs(&self.needed_gate()?, None)?;
        let mut retired = 0;
        for key in lost {
            let Some(record) = self.record(&key)? else {
                continue;
            };
            let needed = live.roots.holds(&key, &record.shape);
            if !record.provenance.temp && !needed && self.drop_record(&key)? {
                retired += 1;
            }
        }
        for path in &report.strangers {
            self.quarantine(path)?;
        }
        self.clear_abandoned()?;
        Ok(retired)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::cache::record::tests::{cache, record};

    #[test]
    fn lost_results_are_retired_and_temporary_ones_stay() {
        let (_place, cache) = cache();
        let lost = record(&cache, 1, "one");
        let mut temp = record(&cache, 2, "two");
        temp.provenance.temp = true;
        let whole = record(&cache, 3, "three");
        for record in [&lost, &temp, &whole] {
            cache.commit(record).unwrap();
        }
        for record in [&lost, &temp] {
            cache.remove_blob(&record.outputs["out"].digest).unwrap();
        }
        let stray = cache.root().join("blobs/stray");
        fs::write(&stray, "").unwrap();
        let report = cache.verify(false).unwrap();
        assert!(!report.is_sound());
        assert_eq!(cache.repair(&report).unwrap(), 1);
        assert!(!stray.exists());
        assert_eq!(cache.record(&lost.key).unwrap(), None);
        assert!(cache.record(&temp.key).unwrap().is_some());
        assert!(cache.record(&whole.key).unwrap().is_some());
        assert!(cache.verify(true).unwrap().is_sound());
    }
}
