//! The kind `report`: its ports, and how tables become the report's data.
use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    artifact::{
        ArtifactType, Document,
        schema::{
            AFFINE, COMPARISONS, IMPACT, READINGS, RECOMMENDATION, SCORES_WIDE, SENSITIVITY, Schema,
        },
        table::gather_rows,
    },
    disk,
    report::{Checkpoint, Data, Impact, PerRate, Sensitivity, body},
    stage::{Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
    stages::{
        ranges,
        report::rows::{AffineRow, ChoiceRow, ComparisonRow, CorrelationRow, ReadingRow},
        rows::{ImpactRow, WideRow, by_learning_rate},
    },
};

/// Target of the fit, the forest and the sensitivity table.
const TARGET: &str = "gain_mean";
/// The scores that stand beside the baselines in the forest.
const SCORES: [&str; 6] = [
    "headline",
    "literal",
    "literal-eq28",
    "sigma",
    "ip",
    "headroom",
];

/// Sentences and figures of everything that a pipeline found, in the order in
/// which a reader asks. Computes no statistic of its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Heading of the page.
    #[serde(default = "default_title")]
    pub title: String,
    /// The learning rate whose answer is the report's; it has to be named
    /// beforehand. Default: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_learning_rate: Option<f64>,
    /// Rows of the sensitivity table to show, 1 to 1000, by |rho|.
    #[serde(default = "default_rows")]
    pub sensitivity_rows: usize,
}

fn default_title() -> String {
    "From which checkpoint should RL start?".to_owned()
}

fn default_rows() -> usize {
    20
}

const fn table(name: &'static str, schema: &'static Schema, about: &'static str) -> InputPort {
    InputPort::all(name, ArtifactType::Table(schema.name), about).optional()
}

impl Stage for Report {
    const KIND: &'static str = "report";
    const VERSION: u32 = 2;
    const ABOUT: &'static str =
        "sentences and figures of everything that was found; gathers all axes";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::all(
                "scores",
                ArtifactType::Table(SCORES_WIDE.name),
                "what was known before any RL",
            ),
            table(
                "impact",
                &IMPACT,
                "what RL gained; without it the report is uncalibrated",
            ),
            table("affine", &AFFINE, "the fitted lines"),
            table(
                "sensitivity",
                &SENSITIVITY,
                "every score against every target",
            ),
            table(
                "comparisons",
                &COMPARISONS,
                "the primary score against each baseline",
            ),
            table("readings", &READINGS, "figure 5"),
            table("recommendation", &RECOMMENDATION, "what each rule picks"),
        ],
        outputs: &[OutputPort::new(
            "report",
            ArtifactType::Document,
            "body of the page, and its figures as SVG",
        )],
    };

    fn check(&self) -> Result<(), Refusal> {
        let rows = self.sensitivity_rows as u64;
        ranges::whole("sensitivity_rows", rows, 1, 1000)
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let body = body(&self.data(inputs)?);
        let folder = context.scratch().join("report");
        disk::make_folder(&folder)?;
        let figures = body.figures.clone();
        Document { body, figures }.write(&folder)?;
        Ok(Outputs::new().with("report", Produced::Tree(folder)))
    }
}

/// All rows on a port; none where it is not connected.
fn rows<R: DeserializeOwned>(inputs: &Inputs, port: &str, schema: &Schema) -> Result<Vec<R>> {
    match inputs.all(port) {
        [] => Ok(Vec::new()),
        artifacts => gather_rows(artifacts, schema),
    }
}

/// What RL gave, for each learning rate.
fn rates(
    inputs: &Inputs,
    choices: &[ChoiceRow],
    correlations: &[CorrelationRow],
) -> Result<Vec<PerRate>> {
    let impact: Vec<ImpactRow> = rows(inputs, "impact", &IMPACT)?;
    let affine: Vec<AffineRow> = rows(inputs, "affine", &AFFINE)?;
    let comparisons: Vec<ComparisonRow> = rows(inputs, "comparisons", &COMPARISONS)?;
    let readings: Vec<ReadingRow> = rows(inputs, "readings", &READINGS)?;
    let rates = by_learning_rate(&impact, |row| (row.learning_rate, row.step));
    let of_rate = |(rate, rows): (f64, Vec<&ImpactRow>)| {
        let same = |other: f64| other.total_cmp(&rate).is_eq();
        let fitted = affine
            .iter()
            .find(|row| same(row.learning_rate) && row.target == TARGET);
        let compared = |row: &&CorrelationRow| {
            same(row.learning_rate) && (row.baseline || SCORES.contains(&row.score.as_str()))
        };
        PerRate {
            learning_rate: rate,
            impact: rows.into_iter().map(Impact::from).collect(),
            affine: fitted.map(Into::into),
            correlations: correlations
                .iter()
                .filter(compared)
                .map(Into::into)
                .collect(),
            comparisons: comparisons
                .iter()
                .filter(|row| same(row.learning_rate))
                .map(Into::into)
                .collect(),
            readings: readings
                .iter()
                .filter(|row| same(row.learning_rate))
                .filter_map(ReadingRow::bar)
                .collect(),
            choices: choices
                .iter()
                .filter(|row| row.learning_rate.is_some_and(same))
                .map(Into::into)
                .collect(),
            tolerance: None,
        }
    };
    Ok(rates.into_iter().map(of_rate).collect())
}

impl Report {
    fn data(&self, inputs: &Inputs) -> Result<Data> {
        let mut wide: Vec<WideRow> = rows(inputs, "scores", &SCORES_WIDE)?;
        wide.sort_by_key(|row| row.step);
        let choices: Vec<ChoiceRow> = rows(inputs, "recommendation", &RECOMMENDATION)?;
        let correlations: Vec<CorrelationRow> = rows(inputs, "sensitivity", &SENSITIVITY)?;
        let learning_rates = rates(inputs, &choices, &correlations)?;
        let primary = self
            .primary_learning_rate
            .or(learning_rates.first().map(|rate| rate.learning_rate));
        Ok(Data {
            title: self.title.clone(),
            checkpoints: wide.iter().map(Checkpoint::from).collect(),
            uncalibrated: if learning_rates.is_empty() {
                choices.iter().map(Into::into).collect()
            } else {
                Vec::new()
            },
            primary_learning_rate: primary,
            sensitivity: self.sensitivity(&correlations, primary),
            learning_rates,
            ..Data::default()
        })
    }

    /// The rows with the largest |rho| at the primary learning rate.
    fn sensitivity(&self, correlations: &[CorrelationRow], primary: Option<f64>) -> Sensitivity {
        let shown = |row: &&CorrelationRow| {
            row.target == TARGET
                && !row.baseline
                && primary.is_some_and(|rate| rate.total_cmp(&row.learning_rate).is_eq())
        };
        let mut rows: Vec<&CorrelationRow> = correlations.iter().filter(shown).collect();
        let size = |row: &CorrelationRow| row.rho.map_or(-1.0, f64::abs);
        rows.sort_by(|a, b| {
            size(b)
                .total_cmp(&size(a))
                .then_with(|| a.score.cmp(&b.score))
        });
        Sensitivity {
            rows: rows
                .into_iter()
                .take(self.sensitivity_rows)
                .map(Into::into)
                .collect(),
            total: correlations.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Role;

    #[test]
    fn the_role_names_of_the_table_are_the_reports() {
        for (name, role) in [
            ("largest-gain", Role::LargestGain),
            ("final-reward", Role::FinalReward),
            ("earliest", Role::Earliest),
            ("baseline", Role::Baseline),
        ] {
            assert_eq!(serde_json::to_value(role).unwrap(), name);
        }
    }
}
