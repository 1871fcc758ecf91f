//! A foreign program's process group: it runs in a session, and so a group, of
//! its own, and is told to end as a whole. What leaves the group is a matter of
//! `orphans`.

/// A running process group, by the process that leads it.
#[derive(Debug)]
pub struct Group(i32);

impl Group {
    /// Of a child that leads its own group.
    pub fn led_by(pid: u32) -> Group {
        Group(pid as i32)
    }

    pub fn signal(&self, signal: i32) {
        signal_group(self.0, signal);
    }
}

fn signal_group(group: i32, signal: i32) {
    // 0 and 1 would be ourselves and everybody.
    if group > 1 {
        // SAFETY: no memory is involved; a group that is gone is an error we may ignore.
        unsafe { libc::kill(-group, signal) };
    }
}
