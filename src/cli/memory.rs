//! How the system gives this process its memory.

/// Huge pages, two MiB at a time, make tensors fast; whoever only looks around
/// would pay for clearing and holding them. A worker inherits the setting and
/// takes it back.
#[cfg(target_os = "linux")]
pub(super) fn settle(computes: bool) {
    let off = libc::c_ulong::from(!computes);
    // SAFETY: sets a flag of this process; no memory is passed. Where the
    // system does not know the flag, nothing changes.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, off, 0, 0, 0) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn settle(_computes: bool) {}
