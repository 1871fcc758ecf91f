//! The open fixture set as the theory sees it: numbers, read for tests only.
use std::{fs, path::PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::theory::{FinalNorm, HeadProducts, OneToken, Softmax};

/// The final norm's epsilon in the fixture's `config.json`.
const EPS: f64 = 1e-6;

pub(super) fn read(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/open")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).unwrap()
}

/// A float or integer tensor as f64, row-major.
pub(super) fn tensor(file: &[u8], name: &str) -> Vec<f64> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let view = tensors
        .tensor(name)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    match view.dtype() {
        safetensors::Dtype::F32 => {
            let (chunks, _) = view.data().as_chunks::<4>();
            chunks
                .iter()
                .map(|&bytes| f64::from(f32::from_le_bytes(bytes)))
                .collect()
        }
        safetensors::Dtype::I64 => {
            let (chunks, _) = view.data().as_chunks::<8>();
            chunks
                .iter()
                .map(|&bytes| i64::from_le_bytes(bytes) as f64)
                .collect()
        }
        other => panic!("{name} holds {other:?}"),
    }
}

pub(super) fn floats(value: &Value) -> Vec<f64> {
    let list = value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"));
    list.iter().map(float).collect()
}

pub(super) fn float(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// Everything that the closed forms read.
pub(super) struct Fixture {
    head: Vec<f64>,
    gain: Vec<f64>,
    /// Per prompt: residual before the final norm, and after it, at the last position.
    states: Vec<(Vec<f64>, Vec<f64>)>,
    /// Per prompt: the label's token.
    pub(super) labels: Vec<usize>,
    /// The four label tokens.
    pub(super) label_tokens: Vec<usize>,
}

impl Fixture {
    pub(super) fn load() -> Fixture {
        let (model, forward) = (read("model.safetensors"), read("forward.safetensors"));
        let gain = tensor(&model, "model.norm.weight");
        let d = gain.len();
        let last = |name: &str| {
            let all = tensor(&forward, name);
            all[all.len() - d..].to_vec()
        };
        let prompts = String::from_utf8(read("prompts.jsonl")).unwrap();
        let labels: Vec<usize> = prompts
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["label_token_id"]
                    .as_u64()
                    .unwrap() as usize
            })
            .collect();
        let tokens = floats(&json("extra.json")["label_token_ids"]);
        Fixture {
            head: tensor(&model, "lm_head.weight"),
            states: (0..labels.len())
                .map(|i| (last(&format!("p{i:02}.h3")), last(&format!("p{i:02}.post"))))
                .collect(),
            gain,
            labels,
            label_tokens: tokens.into_iter().map(|id| id as usize).collect(),
        }
    }

    /// All prompts at a hidden state (`post`, `pre`) and vocabulary (`full`,
    /// `labels`), the head's rows scaled by `scale`.
    pub(super) fn prompts(&self, hidden: &str, vocab: &str, scale: f64) -> Vec<OneToken> {
        let d = self.gain.len();
        let rows: Vec<usize> = match vocab {
            "full" => (0..self.head.len() / d).collect(),
            _ => self.label_tokens.clone(),
        };
        let w: Vec<f64> = rows
            .iter()
            .flat_map(|&a| self.head[a * d..(a + 1) * d].iter().map(|w| scale * w))
            .collect();
        let prompt = |(q, (u, h)): (usize, &(Vec<f64>, Vec<f64>))| {
            let z: Vec<f64> = w
                .chunks(d)
                .map(|row| row.iter().zip(h).map(|(w, h)| w * h).sum())
                .collect();
            let y = rows.iter().position(|&a| a == self.labels[q]).unwrap();
            let policy = Softmax::new(&z, y);
            if hidden == "post" {
                let products = HeadProducts::from_rows(&w, d, &policy);
                return OneToken::post_norm(policy, &products);
            }
            let gained: Vec<f64> = w
                .iter()
                .zip(self.gain.iter().cycle())
                .map(|(w, g)| w * g)
                .collect();
            let products = HeadProducts::from_rows(&gained, d, &policy);
            OneToken::pre_norm(policy, &products, FinalNorm::at(u, EPS), &z)
        };
        self.states.iter().enumerate().map(prompt).collect()
    }
}

/// Collects the worst difference relative to each comparison's own scale, so
/// that a failure names where it was.
pub(super) struct Worst {
    tolerance: f64,
    largest: f64,
    at: String,
    pub(super) compared: usize,
}

impl Worst {
    pub(super) fn new(tolerance: f64) -> Worst {
        Worst {
            tolerance,
            largest: 0.0,
            at: String::new(),
            compared: 0,
        }
    }

    pub(super) fn compare(&mut self, at: &str, got: f64, want: f64, scale: f64) {
        self.compared += 1;
        let difference = if got == want {
            0.0
        } else {
            (got - want).abs() / scale.abs()
        };
        // NaN must not pass as smaller than anything.
        if self.largest.is_nan() || difference <= self.largest {
            return;
        }
        self.largest = difference;
        self.at = format!("{at}: {got:e}, expected {want:e}");
    }

    pub(super) fn check(&self) {
        assert!(self.compared > 0, "nothing was compared");
        assert!(
            self.largest <= self.tolerance,
            "worst of {}: {:.2e} of its scale at {}",
            self.compared,
            self.largest,
            self.at
        );
    }
}
