//! `vgh run`: builds what a pipeline declares and ends with the answer.
#![expect(clippy::print_stdout, reason = "the command's output")]
use std::{
    borrow::Cow,
    collections::BTreeMap,
    env,
    fs::File,
    io::{self, BufWriter, IsTerminal, Write, sink, stderr, stdout},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    cache::{Cache, Lines, RecordIndex, StatIndex},
    cli::{
        answer::{self, Answer},
        args, cost,
        exit::{Exit, Failure},
        kept_plan::{self, PlanLine},
        machine,
        references::{self, May},
        rest::Rest,
        results::{Earlier, Published, Shelf},
        signals,
        unchanged::{Call, Finished},
        workplace::{Workplace, Written},
    },
    engine::{
        Done, Event, Externals, Graph, Moment, Options, Outcome, Plan, Planned, RunTotals, State,
        execute,
        executor::{Pool, PoolOptions},
        plan_forcing,
    },
    host,
    pipeline::{InstanceId, Pipeline},
    progress::{Json, Live, Plain, Reader},
    runs::{Journal, LINE_END, Papers, Piece, ResultLine, logs_of, write_results},
};

/// Bytes of events put together before they are written: thousands tell at once
/// what is cached.
const BUFFER: usize = 1 << 16;

pub(super) fn run(args: &args::Run) -> Result<Exit, Failure> {
    let written = Written::read(&args.place)?;
    let call = Call::of(args, &written);
    if let Some(call) = &call
        && let Some(exit) = call.answer(args, &written)?
    {
        return Ok(exit);
    }
    let mut place = Workplace::of(written, &args.place)?;
    let forced = place.forced(&args.force.force)?;
    let may = May {
        ask: !args.place.offline,
        write: !args.locked,
    };
    let graph = place.graph();
    // A lock that was written is not the one that named the call.
    let resolved = references::settle(&mut place, &graph, may)?;
    let call = call.filter(|_| !resolved);
    let cache = Cache::open(&place.cache_root).map_err(Failure::Cache)?;
    let mut index = RecordIndex::load(&cache).map_err(Failure::Cache)?;
    let run_id = run_id();
    let mut watchers = watchers(args, &cache, &run_id)?;
    let (externals, stat) = place.hashed_externals(Some(&cache))?;
    let known = Some((&cache, &index));
    let plan = plan_forcing(&place.pipeline, &graph, &externals, known, &forced);
    let scene = Scene {
        pipeline: &place.pipeline,
        graph: &graph,
        externals: &externals,
        stat: &stat,
        plan: &plan,
        rest: None,
    };
    let (totals, answer) = perform(
        (args, call.as_ref()),
        &scene,
        (&cache, &mut index),
        &run_id,
        &mut |event, at| {
            for watcher in &mut watchers {
                watcher.see(event, at);
            }
        },
    )?;
    Ok(finish(args, &mut watchers, &totals, &answer))
}

/// The closing line comes after the results are in place.
pub(super) fn finish(
    args: &args::Run,
    watchers: &mut [Box<dyn Reader>],
    totals: &RunTotals,
    answer: &[String],
) -> Exit {
    let (event, at) = (Event::RunFinished(totals.clone()), Moment::now());
    for watcher in watchers {
        watcher.see(&event, at);
    }
    if !args.json {
        for line in answer {
            println!("{line}");
        }
    }
    match totals {
        RunTotals {
            interrupted: true, ..
        } => Exit::Interrupted,
        RunTotals { failed: 0, .. } => Exit::Done,
        RunTotals { .. } => Exit::Failed,
    }
}

/// What is to be done, all looked up.
pub(super) struct Scene<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) graph: &'a Graph,
    pub(super) externals: &'a Externals,
    pub(super) stat: &'a StatIndex,
    pub(super) plan: &'a Plan,
    /// Where the pipeline is a part: what is known of the rest.
    pub(super) rest: Option<&'a Rest<'a>>,
}

/// Executes and puts the results in place; gives the lines of the answer.
pub(super) fn perform(
    (args, call): (&args::Run, Option<&Call>),
    scene: &Scene<'_>,
    (cache, index): (&Cache, &mut RecordIndex),
    run_id: &str,
    watch: &mut dyn FnMut(&Event, Moment),
) -> Result<(RunTotals, Vec<String>), Failure> {
    let (pipeline, plan) = (scene.pipeline, scene.plan);
    if let Some(hours) = args.max_hours
        && let Some(message) = cost::within(hours, plan, pipeline, scene.graph)?
    {
        watch(&Event::Warning { message }, Moment::now());
    }
    let jobs = jobs(args);
    let to_run = plan
        .entries
        .iter()
        .filter(|entry| entry.state != State::Cached);
    let awaited = to_run
        .flat_map(|entry| scene.externals.files(pipeline, entry.id))
        .collect();
    let capacity = machine::capacity(&args.machine, cache, &awaited);
    let refusals = capacity.refusals((pipeline, scene.graph, scene.externals), plan);
    if !refusals.is_empty() {
        return Err(Failure::Usage(refusals.join("\nerror: ")));
    }
    let mut pool = pool(cache, jobs, args.place.offline)?;
    let stop = signals::stop_flag()?;
    let folder = results_folder(args).join(&pipeline.name);
    let earlier = scene.rest.map(Rest::outputs);
    let earlier = earlier.as_ref().map(|outputs| outputs as &Earlier<'_>);
    let shelf = Shelf::new(pipeline, cache, folder, earlier);
    let options = Options {
        jobs,
        capacity: &capacity,
        keep_going: args.keep_going,
        stop: &stop,
        run: run_id,
        beside: &scene
            .rest
            .map_or_else(Vec::new, |rest| rest.keys().collect()),
        stat: scene.stat,
        deliver: &|results| shelf.put(results),
    };
    let write_plan = |out: &mut dyn Write| scene.write_plan(out);
    let papers = Papers {
        pipeline: scene.rest.map_or(&pipeline.text, |rest| rest.text),
        plan: &write_plan,
        jobs,
    };
    let mut journal = Journal::new(cache, run_id, &papers);
    let mut tell = |event: &Event| {
        let at = Moment::now();
        journal.see(event, at);
        if !matches!(event, Event::RunFinished(_)) {
            watch(event, at);
        }
    };
    let outcome = execute(
        (pipeline, scene.graph, scene.externals),
        plan,
        (cache, index),
        &mut pool,
        &options,
        &mut |event| match scene.rest {
            Some(rest) => rest.tell(event, &mut tell),
            None => tell(&event),
        },
    )?;
    scene.end((cache, call), &outcome, &shelf.close()?, &journal)
}

/// The key of an instance that is cached by a plan.
pub(super) fn standing(entry: &Planned) -> Option<String> {
    let key = entry.key.filter(|_| entry.state == State::Cached);
    key.map(|key| key.to_string())
}

/// What the run's folder says of each result, a line of JSON and
/// [`LINE_END`] each.
pub(super) type OwnLines = BTreeMap<InstanceId, String>;

impl Scene<'_> {
    /// Writes the plan for the run's folder.
    fn write_plan(&self, out: &mut dyn Write) -> io::Result<()> {
        let (pipeline, plan) = (self.pipeline, self.plan);
        let to_make = plan
            .entries
            .iter()
            .filter(|entry| entry.state != State::Cached);
        let lines = to_make.map(|entry| PlanLine {
            stage: &pipeline.stage_of(entry.id).name,
            instance: pipeline.label(entry.id),
            plan: &entry.state,
            key: entry.key.map(|key| key.to_string()),
            estimate_ms: entry.estimate_ms,
        });
        let (name, (cached, run, maybe)) = (&pipeline.name, plan.counts());
        let beside = self.rest.map_or(0, Rest::count);
        let own = plan.entries.iter().filter_map(standing).map(Cow::Owned);
        let keys: Box<dyn Iterator<Item = Cow<'_, str>>> = match self.rest {
            Some(rest) => Box::new(rest.standing(plan)),
            None => Box::new(own),
        };
        let counts = (cached + beside, run, maybe);
        kept_plan::write(name, counts, &plan.passes, lines, keys, out)
    }

    fn own_lines(&self, outcome: &Outcome) -> OwnLines {
        let line = |(&id, done): (&InstanceId, &Done)| {
            let line = ResultLine::of(self.pipeline, id, done);
            let line = serde_json::to_string(&line).unwrap_or_default();
            (id, line + LINE_END)
        };
        outcome.results.iter().map(line).collect()
    }

    /// Keeps the results with the run, and concludes.
    fn end(
        &self,
        cache_and_call: (&Cache, Option<&Call>),
        outcome: &Outcome,
        published: &Published,
        journal: &Journal<'_>,
    ) -> Result<(RunTotals, Vec<String>), Failure> {
        let own = self.own_lines(outcome);
        let pieces = match self.rest {
            Some(rest) => rest.result_lines(&own),
            None => own.values().map(|line| Piece::New(line)).collect(),
        };
        let kept = journal.keep_results(&pieces);
        let write = |path: &Path| write_results(path, &pieces);
        let lines = match &kept {
            Some(path) => Lines::At(path),
            None => Lines::Written(&write),
        };
        self.conclude(cache_and_call, outcome, published, (&own, &lines))
    }

    /// Writes the page and leaves word for the next run; gives what the run
    /// came to and the lines of the answer.
    fn conclude(
        &self,
        (cache, call): (&Cache, Option<&Call>),
        outcome: &Outcome,
        published: &Published,
        lines: (&OwnLines, &Lines<'_>),
    ) -> Result<(RunTotals, Vec<String>), Failure> {
        let pipeline = self.pipeline;
        let report = answer::write_report(pipeline, outcome, cache, &published.folder)?;
        let spent = answer::spent(pipeline, outcome);
        let spent = match self.rest {
            Some(rest) => rest.spent(spent),
            None => spent,
        };
        let copies = !published.is_empty() || self.rest.is_some_and(Rest::has_copies);
        let copies = copies.then_some(published.folder.as_path());
        let answer = Answer::of(&spent, report.as_ref(), copies);
        let page = report.as_ref().map(|report| report.path.as_path());
        let done = Finished {
            pipeline,
            graph: self.graph,
            externals: self.externals,
            stat: self.stat,
            outcome,
            answer: &answer,
            spent: &spent,
            published,
            page,
        };
        if let Some(call) = call.filter(|_| done.is_whole()) {
            match self.rest {
                Some(rest) => call.remember_part(cache, rest, &done, lines),
                None => call.remember(cache, &done, lines),
            }
        }
        let slow = outcome.results.values().filter(|done| done.executed);
        let slow_ms = slow.map(|done| done.duration_ms).sum();
        let totals = match self.rest {
            Some(rest) => rest.totals(&outcome.totals),
            None => outcome.totals.clone(),
        };
        let counts = answer::counts(&totals, slow_ms);
        let lines = answer.lines(&counts).map(str::to_owned).collect();
        Ok((totals, lines))
    }
}

/// Workers that share this machine's processors.
fn pool(cache: &Cache, jobs: u32, offline: bool) -> Result<Pool, Failure> {
    machine::raise_file_limit();
    Ok(Pool::new(PoolOptions {
        program: env::current_exe().context("find this program's own file")?,
        cache: cache.root().to_owned(),
        threads: (host::cores() / jobs as usize).max(1),
        adopts: true,
        variables: Vec::from_iter(offline.then_some(("HF_HUB_OFFLINE", "1"))),
    }))
}

/// Counted processors.
pub(super) fn jobs(args: &args::Run) -> u32 {
    args.jobs.unwrap_or(host::cores() as u32)
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
        watchers.push(Box::new(Json::new(BufWriter::with_capacity(BUFFER, file))));
    }
    let logs = logs_of(cache, run_id);
    let terminal = stderr().is_terminal();
    watchers.push(match args.progress {
        _ if args.json => Box::new(Json::new(BufWriter::with_capacity(BUFFER, stdout()))),
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
