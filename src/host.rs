//! What the system says of the machine, asked once since each answer takes a file
//! or several, and of this process.
use std::{fs, io::Read, sync::OnceLock, thread};

/// Its name; empty where nobody says it.
pub(crate) fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_owned()
    })
}

/// Processors that this process may use.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// High-water mark of this process's memory, in bytes. Not from `getrusage`,
/// which counts what the process was before it became this program.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let mut status = [0; 1 << 13];
    let read = fs::File::open("/proc/self/status").and_then(|mut file| file.read(&mut status));
    let status = std::str::from_utf8(&status[..read.ok()?]).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
