//! Processes that a stage started and left behind: found below their ancestor,
//! and killed. Linux only; elsewhere the closed pipe of a worker has to do.
use std::collections::BTreeSet;

/// What a process with children did is not always over when they are told to
/// end; so often is looked again.
const ROUNDS: usize = 50;

/// From here on, descendants that lose their parent become children of this
/// process, and so cannot get away.
pub fn adopt_strays() {
    #[cfg(target_os = "linux")]
    // SAFETY: sets a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
}

/// Asks for SIGTERM once the thread that started this process is gone.
pub fn hear_of_parents_death() {
    #[cfg(target_os = "linux")]
    // SAFETY: sets a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0);
    }
}

/// Whether this process has children, also dead ones that nobody asked about.
pub fn has_children() -> bool {
    // SAFETY: a zeroed siginfo is valid and is for the call to fill; nothing is reaped.
    let code = unsafe {
        let mut about = std::mem::zeroed::<libc::siginfo_t>();
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, &raw mut about, how)
    };
    code == 0
}

/// Kills everything below process `pid` and leaves `pid` alone.
pub fn kill_below(pid: u32) {
    kill_tree(pid, &BTreeSet::new());
}

/// Kills the children of this process that are not in `known`, with all below
/// them, and collects them; says how many they were. For a process that adopts
/// strays, and so knows all others; elsewhere it does nothing.
pub fn kill_strays(known: &BTreeSet<u32>) -> usize {
    // Most stages leave nobody behind, and looking through /proc costs.
    if !adopts() || (known.is_empty() && !has_children()) {
        return 0;
    }
    let own = std::process::id();
    let mut ended = 0;
    for _ in 0..ROUNDS {
        kill_tree(own, known);
        let strays: Vec<u32> = children(own)
            .into_iter()
            .filter(|child| !known.contains(child))
            .collect();
        if strays.is_empty() {
            break;
        }
        for stray in strays {
            ended += usize::from(collect(stray));
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
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

/// New ones may be born meanwhile, hence the rounds.
fn kill_tree(pid: u32, spare: &BTreeSet<u32>) {
    let mut killed = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut fresh = false;
        let mut below: Vec<u32> = children(pid)
            .into_iter()
            .filter(|child| !spare.contains(child))
            .collect();
        while let Some(child) = below.pop() {
            if killed.insert(child) {
                fresh = true;
                below.extend(children(child));
                kill(child);
            }
        }
        if !fresh {
            return;
        }
    }
}

fn kill(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: a signal to a process below this one; at worst it is gone.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Whether it was dead.
fn collect(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: asks about a child that nobody else waits for; no status is wanted.
    let collected = unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
    collected == pid
}

/// The children of all threads of a process; none where the system will not say.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .filter_map(Result::ok)
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}
