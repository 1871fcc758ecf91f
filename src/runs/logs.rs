//! The output of passes: which there are in a run, and where each lies.
use std::path::PathBuf;

use anyhow::Result;

use crate::{
    cache::Cache,
    diagnostic::Faults,
    engine::{Event, EventLine},
    pipeline::Selector,
    progress::log_name,
    runs::journal::{EVENTS, LOGS},
};

/// What one pass said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassLog {
    pub pass: u64,
    /// Those that the pass began with, finished or failed.
    pub instances: Vec<String>,
    pub failed: bool,
    /// The file, which is missing where the pass said nothing.
    pub path: PathBuf,
}

/// Where the output of a run's passes lies, there or not.
pub fn logs_of(cache: &Cache, id: &str) -> PathBuf {
    cache.root().join("runs").join(id).join(LOGS)
}

/// Which passes are asked for.
pub enum Wanted {
    All,
    Of(Selector),
}

/// The passes of a run that are asked for, in the order in which they began.
///
/// # Errors
/// The run's events cannot be read.
pub fn pass_logs(cache: &Cache, id: &str, wanted: &Wanted) -> Result<Vec<PassLog>> {
    let logs = logs_of(cache, id);
    let bytes = cache.run_file(id, EVENTS)?.unwrap_or_default();
    let mut passes: Vec<PassLog> = Vec::new();
    // The last line of a run that died may be torn; a newer one may have others.
    let lines = bytes.split(|byte| *byte == b'\n');
    for line in lines.filter_map(|line| serde_json::from_slice::<EventLine>(line).ok()) {
        let (pass, stage, instance) = match &line.event {
            Event::Started {
                pass,
                stage,
                instance,
                ..
            }
            | Event::Finished {
                pass,
                stage,
                instance,
                ..
            }
            | Event::Failed {
                pass,
                stage,
                instance,
                ..
            } => (*pass, stage, instance),
            _ => continue,
        };
        let known = passes.iter().rposition(|known| known.pass == pass);
        let position = known.unwrap_or_else(|| {
            passes.push(PassLog {
                pass,
                instances: Vec::new(),
                failed: false,
                path: logs.join(log_name(pass, stage)),
            });
            passes.len() - 1
        });
        let known = &mut passes[position];
        known.failed |= matches!(line.event, Event::Failed { .. });
        if !known.instances.contains(instance) {
            known.instances.push(instance.clone());
        }
    }
    if let Wanted::Of(selector) = wanted {
        keep_selected(&mut passes, selector)?;
    }
    Ok(passes)
}

fn keep_selected(passes: &mut Vec<PassLog>, selector: &Selector) -> Result<(), Faults> {
    let labels: Vec<&str> = passes
        .iter()
        .flat_map(|pass| &pass.instances)
        .map(String::as_str)
        .collect();
    let chosen = selector.among_labels(&labels)?;
    let mut chosen = chosen.into_iter();
    passes.retain(|pass| {
        let mut any = false;
        for _ in &pass.instances {
            any |= chosen.next() == Some(true);
        }
        any
    });
    Ok(())
}
