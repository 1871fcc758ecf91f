//! Exit codes, and the failures that lead to them.
use std::{
    fmt,
    io::{self, Write},
};

use crate::diagnostic::Faults;

/// How a command ends. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    /// A stage failed, or an effect outside (disk, process) did.
    Failed = 1,
    /// The pipeline or the command line is wrong.
    Wrong = 2,
    /// The cache is damaged or of another format.
    Cache = 4,
    Interrupted = 130,
}

impl Exit {
    /// Ends the process. Its memory goes with it: giving that back block by block
    /// would take longer than many a run.
    pub(super) fn leave(self) -> ! {
        // Whoever read is gone: there is nobody to tell.
        let _ = io::stdout().flush();
        // SAFETY: ends the process; nothing of it is used afterwards.
        unsafe { libc::_exit(self as libc::c_int) }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The text of a pipeline: printed as it is, with its carets.
    Faults(Faults),
    /// The command line.
    Usage(String),
    Cache(anyhow::Error),
    Effect(anyhow::Error),
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Failure::Faults(_) | Failure::Usage(_) => Exit::Wrong,
            Failure::Cache(_) => Exit::Cache,
            Failure::Effect(_) => Exit::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Faults(faults) => write!(f, "{faults}"),
            Failure::Usage(message) => write!(f, "error: {message}"),
            Failure::Cache(error) | Failure::Effect(error) => write!(f, "error: {error:#}"),
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Failure {
        Failure::Faults(faults)
    }
}

impl From<anyhow::Error> for Failure {
    /// A fault of the text keeps its place, wherever it was found.
    fn from(error: anyhow::Error) -> Failure {
        match error.downcast::<Faults>() {
            Ok(faults) => Failure::Faults(faults),
            Err(error) => Failure::Effect(error),
        }
    }
}
