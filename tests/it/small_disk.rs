//! A small file system in memory, for tests of what a full disk does. Also read
//! by the unit tests of the cache, which cannot see this binary.
use std::{
    io::{Write, stderr},
    path::Path,
    process::{Command, Stdio},
};

/// Mounted while it lives.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts with `options` of tmpfs, such as `size=1m`. Where that is not
    /// allowed, one line goes to the real standard error, past the capture of
    /// the test harness, as for every test that is skipped.
    pub(crate) fn mount(test: &str, options: &str) -> Option<SmallDisk> {
        let place = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(place.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            let line = format!("SKIPPED {test}: mounting a tmpfs needs root\n");
            stderr().write_all(line.as_bytes()).unwrap();
        }
        mounted.then_some(SmallDisk(place))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Mounts anew with other options; what is stored stays.
    pub(crate) fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path())
            .status()
            .unwrap();
        assert!(status.success(), "remount,{options}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for a test that failed may have left a file open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
