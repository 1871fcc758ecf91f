//! `vgh run`: builds what a pipeline declares and ends with the answer.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io::{BufWriter, IsTerminal, stderr, stdout},
    path::PathBuf,
    thread,
};

use anyhow::Context as _;

use crate::{
    cache::{Cache, RecordIndex},
    cli::{
        answer, args, cost,
        exit::{Exit, Failure},
        machine, results, signals,
        workplace::Workplace,
    },
    disk,
    engine::{
        Event, Options, Outcome, RunTotals, execute,
        executor::{Pool, PoolOptions},
        plan_forcing,
    },
    pipeline::InstanceId,
    progress::{Json, Live, Plain, Reader},
};

pub(super) fn run(args: &args::Run) -> Result<Exit, Failure> {
    let mut place = Workplace::open(&args.place)?;
    let forced = place.forced(&args.force.force)?;
    let cache = Cache::open(&place.cache_root).map_err(Failure::Cache)?;
    let mut index = RecordIndex::load(&cache).map_err(Failure::Cache)?;
    let mut display = display(args);
    let run_id = run_id();
    let mut journal = Journal::new(&cache, &run_id, &place.pipeline.text);
    let outcome = {
        let mut watch = |event: Event| {
            journal.see(&event);
            // The closing line of `--json` comes after the results are in place.
            if !matches!(event, Event::RunFinished(_)) || !args.json {
                display.see(&event);
            }
        };
        work(
            (args, &forced),
            &place,
            (&cache, &mut index),
            &run_id,
            &mut watch,
        )?
    };
    let folder = args
        .results
        .clone()
        .unwrap_or_else(|| PathBuf::from("results"))
        .join(&place.pipeline.name);
    let published = results::publish(&place.pipeline, &outcome, &cache, &folder)?;
    let report = answer::write_report(&place.pipeline, &outcome, &cache, &folder)?;
    if args.json {
        display.see(&Event::RunFinished(outcome.totals.clone()));
    } else {
        for line in answer::lines(&place.pipeline, &outcome, report.as_ref(), &published) {
            println!("{line}");
        }
    }
    Ok(exit_of(&outcome.totals))
}

fn exit_of(totals: &RunTotals) -> Exit {
    match totals {
        RunTotals {
            interrupted: true, ..
        } => Exit::Interrupted,
        RunTotals { failed: 0, .. } => Exit::Done,
        RunTotals { .. } => Exit::Failed,
    }
}

fn work(
    (args, forced): (&args::Run, &BTreeSet<InstanceId>),
    place: &Workplace,
    (cache, index): (&Cache, &mut RecordIndex),
    run_id: &str,
    watch: &mut dyn FnMut(Event),
) -> Result<Outcome, Failure> {
    let externals = place.externals(Some(cache))?;
    let graph = place.graph();
    let known = Some((cache, &*index));
    let plan = plan_forcing(&place.pipeline, &graph, &externals, known, forced);
    if let Some(hours) = args.max_hours
        && let Some(message) = cost::within(hours, &plan, &place.pipeline, &graph)?
    {
        watch(Event::Warning { message });
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(cores as u32);
    let capacity = machine::capacity(&args.machine, cache);
    let refusals = capacity.refusals(&place.pipeline, &plan);
    if !refusals.is_empty() {
        return Err(Failure::Usage(refusals.join("\nerror: ")));
    }
    machine::raise_file_limit();
    let mut pool = Pool::new(PoolOptions {
        program: env::current_exe().context("find this program's own file")?,
        cache: cache.root().to_owned(),
        threads: (cores / jobs as usize).max(1),
        adopts: true,
    });
    let stop = signals::stop_flag()?;
    let options = Options {
        jobs,
        capacity: &capacity,
        keep_going: args.keep_going,
        stop: &stop,
        run: run_id,
    };
    Ok(execute(
        (&place.pipeline, &graph, &externals),
        &plan,
        (cache, index),
        &mut pool,
        &options,
        watch,
    )?)
}

fn display(args: &args::Run) -> Box<dyn Reader> {
    if args.json {
        return Box::new(Json::new(BufWriter::new(stdout())));
    }
    match args.progress {
        args::Display::Live => Box::new(Live::new()),
        args::Display::Auto if stderr().is_terminal() => Box::new(Live::new()),
        args::Display::Auto | args::Display::Plain => Box::new(Plain::new(stderr())),
        args::Display::None => Box::new(Plain::new(std::io::sink())),
    }
}

/// Sorts by time and is free of characters that file systems dislike.
fn run_id() -> String {
    let now = jiff::Timestamp::now();
    format!(
        "{}-{}",
        now.strftime("%Y%m%dT%H%M%S%3fZ"),
        std::process::id()
    )
}

/// The run's own folder in the cache: what was run, and every event. Made at
/// the first thing that executes; a run that does nothing leaves nothing.
struct Journal<'a> {
    cache: &'a Cache,
    id: &'a str,
    text: &'a str,
    opening: Vec<Event>,
    events: Option<Json<BufWriter<File>>>,
}

impl<'a> Journal<'a> {
    fn new(cache: &'a Cache, id: &'a str, text: &'a str) -> Journal<'a> {
        Journal {
            cache,
            id,
            text,
            opening: Vec::new(),
            events: None,
        }
    }

    fn begin(&self) -> anyhow::Result<BufWriter<File>> {
        let folder = self.cache.run_dir(self.id)?;
        disk::write(&folder.join("pipeline.toml"), self.text)?;
        let path = folder.join("events.jsonl");
        Ok(BufWriter::new(
            File::create(&path).with_context(|| format!("create {}", path.display()))?,
        ))
    }
}

impl Reader for Journal<'_> {
    fn see(&mut self, event: &Event) {
        if matches!(event, Event::Progress { .. } | Event::Cached { .. }) {
            return;
        }
        if self.events.is_none() && matches!(event, Event::Started { .. } | Event::Failed { .. }) {
            // The journal is for people afterwards; a full disk is told by what needs it.
            self.events = self.begin().ok().map(Json::new);
            for earlier in self.opening.drain(..) {
                if let Some(events) = &mut self.events {
                    events.see(&earlier);
                }
            }
        }
        match &mut self.events {
            Some(events) => events.see(event),
            None => self.opening.push(event.clone()),
        }
    }
}
