//! `vgh run`: builds what a pipeline declares and ends with the answer.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io::{BufWriter, IsTerminal, sink, stderr, stdout},
    path::PathBuf,
    thread,
};

use anyhow::Context as _;

use crate::{
    cache::{Cache, RecordIndex, StatIndex},
    cli::{
        answer::{self, Answer},
        args, cost,
        exit::{Exit, Failure},
        machine,
        plan::brief,
        results::{Published, Shelf},
        signals,
        unchanged::{Call, Finished},
        workplace::{Workplace, Written},
    },
    engine::{
        Event, Externals, Graph, Moment, Options, Outcome, RunTotals, execute,
        executor::{Pool, PoolOptions},
        plan_forcing,
    },
    pipeline::{InstanceId, Pipeline},
    progress::{Json, Live, Plain, Reader},
    runs::{Environment, Journal, Papers, logs_of},
};

pub(super) fn run(args: &args::Run) -> Result<Exit, Failure> {
    let written = Written::read(&args.place)?;
    let call = Call::of(args, &written);
    if let Some(call) = &call
        && let Some(exit) = call.repeat(args)?
    {
        return Ok(exit);
    }
    let mut place = Workplace::of(written, &args.place)?;
    let forced = place.forced(&args.force.force)?;
    let cache = Cache::open(&place.cache_root).map_err(Failure::Cache)?;
    let mut index = RecordIndex::load(&cache).map_err(Failure::Cache)?;
    let run_id = run_id();
    let mut watchers = watchers(args, &cache, &run_id)?;
    let mut watch = |event: &Event, at: Moment| {
        for watcher in &mut watchers {
            watcher.see(event, at);
        }
    };
    let (totals, answer) = work(
        (args, call.as_ref()),
        (&place, &forced),
        (&cache, &mut index),
        &run_id,
        &mut watch,
    )?;
    // The closing line comes after the results are in place.
    watch(&Event::RunFinished(totals.clone()), Moment::now());
    if !args.json {
        for line in answer {
            println!("{line}");
        }
    }
    Ok(exit_of(&totals))
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

/// Executes and puts the results in place; gives the lines of the answer.
fn work(
    (args, call): (&args::Run, Option<&Call>),
    (place, forced): (&Workplace, &BTreeSet<InstanceId>),
    (cache, index): (&Cache, &mut RecordIndex),
    run_id: &str,
    watch: &mut dyn FnMut(&Event, Moment),
) -> Result<(RunTotals, Vec<String>), Failure> {
    let (externals, stat) = place.hashed_externals(Some(cache))?;
    let graph = place.graph();
    let known = Some((cache, &*index));
    let plan = plan_forcing(&place.pipeline, &graph, &externals, known, forced);
    if let Some(hours) = args.max_hours
        && let Some(message) = cost::within(hours, &plan, &place.pipeline, &graph)?
    {
        watch(&Event::Warning { message }, Moment::now());
    }
    let jobs = jobs(args);
    let capacity = machine::capacity(&args.machine, cache);
    let refusals = capacity.refusals(&place.pipeline, &plan);
    if !refusals.is_empty() {
        return Err(Failure::Usage(refusals.join("\nerror: ")));
    }
    let mut pool = pool(cache, jobs)?;
    let stop = signals::stop_flag()?;
    let folder = results_folder(args).join(&place.pipeline.name);
    let shelf = Shelf::new(&place.pipeline, cache, folder);
    let options = Options {
        jobs,
        capacity: &capacity,
        keep_going: args.keep_going,
        stop: &stop,
        run: run_id,
        deliver: &|results| shelf.put(results),
    };
    let papers = || Papers {
        pipeline: place.pipeline.text.clone(),
        plan: brief(&place.pipeline, &plan),
        environment: Environment::here(jobs),
    };
    let mut journal = Journal::new(cache, run_id, &papers);
    let outcome = execute(
        (&place.pipeline, &graph, &externals),
        &plan,
        (cache, index),
        &mut pool,
        &options,
        &mut |event| {
            let at = Moment::now();
            journal.see(&event, at);
            if !matches!(event, Event::RunFinished(_)) {
                watch(&event, at);
            }
        },
    )?;
    journal.keep_results(&place.pipeline, &outcome);
    let published = shelf.close()?;
    let lines = conclude(
        (&place.pipeline, &graph),
        (&externals, &stat),
        (cache, call),
        &outcome,
        published,
    )?;
    Ok((outcome.totals, lines))
}

/// Writes the page and leaves word for the next run; gives the lines of the answer.
fn conclude(
    (pipeline, graph): (&Pipeline, &Graph),
    (externals, stat): (&Externals, &StatIndex),
    (cache, call): (&Cache, Option<&Call>),
    outcome: &Outcome,
    published: Published,
) -> Result<Vec<String>, Failure> {
    let report = answer::write_report(pipeline, outcome, cache, &published.folder)?;
    let answer = Answer::of(pipeline, outcome, report.as_ref(), &published);
    let mut copies = published.files;
    copies.extend(report.map(|report| report.path));
    if let Some(call) = call {
        let done = Finished {
            pipeline,
            graph,
            externals,
            stat,
            outcome,
            answer: &answer,
            copies: &copies,
        };
        call.remember(cache, &done);
    }
    let slow = outcome.results.values().filter(|done| done.executed);
    let slow_ms = slow.map(|done| done.duration_ms).sum();
    let counts = answer::counts(&outcome.totals, slow_ms);
    Ok(answer.lines(&counts).map(str::to_owned).collect())
}

/// Workers that share this machine's processors.
fn pool(cache: &Cache, jobs: u32) -> Result<Pool, Failure> {
    machine::raise_file_limit();
    Ok(Pool::new(PoolOptions {
        program: env::current_exe().context("find this program's own file")?,
        cache: cache.root().to_owned(),
        threads: (cores() / jobs as usize).max(1),
        adopts: true,
    }))
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Counted processors.
pub(super) fn jobs(args: &args::Run) -> u32 {
    args.jobs.unwrap_or(cores() as u32)
}

/// Where the results of all pipelines go.
pub(super) fn results_folder(args: &args::Run) -> PathBuf {
    let named = args.results.clone();
    named.unwrap_or_else(|| PathBuf::from("results"))
}

/// The display, and the file of events where one is asked for.
pub(super) fn watchers(
    args: &args::Run,
    cache: &Cache,
    run_id: &str,
) -> Result<Vec<Box<dyn Reader>>, Failure> {
    let mut watchers: Vec<Box<dyn Reader>> = Vec::new();
    if let Some(path) = &args.events {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        watchers.push(Box::new(Json::new(BufWriter::new(file))));
    }
    let logs = logs_of(cache, run_id);
    let terminal = stderr().is_terminal();
    watchers.push(match args.progress {
        _ if args.json => Box::new(Json::new(BufWriter::new(stdout()))),
        args::Display::Auto | args::Display::Live if terminal => Box::new(Live::new(logs)),
        args::Display::None => Box::new(Plain::new(sink(), logs)),
        args::Display::Auto | args::Display::Live | args::Display::Plain => {
            Box::new(Plain::new(stderr(), logs))
        }
    });
    Ok(watchers)
}

/// Sorts by time and is free of characters that file systems dislike.
pub(super) fn run_id() -> String {
    format!("{}-{}", Moment::now().compact(), std::process::id())
}
