//! How the system gives this process its memory.

/// Huge pages, two MiB at a time, make tensors fast; whoever only looks around
/// or waits for a command would pay for clearing and holding them. A child that
/// is started meanwhile inherits the setting. Says how it was before.
#[cfg(target_os = "linux")]
pub fn allow_huge_pages(allowed: bool) -> bool {
    // SAFETY: asks for and sets a flag of this process; no memory is passed.
    // Where the system does not know the flag, nothing changes.
    unsafe {
        let before = libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) <= 0;
        libc::prctl(
            libc::PR_SET_THP_DISABLE,
            libc::c_ulong::from(!allowed),
            0,
            0,
            0,
        );
        before
    }
}

#[cfg(not(target_os = "linux"))]
pub fn allow_huge_pages(_allowed: bool) -> bool {
    true
}
