//! The long table: which variants of a score there are, and their names.
//!
//! A row departs from the default reading in a few of advantage, group,
//! estimator, hidden state and vocabulary; its name says in which. Sigma knows
//! neither advantage nor group, so those are missing in its rows. Lambda stands
//! in three ways beside each other: as measured (`s_ps`), with the checkpoint's
//! S = Sigma - Lambda clipped at zero (`s_ps_clip`), and off (`sigma`).
use crate::{
    stages::{
        rows::{ScoreRow, SignalRow},
        scores::kind::{Rung, Scores},
    },
    theory::{Headroom, Score, ScoreParts, Signal},
};

/// How many readings a row can depart from the default in.
pub(super) const READINGS: u32 = 5;
const EXACT: &str = "exact";

/// The baselines: columns of `signal` that no formula of the paper's enters.
const BASELINES: [&str; 6] = [
    "r_before",
    "p1mp",
    "p1mp_of_mean",
    "entropy",
    "zero_var_share",
    "label_mass",
];

/// The rows of one checkpoint, and how many more there could be.
pub(super) struct Made {
    pub(super) rows: Vec<ScoreRow>,
    pub(super) left_out: usize,
}

/// What tells the signals of one checkpoint apart.
pub(super) fn reading(row: &SignalRow) -> [&str; READINGS as usize] {
    [
        &row.advantage,
        &row.group,
        &row.estimator,
        &row.hidden,
        &row.vocab,
    ]
}

fn default_reading(kind: &Scores) -> [String; READINGS as usize] {
    [
        kind.advantage.name().to_owned(),
        kind.group.to_string(),
        EXACT.to_owned(),
        kind.hidden.name().to_owned(),
        kind.vocab.name().to_owned(),
    ]
}

/// In how many readings a row departs from the default.
pub(super) fn departures(kind: &Scores, row: &SignalRow) -> u32 {
    let differ = reading(row)
        .into_iter()
        .zip(default_reading(kind))
        .filter(|(own, default)| own != default);
    differ.count() as u32
}

/// All rows of one checkpoint: scores in the order of the signals, the
/// headroom alone, then the baselines.
pub(super) fn rows(kind: &Scores, rung: &Rung<'_>, default: &SignalRow) -> Made {
    let mut made = Made {
        rows: Vec::new(),
        left_out: 0,
    };
    for row in &rung.signals {
        for score in Score::all() {
            push_variants(kind, rung, row, score, &mut made);
        }
    }
    for headroom in [Headroom::PerPrompt, Headroom::Pooled] {
        if let Some(value) = rung.headroom(kind.vocab.name(), headroom, kind.alpha) {
            let name = if headroom == Headroom::PerPrompt {
                "headroom"
            } else {
                "headroom-pooled"
            };
            made.rows.push(ScoreRow {
                headroom: headroom.name().to_owned(),
                alpha: Some(kind.alpha),
                ..plain(kind, rung, name, value)
            });
        }
    }
    let values = [
        default.r_before,
        default.p1mp,
        default.p1mp_of_mean,
        default.entropy,
        default.zero_var_share,
        default.label_mass,
    ];
    let baselines = BASELINES.iter().zip(values);
    made.rows
        .extend(baselines.map(|(name, value)| plain(kind, rung, name, value)));
    made
}

/// A row that no signal enters.
fn plain(kind: &Scores, rung: &Rung<'_>, name: &str, value: f64) -> ScoreRow {
    ScoreRow {
        step: rung.step,
        score: name.to_owned(),
        signal: None,
        advantage: None,
        group: None,
        estimator: None,
        hidden: None,
        vocab: kind.vocab.name().to_owned(),
        headroom: Headroom::None.name().to_owned(),
        alpha: None,
        value,
    }
}

/// One product of one signal row, for every alpha that belongs in the table.
fn push_variants(kind: &Scores, rung: &Rung<'_>, row: &SignalRow, score: Score, made: &mut Made) {
    let mut own = default_reading(kind);
    let default = own.clone();
    for (own, found) in own.iter_mut().zip(reading(row)) {
        found.clone_into(own);
    }
    let bare = score.signal == Signal::Sigma;
    if bare && own[..3] != default[..3] {
        return;
    }
    let changed = own
        .iter()
        .zip(&default)
        .filter(|(own, default)| own != default);
    let changed = changed.count() as u32;
    let alphas: Vec<Option<f64>> = match score.headroom {
        Headroom::None => vec![None],
        _ => rung.alphas().into_iter().map(Some).collect(),
    };
    for alpha in alphas {
        let Some(value) = value(rung, row, score, alpha) else {
            continue;
        };
        let swept = alpha.is_some_and(|alpha| alpha.total_cmp(&kind.alpha).is_ne());
        if changed > kind.departures || (swept && changed > 0) {
            made.left_out += 1;
            continue;
        }
        let part = |index: usize| (!bare).then(|| own[index].clone());
        made.rows.push(ScoreRow {
            step: rung.step,
            score: name(score, &own, &default, alpha.filter(|_| swept)),
            signal: Some(score.signal.name().to_owned()),
            advantage: part(0),
            group: part(1),
            estimator: part(2),
            hidden: Some(row.hidden.clone()),
            vocab: row.vocab.clone(),
            headroom: score.headroom.name().to_owned(),
            alpha,
            value,
        });
    }
}

/// The product; `None` where a part was not measured.
fn value(rung: &Rung<'_>, row: &SignalRow, score: Score, alpha: Option<f64>) -> Option<f64> {
    let headroom = match alpha {
        Some(alpha) => rung.headroom(&row.vocab, score.headroom, alpha)?,
        None => 1.0,
    };
    if matches!(score.signal, Signal::SCond | Signal::SCondClip) {
        row.lambda_cond?;
    }
    score.value(&ScoreParts {
        sigma: row.sigma,
        ip: row.ip,
        lambda_cond: row.lambda_cond.unwrap_or(f64::NAN),
        lambda_ps: row.lambda_ps,
        lambda_group: row.lambda_group,
        headroom_per_prompt: headroom,
        headroom_pooled: headroom,
    })
}

/// The product's name with what departs from the default: `headline-inf`,
/// `literal-mean-only`, `s_group-per-prompt-sampled`, `headline-n16`,
/// `headline-alpha5`.
fn name(score: Score, own: &[String], default: &[String], swept: Option<f64>) -> String {
    let mut name = score.name();
    for (index, (own, default)) in own.iter().zip(default).enumerate() {
        if own != default {
            // A bare number would not say that it is a group.
            let number = index == 1 && own.parse::<u32>().is_ok();
            name += if number { "-n" } else { "-" };
            name += own;
        }
    }
    if let Some(alpha) = swept {
        name += "-alpha";
        name += &alpha.to_string();
    }
    name
}
