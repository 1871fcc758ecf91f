//! Tests that need something extra say so loudly when it is missing.
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Whether Python has the modules. Where it has not, one line goes to the real
/// standard error, past the capture of the test harness: CI counts those lines.
pub(crate) fn python_with(test: &str, modules: &[&str]) -> bool {
    let imports = format!("import {}", modules.join(", "));
    let status = Command::new("python3")
        .args(["-c", &imports])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = status.is_ok_and(|status| status.success());
    if !found {
        skipped(test, &format!("python3 with {}", modules.join(", ")));
    }
    found
}

pub(crate) fn skipped(test: &str, needs: &str) {
    let line = format!("SKIPPED {test}: needs {needs}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
