//! `vgh logs`: what stages said while they ran.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _, stdout},
    path::PathBuf,
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    cache::Cache,
    cli::{
        args,
        exit::{Exit, Failure},
        lookback::{open, run_named},
    },
    diagnostic::Faults,
    pipeline::Selector,
    runs::{Past, Wanted, find, pass_logs},
};

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn logs(args: &args::Logs) -> Result<Exit, Failure> {
    let cache = open(&args.place)?;
    let (run, wanted) = target(&cache, args)?;
    let mut printed = Printed::default();
    loop {
        // Looked at before its logs: what a dead run said is all there.
        let live = args.follow && cache.run_is_live(&run);
        let some = printed.go_on(&cache, &run, &wanted)?;
        if !live {
            if !some {
                println!("Nothing was said.");
            }
            return Ok(Exit::Done);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A run for all its logs, or a selector in the newest run that has it.
fn target(cache: &Cache, args: &args::Logs) -> Result<(String, Wanted), Failure> {
    let ids = cache.run_ids()?;
    if args.run.is_none() && !find(&ids, &args.wanted).is_empty() {
        let run: Past = run_named(cache, &args.wanted)?;
        return Ok((run.id, Wanted::All));
    }
    let wanted = Wanted::Of(Selector::parse(&args.wanted)?);
    if let Some(word) = &args.run {
        return Ok((run_named(cache, word)?.id, wanted));
    }
    for id in ids.iter().rev() {
        // A run without such a value is passed over, as one without the stage.
        if pass_logs(cache, id, &wanted).is_ok_and(|passes| !passes.is_empty()) {
            return Ok((id.clone(), wanted));
        }
    }
    Err(Failure::Usage(format!(
        "no run executed `{}`: `vgh runs` lists the runs",
        args.wanted
    )))
}

/// A selector that cannot be met is the command line's fault.
fn told(error: anyhow::Error) -> Failure {
    match error.downcast::<Faults>() {
        Ok(faults) => Failure::Faults(faults),
        Err(error) => Failure::Effect(error),
    }
}

/// How far each log has been printed.
#[derive(Default)]
struct Printed {
    offsets: BTreeMap<PathBuf, u64>,
    /// Whose lines were printed last.
    last: Option<u64>,
}

impl Printed {
    /// Prints what is new; whether anything was ever said.
    fn go_on(&mut self, cache: &Cache, run: &str, wanted: &Wanted) -> Result<bool, Failure> {
        for pass in pass_logs(cache, run, wanted).map_err(told)? {
            let Ok(mut file) = File::open(&pass.path) else {
                continue;
            };
            let offset = self.offsets.entry(pass.path.clone()).or_default();
            let mut text = Vec::new();
            file.seek(SeekFrom::Start(*offset))
                .and_then(|_| file.read_to_end(&mut text))
                .with_context(|| format!("read {}", pass.path.display()))?;
            if text.is_empty() {
                continue;
            }
            *offset += text.len() as u64;
            if self.last != Some(pass.pass) {
                println!("==> {} <==", pass.instances.join(" "));
            }
            self.last = Some(pass.pass);
            stdout().write_all(&text).context("print the log")?;
        }
        Ok(self.last.is_some())
    }
}
