//! `vgh cache verify`: whether records and bytes are whole.
#![expect(clippy::print_stdout, reason = "the command's output")]
use serde_json::json;

use crate::{
    cache::{self, Report},
    cli::{
        cache::{amount::size, args},
        exit::{Exit, Failure},
    },
    progress::plural,
};

pub(super) fn verify(args: &args::Verify, cache: &cache::Cache) -> Result<Exit, Failure> {
    let report = cache.verify(args.read_data).map_err(Failure::Cache)?;
    let mut repaired = None;
    if args.repair {
        repaired = Some(cache.repair(&report).map_err(Failure::Cache)?);
    }
    let notices = cache.take_notices();
    if args.json {
        println!("{}", json(&report, repaired, &notices));
    } else {
        print!("{}", text(args, &report, repaired, &notices));
    }
    Ok(if report.is_sound() {
        Exit::Done
    } else {
        Exit::Cache
    })
}

fn json(report: &Report, repaired: Option<usize>, notices: &[String]) -> serde_json::Value {
    let missing = report.missing.iter().map(
        |missing| json!({ "key": missing.key, "output": missing.output, "digest": missing.digest }),
    );
    let corrupt = report
        .corrupt
        .iter()
        .map(|corrupt| json!({ "digest": corrupt.digest, "why": corrupt.why }));
    json!({
        "sound": report.is_sound(), "records": report.records,
        "garbage_records": report.garbage_records, "blobs": report.blobs,
        "blob_bytes": report.blob_bytes, "missing": missing.collect::<Vec<_>>(),
        "corrupt": corrupt.collect::<Vec<_>>(), "orphans": report.orphans,
        "orphan_bytes": report.orphan_bytes, "strangers": report.strangers,
        "broken_snapshots": report.broken_snapshots, "retired": repaired, "notices": notices,
    })
}

fn text(
    args: &args::Verify,
    report: &Report,
    repaired: Option<usize>,
    notices: &[String],
) -> String {
    let mut out = String::new();
    for line in notices {
        out.push_str(line);
        out.push('\n');
    }
    for path in &report.strangers {
        out.push_str(&format!("{} is no blob\n", path.display()));
    }
    out.push_str(&format!(
        "{}, {} with {} bytes ({})\n",
        plural(report.records, "record"),
        plural(report.blobs, "blob"),
        report.blob_bytes,
        if args.read_data {
            "every byte read"
        } else {
            "names and sizes; --read-data reads every byte"
        }
    ));
    if !report.missing.is_empty() {
        out.push_str(&format!(
            "{} removed or lost; made again when needed\n",
            plural(report.missing.len(), "blob")
        ));
    }
    if report.orphans > 0 {
        out.push_str(&format!(
            "{} of no record, {}: `vgh cache gc` removes them\n",
            plural(report.orphans, "blob"),
            size(report.orphan_bytes)
        ));
    }
    if let Some(retired) = repaired {
        let them = if retired == 1 { "it" } else { "them" };
        let retired = plural(retired, "record");
        out.push_str(&format!(
            "{retired} retired: the next run makes {them} anew\n"
        ));
    }
    if report.is_sound() {
        out.push_str("The cache is whole.\n");
    } else {
        let faults = report.garbage_records
            + report.corrupt.len()
            + report.strangers.len()
            + report.broken_snapshots;
        out.push_str(&format!(
            "The cache was damaged: {}.\n",
            plural(faults, "fault")
        ));
    }
    out
}
