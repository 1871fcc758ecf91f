//! The processes that a stage started, which must not outlive it or us.
//!
//! A foreign program runs in a session, and so a process group, of its own.
//! What leaves the group and is orphaned becomes a child of the worker
//! ([`adopt_orphans`]) and is ended with the stage; what a killed worker leaves
//! becomes a child of the run.
use std::{
    fs,
    sync::atomic::{AtomicI32, Ordering},
};

/// The group that runs now; 0 is none.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// A running process group, by the process that leads it.
#[derive(Debug)]
pub struct Group(i32);

impl Group {
    /// Of a child that leads its own group.
    pub fn led_by(pid: u32) -> Group {
        let group = pid as i32;
        RUNNING.store(group, Ordering::SeqCst);
        Group(group)
    }

    pub fn signal(&self, signal: i32) {
        signal_group(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = RUNNING.compare_exchange(self.0, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

fn signal_group(group: i32, signal: i32) {
    // 0 and 1 would be ourselves and everybody.
    if group > 1 {
        // SAFETY: no memory is involved; a group that is gone is an error we may ignore.
        unsafe { libc::kill(-group, signal) };
    }
}

/// Kills the group that runs now: for a process that is about to end.
pub fn end_group() {
    signal_group(RUNNING.load(Ordering::SeqCst), libc::SIGKILL);
}

/// Makes orphans of our descendants our children. For a process that knows all
/// its children: a worker those of its stage, a pool its workers.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // SAFETY: sets a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
    };
}

/// Kills and collects all children but those to `spare`, where orphans are
/// adopted; says how many. For the end of a stage, whose own process has been
/// collected, and of a worker.
pub fn end_orphans(spare: &[u32]) -> usize {
    let mut ended = 0;
    // A killed one's own children come to us in turn.
    while adopts() {
        let mut children = children();
        children.retain(|child| !spare.contains(&(*child as u32)));
        if children.is_empty() {
            break;
        }
        for child in children {
            // SAFETY: `child` is our own and not collected, so its id is its own.
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
            ended += 1;
        }
    }
    ended
}

#[cfg(target_os = "linux")]
fn adopts() -> bool {
    let mut flag: libc::c_int = 0;
    // SAFETY: the call writes one integer to where we point.
    let told = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut flag) };
    told == 0 && flag == 1
}

#[cfg(not(target_os = "linux"))]
fn adopts() -> bool {
    false
}

fn children() -> Vec<i32> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists = threads
        .filter_map(Result::ok)
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let text: Vec<String> = lists.collect();
    text.iter()
        .flat_map(|list| list.split_whitespace())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
