//! One process from start to end: heard, stopped when asked, and never
//! survived by anything that it started.
use std::{
    collections::BTreeSet,
    io::{self, PipeReader, Read},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    stage::{Context, Group, orphans},
    stages::command::{
        spawn::{Start, Started},
        words::Words,
    },
};

/// How long a command may take to end itself once it was told to.
const GRACE: Duration = Duration::from_secs(5);
/// How often a silent command's end or the wish to stop is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// The same where the system cannot tell us of the end.
const LOOK_OFTEN: Duration = Duration::from_millis(5);
/// Bytes read at once.
const CHUNK: usize = 1 << 16;
/// Bytes still taken after the end, from a process that escaped us.
const REST: usize = 1 << 20;

/// Runs a command; `name` is what errors call it.
///
/// # Errors
/// When it cannot be started. That the run is being stopped, once it has ended.
pub(super) fn run(
    start: &Start<'_>,
    name: &str,
    context: &Context<'_>,
    words: &mut Words<'_>,
) -> Result<ExitStatus> {
    let (mut pipe, writer) = io::pipe().context("make a pipe")?;
    let started = start.spawn(writer);
    let child = started.with_context(|| format!("cannot start `{name}`"))?;
    let group = Group::led_by(child.id());
    let heard = set_nonblocking(&pipe).context("prepare a pipe");
    let heard = heard.and_then(|()| listen(&child, &group, &mut pipe, context, words));
    // Not collected yet, so the group's number is still its own.
    group.signal(libc::SIGKILL);
    let ended = child.wait().with_context(|| format!("wait for `{name}`"))?;
    if let Some(bytes) = ended.peak_rss_bytes {
        context.foreign_peak_rss_bytes(bytes);
    }
    let stopped = heard?;
    let left = orphans::kill_strays(&BTreeSet::new());
    drain(&mut pipe, REST, words);
    if left > 0 {
        context.log(&format!(
            "warning: the command left {left} processes running; they were ended"
        ));
    }
    if stopped {
        context.go_on()?;
    }
    Ok(ended.status)
}

/// Hears the command until it ends; whether it was told to.
fn listen(
    child: &Started,
    group: &Group,
    pipe: &mut PipeReader,
    context: &Context<'_>,
    words: &mut Words<'_>,
) -> Result<bool> {
    let handle = handle_of(child);
    let mut open = true;
    let mut told: Option<Instant> = None;
    loop {
        let patience = if handle.is_some() { LOOK } else { LOOK_OFTEN };
        wait_for(open.then_some(&*pipe), handle.as_ref(), patience);
        if open {
            open = drain(pipe, CHUNK, words);
        }
        if has_ended(child).context("look at the command")? {
            return Ok(told.is_some());
        }
        match told {
            None if context.go_on().is_err() => {
                group.signal(libc::SIGTERM);
                told = Some(Instant::now());
            }
            Some(since) if since.elapsed() > GRACE => group.signal(libc::SIGKILL),
            _ => {}
        }
    }
}

/// Reads what is there, up to about `most` bytes; whether more may come.
fn drain(pipe: &mut PipeReader, most: usize, words: &mut Words<'_>) -> bool {
    let mut buffer = [0; 1 << 13];
    let mut taken = 0;
    while taken < most {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => {
                words.hear(&buffer[..n]);
                taken += n;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}

fn set_nonblocking(pipe: &PipeReader) -> io::Result<()> {
    let fd = pipe.as_raw_fd();
    // SAFETY: `fd` is open; the calls read and set its flags.
    let set = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        flags >= 0 && libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) >= 0
    };
    if set {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A descriptor that becomes readable when the child ends.
#[cfg(target_os = "linux")]
fn handle_of(child: &Started) -> Option<OwnedFd> {
    // SAFETY: the call takes two integers and gives a new descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id() as libc::pid_t, 0) };
    // SAFETY: the descriptor is new, so nobody else owns it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

#[cfg(not(target_os = "linux"))]
fn handle_of(_child: &Started) -> Option<OwnedFd> {
    None
}

fn wait_for(pipe: Option<&PipeReader>, handle: Option<&OwnedFd>, patience: Duration) {
    let watched = [pipe.map(AsRawFd::as_raw_fd), handle.map(AsRawFd::as_raw_fd)];
    // A negative descriptor is passed over.
    let mut watched = watched.map(|fd| libc::pollfd {
        fd: fd.unwrap_or(-1),
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: the array has the length that is given. An interrupted or failed
    // wait is a short one.
    unsafe {
        libc::poll(
            watched.as_mut_ptr(),
            watched.len() as libc::nfds_t,
            patience.as_millis() as libc::c_int,
        )
    };
}

/// Whether the child has ended, without collecting it.
fn has_ended(child: &Started) -> io::Result<bool> {
    // SAFETY: all-zero bytes are a valid siginfo_t, which the call fills in.
    let (done, pid) = unsafe {
        let mut about: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let done = libc::waitid(libc::P_PID, child.id(), &raw mut about, flags);
        (done, about.si_pid())
    };
    if done == 0 {
        return Ok(pid != 0);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        error => Err(error),
    }
}
