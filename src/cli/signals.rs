//! Ctrl-C and SIGTERM: the first asks the run to stop, the second ends it.
use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Result;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::cli::exit::Exit;

/// From here on, a reader that goes away (`| head`) ends this process quietly.
/// For commands that only print: what writes must not end in the middle.
pub(super) fn end_with_reader() {
    // SAFETY: sets how this process takes a signal, before it has a second thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// A flag that the first signal sets.
///
/// # Errors
/// When the system refuses the handler.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order, so that only the second signal finds the flag set.
        flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
