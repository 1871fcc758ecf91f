//! The program and the list of its commands.
use clap::{Parser, Subcommand};

use crate::cli::{
    args::{
        Completions, Deferred, Diff, Graph, Init, Kinds, Logs, Plan, Run, Runs, Show, Status,
        Update, Why, Worker,
    },
    cache::Cache,
};

/// From which pretraining checkpoint should reinforcement learning start, and why.
#[derive(Debug, Parser)]
#[command(
    name = "vgh",
    version,
    arg_required_else_help = true,
    after_help = "To begin: `vgh run` in an empty folder runs the built-in quickstart; `vgh init`\n\
        writes a small pipeline to edit.\n\n\
        Exit codes: 0 done; 1 a stage failed, or a file could not be read or written;\n\
        2 the pipeline or the command line is wrong; 4 the cache is damaged or cannot\n\
        be used; 130 interrupted."
)]
pub(in crate::cli) struct Cli {
    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Build what a pipeline declares; what is cached is not executed again
    ///
    /// Only what has no result in the cache is executed: what is new, what an edit of a
    /// parameter, an input or a file touched, and what follows from it. Progress goes to
    /// standard error, the answer to standard output, copies of the results to
    /// `results/NAME`. After a failure, what runs is finished and nothing else is started.
    /// Ctrl-C lets what runs stop at its next update; a second Ctrl-C ends everything at
    /// once. Either way what was finished stays, and the next run goes on from there.
    #[command(
        after_help = "Exit codes: 0 done, 1 a stage failed, 2 the pipeline or the command line is wrong,\n\
        4 the cache is damaged or cannot be used, 130 interrupted.\n\n\
        Examples:\n  \
        vgh run                                    all of the default pipeline\n  \
        vgh run scores                             one stage and what it needs\n  \
        vgh run pipelines/first.toml costates@step=50..100\n  \
        vgh run --set alpha=2 --max-hours 1        another value, if it is cheap enough\n  \
        vgh run --json | tail -n 1                 the totals, for a program"
    )]
    Run(Deferred<Run>),
    /// Ask the model hub what the pipeline's references stand for now
    ///
    /// Branches, tags and patterns are resolved once and kept in the lock file beside the
    /// pipeline, so that a run is the same tomorrow. This resolves them anew, writes the
    /// lock, and lists what moved: the commit, and the files that are other ones. What
    /// follows from it runs with the next `vgh run`.
    #[command(
        after_help = "HF_TOKEN, HF_HOME and HF_ENDPOINT are heeded. Exit codes: 0 resolved, 1 the hub could\n\
        not be asked, 2 the pipeline is wrong or names what is not there.\n\n\
        Examples:\n  \
        vgh update pipelines/olmo_impact.toml"
    )]
    Update(Deferred<Update>),
    /// Say what a run would execute, and why, without executing anything
    ///
    /// One line for each stage and reason: `cached`; `to run`; `maybe`, which runs only if
    /// something before it gives another result than last time. Then the updates of
    /// training that are ahead, and what it will take, by the durations of earlier results.
    #[command(
        after_help = "Exit codes: 0 planned, whatever there is to run; 2 the pipeline or the command line\n\
        is wrong.\n\n\
        Examples:\n  \
        vgh plan\n  \
        vgh plan --set alpha=2          what this edit would cost\n  \
        vgh plan grpo@step=25 --all     every instance with its reason"
    )]
    Plan(Deferred<Plan>),
    /// Say why an instance runs or does not: what changed, and since when
    ///
    /// Compares each instance with its nearest earlier result, parameter by parameter and
    /// input by input, and names the first change upstream that set it off. Without a
    /// selector, all of them; alike ones are told once.
    #[command(after_help = "Examples:\n  \
        vgh why scores\n  \
        vgh why headroom@step=25 --set stages.headroom.alpha=2")]
    Why(Deferred<Why>),
    /// Print a result: a table, the files of a folder, or where another file is
    ///
    /// What the pipeline says now is shown: after an edit there is no result until it ran.
    /// Tables of several instances become one, with a column for each axis.
    #[command(
        after_help = "Exit codes: 0 shown; 2 there is no such stage, output or result; 4 its bytes are\n\
        damaged.\n\n\
        Examples:\n  \
        vgh show scores.wide\n  \
        vgh show headroom@step=25 --output headroom --csv > headroom.csv"
    )]
    Show(Deferred<Show>),
    /// List, check and clear what the cache holds
    ///
    /// The cache keeps records, which say what a stage made from what, and blobs, the bytes
    /// themselves. Runs may go on meanwhile: nothing that a live run needs is removed.
    #[command(after_help = "Examples:\n  \
        vgh cache ls                               what it holds, by kind\n  \
        vgh cache gc -n                            what is garbage\n  \
        vgh cache verify --read-data               whether every byte is as it was written\n  \
        vgh cache drop scores                      distrust a result\n  \
        vgh cache path scores.wide                 where its bytes are")]
    Cache(Cache),
    /// Say what a run does now, or how the last one ended
    #[command(
        after_help = "Exit codes: 0 told, however the run ended; 2 there is no such run or no cache.\n\n\
        Examples:\n  \
        vgh status             the live runs, else the last one\n  \
        vgh status last        the last one, live or not\n  \
        vgh status --json      the same for a program"
    )]
    Status(Deferred<Status>),
    /// List the runs that executed something, newest last
    #[command(after_help = "Examples:\n  \
        vgh runs               the newest 20\n  \
        vgh runs -n 0 --json   all of them, one JSON object a line")]
    Runs(Deferred<Runs>),
    /// Print what stages said while they ran
    ///
    /// A selector finds the newest run that executed it. A run (an id of `vgh runs`, its
    /// beginning, or `last`) prints all its logs.
    #[command(after_help = "Examples:\n  \
        vgh logs grpo@step=25          of these instances, in the newest run that had them\n  \
        vgh logs last                  of everything in the last run\n  \
        vgh logs grpo --follow         until the run ends")]
    Logs(Deferred<Logs>),
    /// Draw the pipeline: stages, what flows between them, and their state
    ///
    /// The picture goes to standard output. State is what `vgh plan` would say: cached, to
    /// run, or maybe; failed where the last run of it failed.
    #[command(after_help = "Examples:\n  \
        vgh graph --format svg > pipeline.svg\n  \
        vgh graph scores --format mermaid      what `scores` needs\n  \
        vgh graph --instances | dot -Tpdf -o pipeline.pdf")]
    Graph(Deferred<Graph>),
    /// Compare two runs: environment, parameters, digests and numbers
    #[command(after_help = "Examples:\n  \
        vgh diff 20261124T1046 last\n  \
        vgh diff 20261124T1046 last --json\n\n\
        The exit code is 0 whether or not there is a difference.")]
    Diff(Deferred<Diff>),
    /// List the kinds of stages, or describe one with its parameters and ports
    #[command(after_help = "Examples:\n  \
        vgh kinds              one line for each\n  \
        vgh kinds grpo         its parameters with defaults, inputs, outputs, equations")]
    Kinds(Deferred<Kinds>),
    /// Print a JSON Schema of pipeline files, for editors
    #[command(after_help = "Examples:\n  \
        vgh schema > pipelines/schema.json\n\n\
        With `#:schema schema.json` as the first line of a pipeline, editors that know\n\
        TOML complete and check it (taplo, Even Better TOML).")]
    Schema,
    /// Write a first pipeline to start from
    ///
    /// Three checkpoints of a small model and what RL could reach from each, in some seconds
    /// and without a network. Adds `cache` and `results` to .gitignore. Overwrites nothing.
    #[command(after_help = "Examples:\n  \
        vgh init               pipelines/first.toml below this folder\n  \
        vgh init study         below study/")]
    Init(Deferred<Init>),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  \
        vgh completions bash > ~/.local/share/bash-completion/completions/vgh\n  \
        vgh completions zsh > ~/.zfunc/_vgh\n  \
        vgh completions fish > ~/.config/fish/completions/vgh.fish")]
    Completions(Deferred<Completions>),
    /// Execute tasks from standard input (started by `run`)
    #[command(hide = true)]
    Worker(Deferred<Worker>),
}
