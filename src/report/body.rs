//! The body of a report: what is cached, before the command line adds its surroundings.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::report::answer::answer;
use crate::report::data::Data;
use crate::report::notes::notes_markup;
use crate::report::sections::{Gallery, candidates, cost, dumbbells, paper, section, start, trust};
use crate::report::sensitivity::sensitivity_markup;

/// A report without its surroundings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Body {
    pub title: String,
    /// The sentences that a run ends with: start, trust, and cost where known.
    pub answer: Vec<String>,
    pub sections: Vec<Section>,
    /// SVG documents by name, such as `dumbbell-lr-1e-4`.
    pub figures: BTreeMap<String, String>,
}

/// One section of the page: text first, then its figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Fragment identifier: `start`, `dumbbell`, `trust`, `candidates`, `cost`, `sensitivity`, `figures`, `notes`.
    pub id: String,
    pub heading: String,
    /// Escaped markup.
    pub html: String,
    pub pictures: Vec<Picture>,
}

/// A figure in a section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Key in `Body::figures`.
    pub name: String,
    /// Plain text under the figure.
    pub caption: String,
}

/// Makes sentences, sections and figures of the data. The same data give the same bytes.
pub fn body(data: &Data) -> Body {
    let mut gallery = Gallery::default();
    let sections = vec![
        start(data),
        dumbbells(data, &mut gallery),
        trust(data, &mut gallery),
        candidates(data),
        section("cost", "What did it cost?", &cost(data)),
        section(
            "sensitivity",
            "Sensitivity",
            &sensitivity_markup(&data.sensitivity),
        ),
        paper(data, &mut gallery),
        section("notes", "Notes", &notes_markup(data)),
    ];
    Body {
        title: data.title.clone(),
        answer: answer(data),
        sections,
        figures: gallery.figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Choice, Role, Verdict};
    use crate::report::example;

    /// Labels that each figure must carry.
    const LABELS: [(&str, [&str; 4]); 8] = [
        (
            "dumbbell-lr-1e-4",
            [
                "expected reward R (0 to 1)",
                "pretraining step (optimizer steps)",
                "recommended",
                "largest measured gain",
            ],
        ),
        (
            "gain-and-score-lr-3e-4",
            [
                "gain of RL, R after − R before (reward)",
                "affine(score), fitted on these checkpoints",
                "Gain and score along pretraining, learning rate 3e-4",
                "± leave-one-out error",
            ],
        ),
        (
            "gain-by-budget-lr-1e-4",
            [
                "K = 10 updates",
                "K = 30 updates",
                "gain after K updates (reward)",
                "300",
            ],
        ),
        (
            "components",
            [
                "Σ, signal",
                "Λ per sample, lost signal",
                "H, headroom",
                "value / largest |value| (no unit)",
            ],
        ),
        (
            "gap-and-bound",
            [
                "sampling-jacobian",
                "bound of eq. 21 (gradient norm, log scale)",
                "measured gap (gradient norm, log scale)",
                "0.001",
            ],
        ),
        (
            "rank-correlations-lr-1e-4",
            [
                "mean ± sd over budgets K (n = 4)",
                "mean ± sd over RL seeds (n = 3)",
                "combined",
                "0.75",
            ],
        ),
        (
            "forest-lr-1e-4",
            [
                "literal-eq28",
                "0.75 [0.42, 0.94]",
                "undefined",
                "Spearman ρ with the mean gain (no unit), 16 checkpoints, 95 % bootstrap",
            ],
        ),
        (
            "calibration-lr-1e-4",
            [
                "checkpoint, labelled by step",
                "headline score IP × H (reward³ / hidden²)",
                "affine fit, least squares",
                "225",
            ],
        ),
    ];

    fn html(body: &Body, id: &str) -> String {
        let section = body.sections.iter().find(|section| section.id == id);
        section
            .map(|section| section.html.clone())
            .unwrap_or_default()
    }

    #[test]
    fn sections_answer_in_order() {
        let body = body(&example::full());
        let ids: Vec<&str> = body
            .sections
            .iter()
            .map(|section| section.id.as_str())
            .collect();
        assert_eq!(
            ids,
            [
                "start",
                "dumbbell",
                "trust",
                "candidates",
                "cost",
                "sensitivity",
                "figures",
                "notes"
            ]
        );
        assert_eq!(body.answer.len(), 3);
        assert!(
            body.sections[0]
                .html
                .contains(&format!("<p class=\"lead\">{}</p>", body.answer[0]))
        );
    }

    #[test]
    fn every_figure_is_shown_and_labelled() {
        let body = body(&example::full());
        let shown: Vec<&str> = body
            .sections
            .iter()
            .flat_map(|section| &section.pictures)
            .map(|picture| picture.name.as_str())
            .collect();
        let mut names: Vec<&str> = body.figures.keys().map(String::as_str).collect();
        assert_eq!(names.len(), 14);
        let mut sorted = shown.clone();
        sorted.sort_unstable();
        names.sort_unstable();
        assert_eq!(sorted, names);
        for (name, labels) in LABELS {
            let svg = &body.figures[name];
            for label in labels {
                assert!(
                    svg.contains(&format!(">\n{label}\n</text>")),
                    "{name} lacks {label:?}"
                );
            }
            assert!(
                svg.contains("viewBox=\"0 0 820 ")
                    && svg.contains("<title>")
                    && svg.contains("<desc>"),
                "{name}"
            );
            assert!(!svg.contains("NaN"), "{name}");
        }
    }

    #[test]
    fn before_rl_only_scores_are_shown() {
        let body = body(&example::before_rl());
        assert_eq!(
            body.figures.keys().collect::<Vec<_>>(),
            ["components", "score"]
        );
        assert!(html(&body, "dumbbell").contains("Uncalibrated: no RL was run"));
        assert!(html(&body, "trust").contains("Undefined: trust is the agreement"));
        assert!(html(&body, "candidates").contains("Before RL."));
        assert_eq!(html(&body, "cost"), "");
    }

    #[test]
    fn nothing_at_all_is_a_report_too() {
        let body = body(&Data::default());
        assert!(body.figures.is_empty());
        assert!(html(&body, "candidates").contains("No checkpoint was scored."));
        assert!(html(&body, "figures").contains("There is no data for any of them."));
    }

    #[test]
    fn what_is_not_finite_is_a_gap_and_a_dash() {
        let mut data = example::full();
        for row in &mut data.learning_rates[0].impact {
            row.gain_mean = Some(f64::NAN);
            row.r_after_mean = Some(f64::INFINITY);
            row.checkpoint.measures.score_headline = None;
            row.budgets.clear();
        }
        data.learning_rates[1].impact[3].gain_mean = None;
        data.learning_rates[0].affine = None;
        let body = body(&data);
        for absent in [
            "gain-and-score-lr-1e-4",
            "gain-by-budget-lr-1e-4",
            "calibration-lr-1e-4",
        ] {
            assert!(!body.figures.contains_key(absent), "{absent}");
        }
        assert!(body.figures["dumbbell-lr-1e-4"].contains("R before RL"));
        assert!(body.figures.contains_key("gain-and-score-lr-3e-4"));
        for section in &body.sections {
            assert!(
                !section.html.contains("NaN") && !section.html.contains("inf<"),
                "{}",
                section.id
            );
        }
        assert!(html(&body, "candidates").contains("<td class=\"number\">–</td>"));
    }

    #[test]
    fn two_entries_of_one_learning_rate_keep_their_own_figures() {
        let mut data = example::full();
        data.learning_rates[1].learning_rate = 1e-4;
        let body = body(&data);
        assert!(
            body.figures.contains_key("dumbbell-lr-1e-4")
                && body.figures.contains_key("dumbbell-lr-1e-4-2")
        );
    }

    #[test]
    fn a_body_survives_json() {
        let mut data = example::full();
        data.uncalibrated.push(Choice {
            role: Role::Baseline,
            rule: "last".to_owned(),
            step: None,
            predicted: None,
            measured: None,
            regret: None,
            regret_normalised: None,
            verdict: Verdict::Undefined,
            ties: Vec::new(),
        });
        let text = serde_json::to_string(&data).expect("data is plain");
        // NaN is written as null and read as missing; the report is the same.
        let read: Data = serde_json::from_str(&text).expect("what was written is read");
        assert_eq!(body(&read), body(&data));
        let written = serde_json::to_string(&body(&data)).expect("a body is plain");
        assert_eq!(
            serde_json::from_str::<Body>(&written).expect("what was written is read"),
            body(&data)
        );
    }
}
