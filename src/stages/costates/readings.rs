//! The four readings of one prompt: post or pre final norm, full vocabulary or
//! labels; and the scores' Gram for a group that was drawn.
use anyhow::Result;
use candle_core::{DType, Tensor};

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
    let norm = Norm::of(answers)?;
    let w = answers.model.head_weight()?;
    let head = norm.head(&w, hidden);
    let products = match vocab {
        Vocab::Full => head.products(&policies)?,
        Vocab::Labels => {
            let rows = head.rows_of(&answers.labels)?;
            let product = |policy| HeadProducts::from_rows(&rows, norm.g.len(), policy);
            policies.iter().map(product).collect()
        }
    };
    // W b, which is in the logits but not in the part of them that u moves
    let constant = match &norm.b {
        Some(b) => head.times(b)?,
        None => vec![0.0; w.dim(0)?],
    };
    let prompts = answers.prompts.iter().zip(policies).zip(products);
    Ok(prompts
        .map(|((answer, policy), head)| {
            let (task, pre) = match hidden {
                Hidden::Post => (OneToken::post_norm(policy, &head), None),
                Hidden::Pre => {
                    let z = |a: usize| answer.z[a] - constant[a];
                    let z: Vec<f64> = match vocab {
                        Vocab::Full => (0..answer.z.len()).map(z).collect(),
                        Vocab::Labels => answers.labels.iter().map(|&a| z(a as usize)).collect(),
                    };
                    let norm = norm.at(&answer.u);
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
    let (w, norm) = (answers.model.head_weight()?, Norm::of(answers)?);
    let token = |&slot: &usize| match vocab {
        Vocab::Full => slot as u32,
        Vocab::Labels => answers.labels[slot],
    };
    let tokens: Vec<u32> = slots.iter().map(token).collect();
    norm.head(&w, hidden).rows_of(&tokens)
}

/// The model's final norm: an RMS norm, or with a bias a layer norm.
struct Norm {
    g: Vec<f64>,
    b: Option<Vec<f64>>,
    eps: f64,
}

impl Norm {
    fn of(answers: &Answers) -> Result<Norm> {
        let host = |tensor: &Tensor| -> Result<Vec<f64>> {
            Ok(tensor.detach().to_dtype(DType::F64)?.to_vec1()?)
        };
        let model = &answers.model;
        Ok(Norm {
            g: host(model.final_norm_weight())?,
            b: model.final_norm_bias().map(host).transpose()?,
            eps: model.config().norm_eps,
        })
    }

    fn head<'a>(&'a self, w: &'a Tensor, hidden: Hidden) -> Head<'a> {
        Head {
            w,
            g: (hidden == Hidden::Pre).then_some(&*self.g),
            centred: self.b.is_some(),
        }
    }

    /// The norm at a residual u.
    fn at(&self, u: &[f64]) -> FinalNorm {
        if self.b.is_none() {
            return FinalNorm::at(u, self.eps);
        }
        let mean = u.iter().sum::<f64>() / u.len() as f64;
        let centred: Vec<f64> = u.iter().map(|u| u - mean).collect();
        FinalNorm::at(&centred, self.eps)
    }
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

#[cfg(test)]
mod tests {
    use std::{path::Path, rc::Rc};

    use candle_core::{Device, Var};

    use super::*;
    use crate::{
        lm::{Files, Model, log_softmax},
        seed::Seed,
        stages::answers::Answer,
    };

    const LABELS: [u32; 3] = [3, 17, 200];

    /// One prompt whose residual u is drawn.
    fn answers(folder: &str) -> Answers {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let files = Files::of_folder(&fixtures.join(folder)).unwrap();
        let model = Model::load(&files, &Device::Cpu, DType::F64).unwrap();
        let mut stream = Seed(8).stream("residual", &[]);
        let d = model.config().hidden_size;
        let u: Vec<f64> = (0..d).map(|_| 0.4 + stream.normal()).collect();
        let h = model.final_norm(&Tensor::from_slice(&u, (1, d), &Device::Cpu).unwrap());
        let z = model.head(&h.unwrap()).unwrap();
        Answers {
            step: 0,
            tokens: 0,
            labels: LABELS.to_vec(),
            prompts: vec![Answer {
                prompt: 0,
                label: LABELS[1],
                z: z.flatten_all().unwrap().to_vec1().unwrap(),
                u,
            }],
            model: Rc::new(model),
        }
    }

    /// d log p(slot) / du by the model's own gradients.
    fn score(answers: &Answers, hidden: Hidden, vocab: Vocab, slot: usize) -> Vec<f64> {
        let u = &answers.prompts[0].u;
        let u = Tensor::from_slice(u, (1, u.len()), &Device::Cpu).unwrap();
        let start = match hidden {
            Hidden::Pre => u,
            Hidden::Post => answers.model.final_norm(&u).unwrap(),
        };
        let start = Var::from_tensor(&start.detach()).unwrap();
        let h = match hidden {
            Hidden::Pre => answers.model.final_norm(&start).unwrap(),
            Hidden::Post => start.as_tensor().clone(),
        };
        let mut z = answers.model.head(&h).unwrap();
        if vocab == Vocab::Labels {
            let labels = Tensor::from_slice(&LABELS, 3, &Device::Cpu).unwrap();
            z = z.index_select(&labels, 1).unwrap();
        }
        let log_p = log_softmax(&z).unwrap().narrow(1, slot, 1).unwrap();
        let store = log_p.sum_all().unwrap().backward().unwrap();
        let gradient = store.get(&start).unwrap().flatten_all().unwrap();
        gradient.to_vec1().unwrap()
    }

    #[test]
    fn products_of_scores_are_those_of_gradients_in_every_family() {
        for folder in ["open", "llama/tied", "gpt_neox/parallel"] {
            let answers = answers(folder);
            for (hidden, vocab, slots) in [
                (Hidden::Pre, Vocab::Full, [17, 3, 200, 260]),
                (Hidden::Pre, Vocab::Labels, [1, 0, 2, 0]),
                (Hidden::Post, Vocab::Full, [17, 3, 200, 260]),
            ] {
                let reading = readings(&answers, hidden, vocab).unwrap().remove(0);
                let scores = slots.map(|slot| score(&answers, hidden, vocab, slot));
                let rows = rows_of(&answers, hidden, vocab, &slots).unwrap();
                let rows: Vec<&[f64]> = rows.chunks(rows.len() / slots.len()).collect();
                for (i, a) in scores.iter().enumerate() {
                    for (j, b) in scores.iter().enumerate() {
                        let want: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                        let got = reading.gram((slots[i], rows[i]), (slots[j], rows[j]));
                        assert!(
                            (got - want).abs() < 1e-10 * want.abs().max(1.0),
                            "{folder} {hidden:?} {vocab:?} {i} {j}: {got} and {want}"
                        );
                    }
                }
            }
        }
    }
}
