//! From parts per prompt to the rows of `costates` and `signal`.
use serde::{Deserialize, Serialize};

use crate::{
    stages::{Hidden, Vocab, answers::Answers, rows::SignalRow},
    theory::{
        Advantage, Group, SampledParts, SignalParts, Softmax, label_mass, mean, p1mp, p1mp_of_mean,
        prob_batch, zero_var_share,
    },
};

use super::readings::Reading;

/// A row of the table `costates`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CostateRow {
    pub(super) step: i64,
    pub(super) tokens: Option<i64>,
    pub(super) prompt: i64,
    pub(super) hidden: String,
    pub(super) vocab: String,
    pub(super) advantage: String,
    pub(super) group: String,
    pub(super) estimator: String,
    pub(super) p_y: f64,
    pub(super) m: Option<f64>,
    pub(super) sigma: f64,
    pub(super) ip: f64,
    pub(super) lambda_cond: Option<f64>,
    pub(super) lambda_ps: f64,
    pub(super) lambda_group: Option<f64>,
}

/// What p alone tells, over all prompts and one vocabulary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baselines {
    r_before: f64,
    p1mp: f64,
    p1mp_of_mean: f64,
    entropy: f64,
    zero_var_share: f64,
    label_mass: f64,
}

impl Baselines {
    /// `zero_var_share` is that of groups of `n`; the label mass is that of the
    /// full softmax whatever the vocabulary.
    pub(super) fn of(answers: &Answers, vocab: Vocab, n: u32) -> Baselines {
        let policies: Vec<Softmax> = (answers.prompts.iter())
            .map(|answer| answers.policy(answer, vocab))
            .collect();
        let pairs: Vec<(f64, f64)> = policies.iter().map(|p| (p.p_y(), p.q_y)).collect();
        let labels: Vec<usize> = answers.labels.iter().map(|&label| label as usize).collect();
        let over = |values: Vec<f64>| mean(&values).expect("there are prompts");
        Baselines {
            r_before: over(pairs.iter().map(|(p, _)| *p).collect()),
            p1mp: p1mp(&pairs).expect("there are prompts"),
            p1mp_of_mean: p1mp_of_mean(&pairs).expect("there are prompts"),
            entropy: over(policies.iter().map(Softmax::entropy).collect()),
            zero_var_share: over(
                pairs
                    .iter()
                    .map(|&(p, q)| zero_var_share(p, q, n))
                    .collect(),
            ),
            label_mass: over(
                (answers.prompts.iter())
                    .map(|answer| {
                        let full = answers.policy(answer, Vocab::Full);
                        label_mass(&full.p, &labels)
                    })
                    .collect(),
            ),
        }
    }
}

/// What a row is called beside its hidden state and vocabulary.
#[derive(Debug, Clone, Copy)]
struct Named<'a> {
    advantage: &'a str,
    group: &'a str,
    estimator: &'a str,
}

impl<'a> Named<'a> {
    fn exact(advantage: &'a str, group: &'a str) -> Named<'a> {
        Named {
            advantage,
            group,
            estimator: "exact",
        }
    }
}

/// One hidden state and vocabulary of a checkpoint, with what all rows share.
pub(super) struct Sheet<'a> {
    pub(super) answers: &'a Answers,
    pub(super) hidden: Hidden,
    pub(super) vocab: Vocab,
    pub(super) baselines: Baselines,
}

impl Sheet<'_> {
    /// Exact rows of a group advantage: one per prompt, and their mean.
    pub(super) fn exact(
        &self,
        readings: &[Reading],
        advantage: Advantage,
        group: Group,
    ) -> (Vec<CostateRow>, SignalRow) {
        let parts: Vec<SignalParts> = (readings.iter())
            .map(|reading| reading.task.signal(advantage, group))
            .collect();
        let group = group.to_string();
        self.rows_of(readings, &parts, Named::exact(advantage.name(), &group))
    }

    /// The reading R = p_y, z-scored over the prompts: all actions of a prompt
    /// share one advantage, so E lambda_hat = 0 and Lambda_cond = Sigma.
    pub(super) fn prob_batch(&self, readings: &[Reading]) -> (Vec<CostateRow>, SignalRow) {
        let p_y: Vec<f64> = (readings.iter())
            .map(|reading| reading.task.policy().p_y())
            .collect();
        let advantages = prob_batch(&p_y);
        let parts: Vec<SignalParts> = (readings.iter().zip(&advantages))
            .map(|(reading, &value)| reading.task.signal_of_constant(value))
            .collect();
        self.rows_of(readings, &parts, Named::exact("prob-batch", "inf"))
    }

    fn rows_of(
        &self,
        readings: &[Reading],
        parts: &[SignalParts],
        name: Named<'_>,
    ) -> (Vec<CostateRow>, SignalRow) {
        let prompts = readings.iter().zip(parts).enumerate();
        let rows = prompts
            .map(|(i, (reading, parts))| CostateRow {
                m: Some(parts.m),
                ip: parts.ip,
                lambda_cond: Some(parts.lambda_cond),
                lambda_ps: parts.lambda_ps,
                ..self.prompt_row(i, reading, name)
            })
            .collect();
        let mean = SignalParts::mean(parts).expect("there are prompts");
        let signal = SignalRow {
            sigma: mean.sigma,
            ip: mean.ip,
            lambda_cond: Some(mean.lambda_cond),
            lambda_ps: mean.lambda_ps,
            s_cond: Some(mean.s_cond),
            s_ps: mean.s_ps,
            ..self.signal_row(name)
        };
        (rows, signal)
    }

    /// Sampled rows from the groups of every prompt: means over groups, and
    /// over prompts with standard errors over groups.
    pub(super) fn sampled(
        &self,
        readings: &[Reading],
        drawn: &[&[SampledParts]],
        advantage: Advantage,
        group: Group,
    ) -> (Vec<CostateRow>, SignalRow) {
        let group = group.to_string();
        let name = Named {
            estimator: "sampled",
            ..Named::exact(advantage.name(), &group)
        };
        let prompts = readings.iter().zip(drawn).enumerate();
        let rows = prompts
            .map(|(i, (reading, groups))| {
                let over = |part: fn(&SampledParts) -> f64| {
                    groups.iter().map(part).sum::<f64>() / groups.len() as f64
                };
                CostateRow {
                    ip: over(|parts| parts.ip),
                    lambda_ps: over(|parts| parts.lambda_ps),
                    lambda_group: Some(over(|parts| parts.lambda_group)),
                    ..self.prompt_row(i, reading, name)
                }
            })
            .collect();
        let sigmas: Vec<f64> = readings
            .iter()
            .map(|reading| reading.task.sigma())
            .collect();
        let sigma = mean(&sigmas).expect("there are prompts");
        let (ip, se_ip) = over_groups(drawn, |parts| parts.ip);
        let (lambda_ps, se_lambda_ps) = over_groups(drawn, |parts| parts.lambda_ps);
        let (lambda_group, se_lambda_group) = over_groups(drawn, |parts| parts.lambda_group);
        let signal = SignalRow {
            sigma,
            ip,
            lambda_ps,
            lambda_group: Some(lambda_group),
            s_ps: sigma - lambda_ps,
            s_group: Some(sigma - lambda_group),
            se_ip: Some(se_ip),
            se_lambda_ps: Some(se_lambda_ps),
            se_lambda_group: Some(se_lambda_group),
            ..self.signal_row(name)
        };
        (rows, signal)
    }

    fn prompt_row(&self, i: usize, reading: &Reading, name: Named<'_>) -> CostateRow {
        CostateRow {
            step: self.answers.step,
            tokens: Some(self.answers.tokens),
            prompt: self.answers.prompts[i].prompt,
            hidden: self.hidden.name().to_owned(),
            vocab: self.vocab.name().to_owned(),
            advantage: name.advantage.to_owned(),
            group: name.group.to_owned(),
            estimator: name.estimator.to_owned(),
            p_y: reading.task.policy().p_y(),
            m: None,
            sigma: reading.task.sigma(),
            ip: 0.0,
            lambda_cond: None,
            lambda_ps: 0.0,
            lambda_group: None,
        }
    }

    fn signal_row(&self, name: Named<'_>) -> SignalRow {
        let baselines = self.baselines;
        SignalRow {
            step: self.answers.step,
            tokens: Some(self.answers.tokens),
            hidden: self.hidden.name().to_owned(),
            vocab: self.vocab.name().to_owned(),
            advantage: name.advantage.to_owned(),
            group: name.group.to_owned(),
            estimator: name.estimator.to_owned(),
            n_prompts: self.answers.prompts.len() as i64,
            sigma: 0.0,
            ip: 0.0,
            lambda_cond: None,
            lambda_ps: 0.0,
            lambda_group: None,
            s_cond: None,
            s_ps: 0.0,
            s_group: None,
            se_ip: None,
            se_lambda_ps: None,
            se_lambda_group: None,
            r_before: baselines.r_before,
            p1mp: baselines.p1mp,
            p1mp_of_mean: baselines.p1mp_of_mean,
            entropy: baselines.entropy,
            zero_var_share: baselines.zero_var_share,
            label_mass: baselines.label_mass,
        }
    }
}

/// The mean over prompts and groups, and its standard error: group g of every
/// prompt makes one replicate, replicates are independent.
fn over_groups(drawn: &[&[SampledParts]], part: fn(&SampledParts) -> f64) -> (f64, f64) {
    let groups = drawn.first().map_or(0, |groups| groups.len());
    let replicates: Vec<f64> = (0..groups)
        .map(|g| drawn.iter().map(|groups| part(&groups[g])).sum::<f64>() / drawn.len() as f64)
        .collect();
    let n = groups as f64;
    let mean = replicates.iter().sum::<f64>() / n;
    let squares: f64 = replicates.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_replicates() {
        let parts = |ip| SampledParts {
            ip,
            lambda_ps: 0.0,
            lambda_group: 0.0,
        };
        // two prompts, three groups: replicates 1, 2 and 6
        let (a, b) = ([0.0, 1.0, 4.0].map(parts), [2.0, 3.0, 8.0].map(parts));
        let (mean, error) = over_groups(&[&a, &b], |parts| parts.ip);
        assert_eq!(mean, 3.0);
        assert!((error - (14.0f64 / 2.0 / 3.0).sqrt()).abs() < 1e-15);
    }
}
