//! What a plan will cost, in words, and the refusal of `--max-hours`.
use crate::{
    cli::exit::Failure,
    engine::{Cost, DiskCost, Graph, Plan},
    pipeline::Pipeline,
    progress::{duration, plural},
};

const HOUR_MS: f64 = 3_600_000.0;

/// The last lines of `vgh plan`; none where nothing runs.
pub(super) fn lines(
    plan: &Plan,
    pipeline: &Pipeline,
    graph: &Graph,
    disk: &DiskCost,
) -> Vec<String> {
    let (surely, at_most) = costs(plan, pipeline, graph);
    if at_most.known + at_most.unknown == 0 {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if surely.known > 0 {
        lines.push(format!("by earlier runs    {}", words(&surely)));
    }
    if at_most.known > surely.known {
        lines.push(format!("with every maybe   {}", words(&at_most)));
    }
    if let Some(unknown) = unknown(&at_most) {
        // In one column with the lines above, where there are any.
        let gap = if lines.is_empty() { " " } else { "    " };
        lines.push(format!("no estimate for{gap}{unknown}"));
    }
    lines.extend(disk_lines(disk));
    lines
}

/// What is downloaded and held at a time; none where that is nothing.
fn disk_lines(disk: &DiskCost) -> Vec<String> {
    let mut lines = Vec::new();
    if disk.downloads > 0 {
        lines.push(format!(
            "to download        {} in {}",
            bytes(disk.download_bytes),
            plural(disk.downloads, "instance")
        ));
    }
    if disk.peak_disk_bytes > 0 {
        lines.push(format!(
            "on the disk        {} at least; more is used to run ahead, up to --disk or what is free",
            bytes(disk.peak_disk_bytes)
        ));
    }
    if disk.unresolved > 0 {
        lines.push(format!(
            "of unknown size    {}: what to download is not resolved (`vgh update`)",
            plural(disk.unresolved, "instance")
        ));
    }
    lines
}

/// Refuses a run that would take more stage time than `hours`; else what is
/// to be said of a part that nobody knows.
pub(super) fn within(
    hours: f64,
    plan: &Plan,
    pipeline: &Pipeline,
    graph: &Graph,
) -> Result<Option<String>, Failure> {
    let (surely, at_most) = costs(plan, pipeline, graph);
    let unknown = unknown(&at_most);
    if at_most.stage_ms as f64 <= hours * HOUR_MS {
        return Ok(unknown.map(|unknown| format!("--max-hours does not count {unknown}")));
    }
    let mut message = format!(
        "this run would take up to {} of stage time by earlier runs, {} of it surely; \
         --max-hours {hours} allows {}",
        duration(at_most.stage_ms),
        duration(surely.stage_ms),
        duration((hours * HOUR_MS) as u64),
    );
    if let Some(unknown) = unknown {
        message.push_str(&format!("\nnot counted: {unknown}"));
    }
    Err(Failure::Usage(message))
}

/// What surely runs, and with every `maybe`.
pub(super) fn costs(plan: &Plan, pipeline: &Pipeline, graph: &Graph) -> (Cost, Cost) {
    (
        plan.cost_run(pipeline, graph),
        plan.cost_at_most(pipeline, graph),
    )
}

/// `12 min 05 s of stage time, 0.40 CPU hours, at least 3 min 00 s, 34.1 MiB new`.
fn words(cost: &Cost) -> String {
    let mut parts = vec![
        format!("{} of stage time", duration(cost.stage_ms)),
        format!("at least {} however parallel", duration(cost.chain_ms)),
        format!("{} CPU", hours(cost.cpu_ms)),
    ];
    if cost.gpu_ms > 0 {
        parts.push(format!("{} GPU", hours(cost.gpu_ms)));
    }
    parts.push(format!("{} of results", bytes(cost.new_bytes)));
    parts.join(", ")
}

/// `0.20 h`; three places where two would say nothing, seconds where three.
fn hours(ms: u64) -> String {
    let hours = ms as f64 / HOUR_MS;
    if hours >= 0.1 {
        format!("{hours:.2} h")
    } else if hours >= 0.01 {
        format!("{hours:.3} h")
    } else {
        duration(ms)
    }
}

fn unknown(cost: &Cost) -> Option<String> {
    if cost.unknown == 0 {
        return None;
    }
    let kinds: Vec<String> = cost
        .unknown_kinds
        .iter()
        .map(|kind| format!("`{kind}`"))
        .collect();
    Some(format!(
        "{} of kinds without earlier results: {}",
        plural(cost.unknown, "instance"),
        kinds.join(", ")
    ))
}

/// `34 B`, `12.3 KiB`, `1.50 GiB`.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1000.0 {
            return if unit == "B" {
                format!("{count} B")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.2} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_resolved_is_said() {
        let unknown = DiskCost {
            unresolved: 20,
            peak_disk_bytes: 7_000_000_000,
            ..DiskCost::default()
        };
        assert_eq!(
            disk_lines(&unknown),
            [
                "on the disk        6.5 GiB at least; more is used to run ahead, up to --disk or what is free",
                "of unknown size    20 instances: what to download is not resolved (`vgh update`)",
            ]
        );
        assert!(disk_lines(&DiskCost::default()).is_empty());
    }

    #[test]
    fn sizes_and_hours_read_well() {
        assert_eq!(
            [0, 999, 1_500, 40_000_000].map(bytes),
            ["0 B", "999 B", "1.5 KiB", "38.1 MiB"]
        );
        assert_eq!(
            [0, 480, 36_000, 5_400_000].map(hours),
            ["0.00 s", "0.48 s", "0.010 h", "1.50 h"]
        );
    }
}
