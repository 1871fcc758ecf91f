//! A run as its folder tells it, finished or live.
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    cache::Cache,
    engine::RunTotals,
    progress::Tally,
    runs::{Environment, Results, journal},
};

/// How a run ended, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Running,
    Done,
    Failed,
    Interrupted,
    /// Its process is gone and it never said its totals.
    Died,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Running => "running",
            Verdict::Done => "done",
            Verdict::Failed => "failed",
            Verdict::Interrupted => "interrupted",
            Verdict::Died => "died",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Past {
    pub id: String,
    pub result: Verdict,
    pub tally: Tally,
}

impl Past {
    /// None where there is no such run, or none that anything is known of.
    ///
    /// # Errors
    /// Its folder cannot be read, or holds another form of tally.
    pub fn read(cache: &Cache, id: &str) -> Result<Option<Past>> {
        // In this order: who is not live any more has written its last.
        let live = cache.run_is_live(id);
        let Some(bytes) = cache.run_file(id, journal::STATUS)? else {
            return Ok(None);
        };
        let tally: Tally = serde_json::from_slice(&bytes)
            .with_context(|| format!("read {} of run {id}", journal::STATUS))?;
        let result = match &tally.totals {
            Some(RunTotals {
                interrupted: true, ..
            }) => Verdict::Interrupted,
            Some(RunTotals { failed: 0, .. }) => Verdict::Done,
            Some(_) => Verdict::Failed,
            None if live => Verdict::Running,
            None => Verdict::Died,
        };
        Ok(Some(Past {
            id: id.to_owned(),
            result,
            tally,
        }))
    }

    /// All runs that anything is known of, oldest first.
    ///
    /// # Errors
    /// The folder of runs cannot be listed.
    pub fn all(cache: &Cache) -> Result<Vec<Past>> {
        let known = |id: &String| Past::read(cache, id).ok().flatten();
        Ok(cache.run_ids()?.iter().filter_map(known).collect())
    }

    /// Where and how it was started.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn environment(&self, cache: &Cache) -> Result<Environment> {
        self.json(cache, journal::ENVIRONMENT)
            .map(Option::unwrap_or_default)
    }

    /// Keys and outputs of its instances; none where it died.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn results(&self, cache: &Cache) -> Result<Option<Results>> {
        self.json(cache, journal::RESULTS)
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, cache: &Cache, name: &str) -> Result<Option<T>> {
        let bytes = cache.run_file(&self.id, name)?;
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        bytes
            .map(read)
            .transpose()
            .with_context(|| format!("read {name} of run {}", self.id))
    }
}
