//! Starting a command. On Linux without copying this process first, which a
//! `fork` does: the child borrows our memory until it becomes the program, as
//! with `posix_spawn`, which cannot say that the child ends with us.
#[cfg(target_os = "linux")]
mod vfork;

use std::{
    collections::BTreeMap,
    ffi::CString,
    io,
    os::unix::{
        ffi::OsStrExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{host, stage::allow_huge_pages};

/// The system counts memory in large steps: by how much it may be wrong.
const INEXACT: u64 = 1 << 20;

/// What is started, where, with which words and variables.
pub(super) struct Start<'a> {
    pub(super) program: PathBuf,
    /// The first is what the program is told that it is called.
    pub(super) words: &'a [String],
    pub(super) folder: &'a Path,
    /// All of them.
    pub(super) environment: &'a BTreeMap<String, String>,
}

/// A child that was started and is not waited for.
pub(super) struct Started(u32);

impl Started {
    pub(super) fn id(&self) -> u32 {
        self.0
    }

    /// Collects it; it must have ended or be about to.
    pub(super) fn wait(self) -> io::Result<Ended> {
        let mut status = 0;
        loop {
            // SAFETY: the call fills in an integer and a structure that are ours;
            // zeros are a valid structure.
            let (pid, usage) = unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                let pid = libc::wait4(self.0 as libc::pid_t, &raw mut status, 0, &raw mut usage);
                (pid, usage)
            };
            if pid >= 0 {
                return Ok(Ended {
                    status: ExitStatus::from_raw(status),
                    peak_rss_bytes: peak_rss_bytes(&usage),
                });
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// A child that is no more.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The most memory of it or of a process that it waited for, whichever had
    /// more; none where this process had as much.
    pub(super) peak_rss_bytes: Option<u64>,
}

/// See [`Ended`]: the system counts what a child was before it became its program.
fn peak_rss_bytes(child: &libc::rusage) -> Option<u64> {
    static OURS: AtomicU64 = AtomicU64::new(0);
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = u64::try_from(child.ru_maxrss).ok()?.saturating_mul(unit);
    let above = |ours: u64| peak > ours.saturating_add(INEXACT);
    if !above(OURS.load(Ordering::Relaxed)) {
        return None;
    }
    // Asked only if it may be more by now.
    let ours = host::peak_rss_bytes()?;
    OURS.store(ours, Ordering::Relaxed);
    above(ours).then_some(peak)
}

impl Start<'_> {
    /// In a session of its own, without input, `out` as output and errors.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn spawn(&self, out: io::PipeWriter) -> io::Result<Started> {
        let before = allow_huge_pages(true);
        let started = self.start(out);
        allow_huge_pages(before);
        started
    }

    fn start(&self, out: io::PipeWriter) -> io::Result<Started> {
        #[cfg(target_os = "linux")]
        if self.program.as_os_str().as_bytes().contains(&b'/') {
            match self.borrow(&out) {
                // A script that does not say what reads it: the library knows what to do.
                Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {}
                started => return started,
            }
        }
        self.fork(out)
    }

    fn fork(&self, out: io::PipeWriter) -> io::Result<Started> {
        let mut command = Command::new(&self.program);
        command
            .arg0(&self.words[0])
            .args(&self.words[1..])
            .current_dir(self.folder)
            .env_clear()
            .envs(self.environment)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out);
        let parent = std::process::id();
        // SAFETY: the closure makes system calls only, which is allowed between fork and exec.
        unsafe { command.pre_exec(move || own_session(parent)) };
        Ok(Started(command.spawn()?.id()))
    }

    #[cfg(target_os = "linux")]
    fn borrow(&self, out: &io::PipeWriter) -> io::Result<Started> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
        let words = self.words.iter().map(|word| text(word.as_bytes()));
        let variables = self.environment.iter();
        let variables = variables.map(|(name, value)| text(format!("{name}={value}").as_bytes()));
        vfork::start(&vfork::Texts {
            program: text(self.program.as_os_str().as_bytes())?,
            folder: text(self.folder.as_os_str().as_bytes())?,
            words: words.collect::<io::Result<_>>()?,
            variables: variables.collect::<io::Result<_>>()?,
            out,
        })
    }
}

/// In the child: a session of its own, so that no terminal is its, and an end
/// with the thread that started it.
fn own_session(parent: u32) -> io::Result<()> {
    // SAFETY: system calls without memory, allowed between fork and exec.
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        #[cfg(target_os = "linux")]
        {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // The parent may have died before the call.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
    }
    let _ = parent;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, io::Read, os::unix::fs::PermissionsExt};

    use super::*;

    type Way = fn(&Start<'_>, io::PipeWriter) -> io::Result<Started>;
    const WAYS: [Way; 2] = [
        |start, out| start.borrow(&out),
        |start, out| start.fork(out),
    ];

    fn said(way: Way, program: &Path, words: &[&str], folder: &Path) -> io::Result<(i32, String)> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let environment = BTreeMap::from([("A".to_owned(), "one two".to_owned())]);
        let start = Start {
            program: program.to_owned(),
            words: &words,
            folder,
            environment: &environment,
        };
        let (mut pipe, writer) = io::pipe()?;
        let started = way(&start, writer)?;
        let mut text = String::new();
        pipe.read_to_string(&mut text)?;
        Ok((started.wait()?.status.code().unwrap_or(-1), text))
    }

    #[test]
    fn a_child_has_what_it_was_given_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(place.path()).unwrap();
        let tell = "pwd; echo \"$0 $1\"; tr '\\0' '\\n' < /proc/$$/environ; ls /proc/$$/fd; \
                    readlink /proc/$$/fd/0; grep -E 'SigBlk|SigIgn|SigCgt' /proc/$$/status; \
                    test $$ = $(cut -d' ' -f6 /proc/$$/stat) && echo leads; echo also >&2; exit 7";
        let words = ["name", "-c", tell, "zero", "first"];
        let sh = Path::new("/bin/sh");
        let [borrowed, forked] = WAYS.map(|way| said(way, sh, &words, &folder).unwrap());
        // What this process has of others, both hand on: what it ignores, say.
        assert_eq!(borrowed, forked);
        let (code, text) = borrowed;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(code, 7, "{text}");
        assert_eq!(
            lines[..3],
            [folder.to_str().unwrap(), "zero first", "A=one two"]
        );
        assert!(
            text.contains("/dev/null\n") && text.ends_with("leads\nalso\n"),
            "{text}"
        );
        assert!(text.contains("SigBlk:\t0000000000000000\n"), "{text}");
        let ignored = text
            .split("SigIgn:\t")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_eq!(ignored >> (libc::SIGPIPE - 1) & 1, 0, "{text}");
    }

    /// A child has our memory before it becomes its program.
    #[test]
    fn our_own_memory_is_not_a_child_s() {
        let words = ["true".to_owned()];
        let start = Start {
            program: "/bin/true".into(),
            words: &words,
            folder: Path::new("/"),
            environment: &BTreeMap::new(),
        };
        let mut room = vec![1_u8; 64 << 20];
        room[1 << 20] = 2;
        for way in WAYS {
            let (_pipe, writer) = io::pipe().unwrap();
            let ended = way(&start, writer).unwrap().wait().unwrap();
            assert!(ended.status.success());
            assert_eq!(ended.peak_rss_bytes, None, "of {}", room.len());
        }
    }

    #[test]
    fn what_cannot_be_started_is_told_alike() {
        let place = tempfile::tempdir().unwrap();
        let plain = place.path().join("plain");
        fs::write(&plain, "echo read by a shell\n").unwrap();
        let missing = place.path().join("missing");
        for way in WAYS {
            let fault = |program: &Path, words: &[&str], folder: &Path| {
                said(way, program, words, folder).unwrap_err().kind()
            };
            let sh = Path::new("/bin/sh");
            assert_eq!(
                fault(&missing, &["m"], place.path()),
                io::ErrorKind::NotFound
            );
            assert_eq!(
                fault(&plain, &["p"], place.path()),
                io::ErrorKind::PermissionDenied
            );
            assert_eq!(fault(sh, &["sh"], &missing), io::ErrorKind::NotFound);
            assert_eq!(
                fault(sh, &["sh", "a\0b"], place.path()),
                io::ErrorKind::InvalidInput
            );
        }
        // What says of itself what reads it, and what does not.
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o755)).unwrap();
        let spawn: Way = |start, out| start.spawn(out);
        let said = said(spawn, &plain, &["p"], place.path()).unwrap();
        assert_eq!(said, (0, "read by a shell\n".to_owned()));
    }
}
