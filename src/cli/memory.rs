//! How the system gives this process its memory.

/// Huge pages, two MiB at a time, make tensors fast, and long texts; whoever only
/// looks around would pay for clearing and holding them. A worker inherits the
/// setting and takes it back, as does a run that has something to do.
#[cfg(target_os = "linux")]
pub(super) fn settle(works: bool) {
    let off = libc::c_ulong::from(!works);
    // SAFETY: sets a flag of this process; no memory is passed. Where the
    // system does not know the flag, nothing changes.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, off, 0, 0, 0) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn settle(_works: bool) {}
