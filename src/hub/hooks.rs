//! How whoever asks the hub is told of it, and can stop it.
use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

/// The longest that a wait goes without asking whether to go on.
pub(super) const SLICE: Duration = Duration::from_millis(50);

/// What is called while the hub is asked.
///
/// `go_on` is asked before each request, for each piece that comes, all the time
/// in waits of ours, and while the connection that a file comes by is silent (not
/// while a listing is asked for, nor while one is being made). Its error ends the
/// work at once and is passed on as it is.
#[derive(Clone, Copy)]
pub struct Hooks<'h> {
    /// Bytes of the file that are there, and its size.
    pub report: &'h dyn Fn(u64, u64),
    /// One line for people: why we wait, what is done again.
    pub tell: &'h dyn Fn(&str),
    pub go_on: &'h dyn Fn() -> Result<()>,
}

impl Hooks<'static> {
    /// Nobody listens and nobody stops.
    pub const SILENT: Hooks<'static> = Hooks {
        report: &|_, _| {},
        tell: &|_| {},
        go_on: &|| Ok(()),
    };
}

impl Hooks<'_> {
    /// Waits, unless told to stop.
    pub(super) fn wait(&self, time: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            (self.go_on)()?;
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(SLICE));
        }
    }
}
