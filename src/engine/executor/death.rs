//! How a worker ended, for whoever reads why a stage failed.
use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// How a process ended, in words.
pub(super) fn death(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "its status is unknown".to_owned();
    };
    match (status.signal(), status.code()) {
        (Some(libc::SIGKILL), _) => {
            "killed by signal 9 (SIGKILL), as the system does when memory runs out".to_owned()
        }
        (Some(signal), _) => match signal_name(signal) {
            Some(name) => format!("killed by signal {signal} ({name})"),
            None => format!("killed by signal {signal}"),
        },
        (None, code) => format!("exit code {}", code.unwrap_or(-1)),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 10] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
    ];
    let found = NAMES.iter().find(|(number, _)| *number == signal);
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        let said = |raw| death(Some(ExitStatus::from_raw(raw)));
        assert_eq!(said(libc::SIGSEGV), "killed by signal 11 (SIGSEGV)");
        assert!(said(libc::SIGKILL).contains("memory runs out"));
        assert_eq!(said(64), "killed by signal 64");
        assert_eq!(said(101 << 8), "exit code 101");
        assert_eq!(death(None), "its status is unknown");
    }
}
