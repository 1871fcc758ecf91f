//! What is kept of a run in `cache/runs/ID/`: written while it runs, read by
//! the commands that look back. A run that executes nothing leaves nothing.
//!
//! | file | what |
//! | --- | --- |
//! | `pipeline.toml` | the pipeline as it was read |
//! | `plan.json` | what the plan said to make, and keys of what was cached |
//! | `environment.json` | program, host, arguments |
//! | `events.jsonl` | events but `cached`, `progress` and `log` |
//! | `logs/PASS-STAGE.log` | what a pass said |
//! | `status.json` | the tally, a second old at most; at the end with the totals |
//! | `results.json` | key and outputs of every instance |
//! | `lock` | held while the run lives |
mod diff;
mod environment;
mod find;
mod journal;
mod logs;
mod past;
mod results;

pub use diff::{Change, Diff, InstanceDiff, NumberDiff, diff};
pub use environment::Environment;
pub use find::find;
pub use journal::{Journal, Papers};
pub use logs::{PassLog, Wanted, logs_of, pass_logs};
pub use past::{Past, Verdict};
pub use results::{KeptLines, LINE_END, Piece, ResultLine, Results, write_results};
