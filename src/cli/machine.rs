//! What this machine has of the counted resources: flags first, then what the
//! system says. Changes nothing but this process's own limit of open files.
use std::{collections::BTreeMap, env, fs, mem::MaybeUninit};

use crate::{cache::Cache, cli::args::Machine, digest::ObjectId, engine::Capacity};

/// What a run may give out, besides processors. `awaited`: what it downloads.
pub(super) fn capacity(
    args: &Machine,
    cache: &Cache,
    awaited: &BTreeMap<ObjectId, u64>,
) -> Capacity {
    let visible = env::var("CUDA_VISIBLE_DEVICES").ok();
    let gpus = devices(args.gpus, visible.as_deref(), nvidia_devices);
    Capacity {
        gpus,
        memory_bytes: args.memory.or_else(available_memory).unwrap_or(u64::MAX),
        disk_bytes: cache
            .room_bytes(awaited.iter().map(|(id, size)| (*id, *size)))
            .unwrap_or(u64::MAX),
        budget_bytes: args.disk.unwrap_or(u64::MAX),
        network: args.network,
    }
}

/// The names of the counted devices. `visible` is what the run itself was
/// given; there may be fewer of them than `count` asks for, never other ones.
fn devices(count: Option<u32>, visible: Option<&str>, detect: fn() -> usize) -> Vec<String> {
    let numbered = |count: usize| (0..count).map(|id| id.to_string()).collect();
    let mut found: Vec<String> = match (visible, count) {
        (Some(list), _) => list
            .split(',')
            .map(str::trim)
            // As the driver reads it: the first invalid entry ends the list.
            .take_while(|id| !id.is_empty() && *id != "-1")
            .map(str::to_owned)
            .collect(),
        (None, Some(count)) => numbered(count as usize),
        (None, None) => numbered(detect()),
    };
    found.truncate(count.map_or(usize::MAX, |count| count as usize));
    found
}

/// How many files `/dev/nvidiaN` there are.
fn nvidia_devices() -> usize {
    let Ok(entries) = fs::read_dir("/dev") else {
        return 0;
    };
    let names = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name());
    let is_device = |name: &str| {
        name.strip_prefix("nvidia")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    names
        .filter(|name| name.to_str().is_some_and(is_device))
        .count()
}

/// Bytes that can be used without swapping, within the limit of the control
/// group where there is one.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let group = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let limit =
        group("memory.max").map(|limit| limit.saturating_sub(group("memory.current").unwrap_or(0)));
    Some((kib * 1024).min(limit.unwrap_or(u64::MAX)))
}

/// Workers take three pipes each: as many open files as the system allows.
pub(super) fn raise_file_limit() {
    let mut limit = MaybeUninit::<libc::rlimit>::zeroed();
    // SAFETY: `limit` is for the first call to fill and is valid, filled or not;
    // the second only raises the soft limit of this process.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) == 0 {
            let mut limit = limit.assume_init();
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_those_the_run_may_see() {
        let four = || 4;
        let none: Vec<String> = Vec::new();
        assert_eq!(devices(None, None, four), ["0", "1", "2", "3"]);
        assert_eq!(devices(Some(2), None, four), ["0", "1"]);
        assert_eq!(devices(Some(0), None, four), none);
        assert_eq!(devices(None, Some("3, 1"), four), ["3", "1"]);
        assert_eq!(devices(Some(1), Some("3,1"), four), ["3"]);
        assert_eq!(devices(Some(4), Some("GPU-5f,1"), four), ["GPU-5f", "1"]);
        for hidden in ["", "-1", "-1,0"] {
            assert_eq!(devices(None, Some(hidden), four), none, "{hidden:?}");
        }
    }
}
