//! A child that runs in our memory, on a stack of its own, while we wait until
//! it has become the program. It makes system calls only.
use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, RawFd},
    ptr,
};

use libc::{c_char, c_int, c_void};

use crate::stages::command::spawn::{Started, own_session};

/// Bytes of the child's stack: it goes a few calls deep.
const STACK: usize = 1 << 16;
/// Of an exit that nobody sees, after an error that is told.
const NOT_STARTED: c_int = 127;

/// All that the child needs, prepared before there is one.
pub(super) struct Texts<'a> {
    pub(super) program: CString,
    pub(super) folder: CString,
    pub(super) words: Vec<CString>,
    /// `NAME=VALUE`.
    pub(super) variables: Vec<CString>,
    pub(super) out: &'a io::PipeWriter,
}

struct Order<'a> {
    program: &'a CStr,
    folder: &'a CStr,
    words: Vec<*const c_char>,
    variables: Vec<*const c_char>,
    /// What becomes standard input, output and errors.
    streams: [RawFd; 3],
    parent: u32,
    /// Why there is no program; 0 where there is.
    error: c_int,
}

/// # Errors
/// What kept the child from becoming the program.
pub(super) fn start(texts: &Texts<'_>) -> io::Result<Started> {
    let nothing = File::open("/dev/null")?;
    let out = texts.out.as_raw_fd();
    let mut order = Order {
        program: &texts.program,
        folder: &texts.folder,
        words: pointers(&texts.words),
        variables: pointers(&texts.variables),
        streams: [nothing.as_raw_fd(), out, out],
        parent: std::process::id(),
        error: 0,
    };
    let mut stack = vec![MaybeUninit::<u128>::uninit(); STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let blocked = Blocked::all()?;
    // SAFETY: the stack is aligned, ours and unused, it grows down from its end.
    // We stand still until the child has ended or left our memory, so `order`
    // and what it points to outlive its use. No handler of ours runs in the
    // child: signals are blocked until it has none.
    let pid = unsafe { libc::clone(child, top.cast(), flags, (&raw mut order).cast()) };
    let failed = io::Error::last_os_error();
    drop(blocked);
    if pid < 0 {
        return Err(failed);
    }
    let started = Started(pid as u32);
    // SAFETY: the child wrote it, if it did, before we went on.
    match unsafe { (&raw const order.error).read_volatile() } {
        0 => Ok(started),
        error => {
            let _ = started.wait();
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let pointers = texts.iter().map(|text| text.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: it is the order that `start` made and lends us.
    let order = unsafe { &mut *order.cast::<Order<'_>>() };
    order.error = become_program(order);
    // SAFETY: ends this process alone, and at once.
    unsafe { libc::_exit(NOT_STARTED) }
}

/// Comes back only with the number of an error.
fn become_program(order: &Order<'_>) -> c_int {
    if let Err(error) = own_session(order.parent) {
        return error.raw_os_error().unwrap_or(libc::EINVAL);
    }
    // SAFETY: system calls on what `start` keeps for us.
    unsafe {
        for (to, from) in order.streams.into_iter().enumerate() {
            if from == to as RawFd {
                // It stays open.
                libc::fcntl(from, libc::F_SETFD, 0);
            } else if libc::dup2(from, to as RawFd) < 0 {
                return last_error();
            }
        }
        if libc::chdir(order.folder.as_ptr()) < 0 {
            return last_error();
        }
        forget_handlers();
        libc::execve(
            order.program.as_ptr(),
            order.words.as_ptr(),
            order.variables.as_ptr(),
        );
    }
    last_error()
}

/// As a new program expects it: no handlers, SIGPIPE ends it, none blocked.
///
/// # Safety
/// To be called in the child alone.
unsafe fn forget_handlers() {
    // SAFETY: structures that the calls fill in or read; all-zero bytes are valid.
    unsafe {
        let mut plain: libc::sigaction = std::mem::zeroed();
        plain.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=libc::SIGRTMAX() {
            let mut now: libc::sigaction = std::mem::zeroed();
            let asked = libc::sigaction(signal, ptr::null(), &raw mut now);
            let ignored = now.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE;
            if asked == 0 && now.sa_sigaction != libc::SIG_DFL && !ignored {
                libc::sigaction(signal, &raw const plain, ptr::null_mut());
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

fn last_error() -> c_int {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EINVAL)
}

/// All signals of this thread wait until this is dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> io::Result<Blocked> {
        // SAFETY: sets that the calls fill in; all-zero bytes are valid.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            match libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) {
                0 => Ok(Blocked(before)),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
