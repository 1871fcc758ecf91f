//! The kind `scores`: its parameters, its joins, the wide table.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{
        ArtifactType,
        schema::{HEADROOM, SCORES, SCORES_WIDE, SIGNAL},
        table::{encode_rows, gather_rows},
    },
    stage::{
        Context, InputPort, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Role, Stage,
    },
    stages::{
        Hidden, Vocab, ranges,
        rows::{HeadroomRow, Measures, SignalRow, WideRow, step_difference},
        scores::long,
    },
    theory::{Advantage, Group, Headroom, Score, ScoreParts},
};

/// Scores of every checkpoint: a signal (eq. 24, 26, 27) times a headroom
/// (eq. 28, sec. 6), as in eq. 29. `headline` = IP * H per prompt, `literal` =
/// (Sigma - Lambda_ps) * H pooled, `literal-eq28` = (Sigma - Lambda_ps) * H per
/// prompt. S = Sigma - Lambda stands beside max(S, 0), clipped once per
/// checkpoint (`s_cond_clip`, `s_ps_clip`, `s_group_clip`), and Sigma is S with
/// Lambda off. The parameters choose the reading that unadorned names stand for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// The axis of the checkpoints, such as `step`.
    pub ladder: String,
    /// Advantage convention (eq. 1) of IP and Lambda.
    #[serde(default)]
    pub advantage: Advantage,
    /// Group size of IP and Lambda: a number of at least 2, or "inf".
    #[serde(default = "default_group")]
    pub group: Group,
    /// Hidden state that G is taken by: post or pre final norm (eq. 13).
    #[serde(default)]
    pub hidden: Hidden,
    /// Softmax over the full vocabulary or the labels alone.
    #[serde(default)]
    pub vocab: Vocab,
    /// Alpha of the headroom (eq. 28), greater than 0.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// How many of advantage, group, estimator, hidden state and vocabulary a
    /// row of the long table may change at once, 0 to 5. Other alphas stand
    /// beside the default reading only.
    #[serde(default = "default_departures")]
    pub departures: u32,
}

fn default_group() -> Group {
    Group::N(8)
}

fn default_alpha() -> f64 {
    1.0
}

fn default_departures() -> u32 {
    2
}

impl Stage for Scores {
    const KIND: &'static str = "scores";
    const VERSION: u32 = 2;
    const ABOUT: &'static str =
        "costates and headroom joined into scores (eq. 29) and baselines; needs no RL";
    const PORTS: Ports = Ports {
        inputs: &[
            InputPort::many(
                "costates",
                ArtifactType::Table(SIGNAL.name),
                "signal and lost signal of each checkpoint",
            ),
            InputPort::many(
                "headroom",
                ArtifactType::Table(HEADROOM.name),
                "headroom of each checkpoint",
            ),
        ],
        outputs: &[
            OutputPort::new(
                "scores",
                ArtifactType::Table(SCORES.name),
                "every score and baseline, one row per checkpoint and variant",
            ),
            OutputPort::new(
                "wide",
                ArtifactType::Table(SCORES_WIDE.name),
                "the default reading, one row per checkpoint",
            ),
        ],
    };
    const ROLES: &'static [Role] = &[Role {
        param: "ladder",
        list: false,
    }];

    fn check(&self) -> Result<(), Refusal> {
        ranges::positive("alpha", self.alpha)?;
        let grouped = !matches!(self.group, Group::N(0..2));
        ranges::allowed("group", grouped, self.group, "at least 2, or \"inf\"")?;
        let most = long::READINGS.into();
        ranges::whole("departures", self.departures.into(), 0, most)
    }

    fn gathered_axes(&self) -> Vec<String> {
        vec![self.ladder.clone()]
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let signals: Vec<SignalRow> = gather_rows(inputs.all("costates"), &SIGNAL)?;
        let headrooms: Vec<HeadroomRow> = gather_rows(inputs.all("headroom"), &HEADROOM)?;
        let rungs = rungs(&signals, &headrooms)?;
        let (mut wide, mut rows, mut left_out) = (Vec::new(), Vec::new(), 0);
        for rung in rungs.values() {
            let signal = self.default_signal(rung)?;
            wide.push(self.wide(rung, signal)?);
            let made = long::rows(self, rung, signal);
            rows.extend(made.rows);
            left_out += made.left_out;
        }
        context.log(&format!(
            "{} rows for {} checkpoints; {left_out} rows left out, in which more than {} of \
             advantage, group, estimator, hidden and vocab or, beside another reading, alpha \
             depart from the default",
            rows.len(),
            wide.len(),
            self.departures
        ));
        Ok(Outputs::new()
            .with("scores", Produced::Bytes(encode_rows(&rows, &SCORES)?))
            .with("wide", Produced::Bytes(encode_rows(&wide, &SCORES_WIDE)?)))
    }
}

/// What was measured of one checkpoint.
pub(super) struct Rung<'a> {
    pub(super) step: i64,
    pub(super) signals: Vec<&'a SignalRow>,
    pub(super) headrooms: Vec<&'a HeadroomRow>,
}

impl Rung<'_> {
    /// The headroom of a vocabulary, kind and alpha, where it was measured.
    pub(super) fn headroom(&self, vocab: &str, kind: Headroom, alpha: f64) -> Option<f64> {
        let found = self.headrooms.iter().find(|row| {
            row.vocab == vocab && row.kind == kind.name() && row.alpha.total_cmp(&alpha).is_eq()
        });
        found.map(|row| row.value)
    }

    /// The alphas that were measured, ascending.
    pub(super) fn alphas(&self) -> Vec<f64> {
        let mut alphas: Vec<f64> = self.headrooms.iter().map(|row| row.alpha).collect();
        alphas.sort_by(f64::total_cmp);
        alphas.dedup();
        alphas
    }
}

/// The rows by step. Both inputs must have the same steps, each once.
fn rungs<'a>(
    signals: &'a [SignalRow],
    headrooms: &'a [HeadroomRow],
) -> Result<BTreeMap<i64, Rung<'a>>> {
    let steps_of_signals: BTreeSet<i64> = signals.iter().map(|row| row.step).collect();
    let steps_of_headrooms = headrooms.iter().map(|row| row.step).collect();
    let named = (
        ("costates", &steps_of_signals),
        ("headrooms", &steps_of_headrooms),
    );
    if let Some(difference) = step_difference(named.0, named.1) {
        bail!("{difference}");
    }
    let mut rungs: BTreeMap<i64, Rung<'a>> = BTreeMap::new();
    for step in steps_of_signals {
        let signals: Vec<_> = signals.iter().filter(|row| row.step == step).collect();
        let headrooms: Vec<_> = headrooms.iter().filter(|row| row.step == step).collect();
        let readings: BTreeSet<_> = signals.iter().map(|row| long::reading(row)).collect();
        ensure!(
            readings.len() == signals.len(),
            "costates have step {step} twice; the ladder needs one checkpoint per step"
        );
        let kinds: BTreeSet<_> = headrooms
            .iter()
            .map(|row| (&row.vocab, &row.kind, row.alpha.to_bits()))
            .collect();
        ensure!(
            kinds.len() == headrooms.len(),
            "headrooms have step {step} twice; the ladder needs one checkpoint per step"
        );
        let rung = Rung {
            step,
            signals,
            headrooms,
        };
        rungs.insert(step, rung);
    }
    Ok(rungs)
}

impl Scores {
    fn default_signal<'a>(&self, rung: &Rung<'a>) -> Result<&'a SignalRow> {
        let found = rung
            .signals
            .iter()
            .find(|row| long::departures(self, row) == 0);
        let Some(row) = found else {
            let list = |of: fn(&SignalRow) -> &str| {
                let values: BTreeSet<&str> = rung.signals.iter().map(|row| of(row)).collect();
                values.into_iter().collect::<Vec<_>>().join(", ")
            };
            bail!(
                "step {}: no signal with advantage {}, group {}, hidden {}, vocab {}, exact \
                 (there are: advantage {}; group {}; hidden {}; vocab {}; {})",
                rung.step,
                self.advantage,
                self.group,
                self.hidden,
                self.vocab,
                list(|row| &row.advantage),
                list(|row| &row.group),
                list(|row| &row.hidden),
                list(|row| &row.vocab),
                list(|row| &row.estimator),
            );
        };
        ensure!(
            row.lambda_cond.is_some(),
            "step {}: an exact signal without lambda_cond",
            rung.step
        );
        Ok(row)
    }

    fn default_headroom(&self, rung: &Rung<'_>, kind: Headroom) -> Result<f64> {
        let vocab = self.vocab.name();
        rung.headroom(vocab, kind, self.alpha).with_context(|| {
            let alphas: Vec<String> = rung.alphas().iter().map(f64::to_string).collect();
            format!(
                "step {}: no {} headroom with alpha {}, vocab {vocab} (there are: alpha {})",
                rung.step,
                kind.name(),
                self.alpha,
                alphas.join(", ")
            )
        })
    }

    fn wide(&self, rung: &Rung<'_>, signal: &SignalRow) -> Result<WideRow> {
        let parts = ScoreParts {
            sigma: signal.sigma,
            ip: signal.ip,
            lambda_cond: signal.lambda_cond.unwrap_or(f64::NAN),
            lambda_ps: signal.lambda_ps,
            lambda_group: signal.lambda_group,
            headroom_per_prompt: self.default_headroom(rung, Headroom::PerPrompt)?,
            headroom_pooled: self.default_headroom(rung, Headroom::Pooled)?,
        };
        // None of the named products takes lambda_group, the one part that may be missing.
        let product = |score: Score| score.value(&parts).expect("the parts are there");
        Ok(WideRow {
            step: rung.step,
            tokens: signal.tokens,
            measures: Measures {
                sigma: parts.sigma,
                ip: parts.ip,
                lambda_ps: parts.lambda_ps,
                lambda_cond: parts.lambda_cond,
                headroom: parts.headroom_per_prompt,
                score_headline: product(Score::HEADLINE),
                score_literal: product(Score::LITERAL),
                score_literal_eq28: product(Score::LITERAL_EQ28),
                r_before: signal.r_before,
                p1mp: signal.p1mp,
                p1mp_of_mean: signal.p1mp_of_mean,
                entropy: signal.entropy,
                zero_var_share: signal.zero_var_share,
                label_mass: signal.label_mass,
            },
        })
    }
}
