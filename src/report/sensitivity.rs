//! The sensitivity section: how the correlation moves with the reading of the paper.
use maud::{Markup, html};

use crate::report::data::{Sensitivity, SensitivityRow};
use crate::report::markup::{Column, table};
use crate::report::number::{counted, finite, fixed, interval, learning_rate, signed};

/// Rows shown on the page; the table itself has all of them.
const SHOWN: usize = 20;

/// Remark and table.
pub(super) fn sensitivity_markup(data: &Sensitivity) -> Markup {
    let rows = &data.rows[..data.rows.len().min(SHOWN)];
    html! {
        p { (multiplicity(data, rows.len())) }
        @if !rows.is_empty() {
            (table(
                "Spearman ρ over the checkpoints of one ladder with bootstrap interval; p against the largest |ρ| of all variants; Δρ against p(1−p).",
                &[
                    Column::text("score"),
                    Column::text("reading"),
                    Column::number("lr"),
                    Column::text("target"),
                    Column::number("n"),
                    Column::number("ρ"),
                    Column::number("interval"),
                    Column::number("p max"),
                    Column::number("Δρ"),
                ],
                rows.iter().map(cells),
            ))
        }
    }
}

fn cells(row: &SensitivityRow) -> Vec<String> {
    vec![
        row.score.clone(),
        reading(row),
        learning_rate(row.learning_rate),
        row.target.clone(),
        row.n.to_string(),
        fixed(row.rho, 2),
        interval(row.boot_lo, row.boot_hi, 2).unwrap_or_else(|| "undefined".to_owned()),
        fixed(row.perm_p_max, 4),
        signed(row.delta_rho_p1mp, 2),
    ]
}

/// The fields that say which reading a row belongs to.
fn reading(row: &SensitivityRow) -> String {
    let headroom = match finite(row.alpha) {
        Some(alpha) if row.headroom != "none" => format!("H {} α {alpha}", row.headroom),
        _ => format!("H {}", row.headroom),
    };
    let group = format!("group {}", row.group);
    [
        &row.signal,
        &row.advantage,
        &group,
        &row.estimator,
        &row.hidden,
        &row.vocab,
        &headroom,
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .map(String::as_str)
    .collect::<Vec<_>>()
    .join(" · ")
}

/// How many variants stand behind the best one.
fn multiplicity(data: &Sensitivity, shown: usize) -> String {
    if data.total == 0 && shown == 0 {
        return "No sensitivity table was computed.".to_owned();
    }
    let total = data.total.max(data.rows.len());
    let best = data
        .rows
        .iter()
        .filter_map(|row| finite(row.perm_p_max))
        .reduce(f64::min);
    let correction = match best {
        Some(p) => {
            format!("the smallest permutation p against the largest |ρ| of all variants is {p:.4}")
        }
        None => "no permutation against the largest |ρ| of all variants is at hand".to_owned(),
    };
    format!(
        "The table has {}; {shown} are shown. All are exploratory: whichever variant is best was chosen after its result was seen; {correction}. For scale, the best of 50 independent scores without any relation has a median |ρ| of 0.60 at 16 checkpoints.",
        counted(total, "row")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplicity_is_told() {
        let row = |p| SensitivityRow {
            perm_p_max: p,
            ..SensitivityRow::default()
        };
        let data = Sensitivity {
            rows: vec![row(Some(0.04)), row(None), row(Some(f64::NAN))],
            total: 480,
        };
        assert_eq!(
            multiplicity(&data, 3),
            "The table has 480 rows; 3 are shown. All are exploratory: whichever variant is best was chosen after its result was seen; the smallest permutation p against the largest |ρ| of all variants is 0.0400. For scale, the best of 50 independent scores without any relation has a median |ρ| of 0.60 at 16 checkpoints."
        );
        assert_eq!(
            multiplicity(&Sensitivity::default(), 0),
            "No sensitivity table was computed."
        );
    }
}
