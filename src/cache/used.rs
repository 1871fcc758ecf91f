//! When results were last used: the time of access of their records, moved by
//! hand, since file systems do not move it reliably. Decides no hit.
use std::{
    fs::{File, FileTimes},
    time::{Duration, SystemTime},
};

use crate::cache::{holding, index::IndexEntry, store::Cache};

/// A use is remembered if the last one remembered is older than this.
pub(super) const USED_EVERY: Duration = Duration::from_hours(1);

impl Cache {
    /// Remembers that a run takes this result: what was not used for long goes
    /// first. To the hour, and as well as the file system allows.
    pub fn mark_used(&self, entry: &IndexEntry) {
        let now = holding::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let now_s = since.map_or(0, |since| since.as_secs() as i64);
        if (now_s - USED_EVERY.as_secs() as i64..=now_s).contains(&entry.used_s) {
            return;
        }
        if let Ok(file) = File::open(self.record_path(&entry.key)) {
            let _ = file.set_times(FileTimes::new().set_accessed(now));
        }
    }
}
