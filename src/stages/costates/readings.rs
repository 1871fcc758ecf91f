//! The four readings of one prompt: post or pre final norm, full vocabulary or
//! labels; and the scores' Gram for a group that was drawn.
use anyhow::Result;
use candle_core::DType;

use crate::{
    stages::{Hidden, Vocab, answers::Answers},
    theory::{FinalNorm, HeadProducts, OneToken},
};

use super::products::Head;

/// One prompt under one reading.
pub(super) struct Reading {
    pub(super) task: OneToken,
    head: HeadProducts,
    /// What the pre-norm state needs besides: the norm, and h.s(a) for all a.
    pre: Option<(FinalNorm, Vec<f64>)>,
}

/// Every prompt's reading under one hidden state and vocabulary.
pub(super) fn readings(answers: &Answers, hidden: Hidden, vocab: Vocab) -> Result<Vec<Reading>> {
    let policies: Vec<_> = (answers.prompts.iter())
        .map(|answer| answers.policy(answer, vocab))
        .collect();
    let (w, g) = (answers.model.head_weight()?, norm_weight(answers)?);
    let head = Head {
        w: &w,
        g: (hidden == Hidden::Pre).then_some(&g),
    };
    let products = match vocab {
        Vocab::Full => head.products(&policies)?,
        Vocab::Labels => {
            let rows = head.rows_of(&answers.labels)?;
            let product = |policy| HeadProducts::from_rows(&rows, g.len(), policy);
            policies.iter().map(product).collect()
        }
    };
    let eps = answers.model.config().rms_norm_eps;
    let prompts = answers.prompts.iter().zip(policies).zip(products);
    Ok(prompts
        .map(|((answer, policy), head)| {
            let z = match vocab {
                Vocab::Full => answer.z.clone(),
                Vocab::Labels => answers.label_logits(answer),
            };
            let (task, pre) = match hidden {
                Hidden::Post => (OneToken::post_norm(policy, &head), None),
                Hidden::Pre => {
                    let norm = FinalNorm::at(&answer.u, eps);
                    let mean: f64 = policy.p.iter().zip(&z).map(|(p, z)| p * z).sum();
                    let h_dot_s = z.iter().map(|z| z - mean).collect();
                    let task = OneToken::pre_norm(policy, &head, norm, &z);
                    (task, Some((norm, h_dot_s)))
                }
            };
            Reading { task, head, pre }
        })
        .collect())
}

/// Rows of the head for the slots of a vocabulary, under a hidden state.
pub(super) fn rows_of(
    answers: &Answers,
    hidden: Hidden,
    vocab: Vocab,
    slots: &[usize],
) -> Result<Vec<f64>> {
    let (w, g) = (answers.model.head_weight()?, norm_weight(answers)?);
    let head = Head {
        w: &w,
        g: (hidden == Hidden::Pre).then_some(&g),
    };
    let token = |&slot: &usize| match vocab {
        Vocab::Full => slot as u32,
        Vocab::Labels => answers.labels[slot],
    };
    head.rows_of(&slots.iter().map(token).collect::<Vec<u32>>())
}

fn norm_weight(answers: &Answers) -> Result<Vec<f64>> {
    let g = answers.model.final_norm_weight().detach();
    Ok(g.to_dtype(DType::F64)?.to_vec1()?)
}

impl Reading {
    /// s(a).s(b) of two slots, with the head's rows of both. Slot y is exact
    /// near saturation.
    pub(super) fn gram(&self, (a, row_a): (usize, &[f64]), (b, row_b): (usize, &[f64])) -> f64 {
        let y = self.task.policy().y;
        if a == b {
            return self.task.norm2()[a];
        }
        if a == y || b == y {
            return self.task.dot_y()[if a == y { b } else { a }];
        }
        let rows: f64 = row_a.iter().zip(row_b).map(|(x, y)| x * y).sum();
        let head = &self.head;
        let post = rows - head.w_dot_bar[a] - head.w_dot_bar[b] + head.norm2_bar;
        match &self.pre {
            None => post,
            Some((norm, h_dot_s)) => norm.pull_back(post, h_dot_s[a], h_dot_s[b]),
        }
    }
}
