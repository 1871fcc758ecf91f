//! What the tests of this layer share: the fixture model, and comparisons that
//! name the worst tensor.
use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};

use super::{Batch, Config, Family, Files, Gelu, GptNeox, Init, Model};
use crate::seed::Seed;

/// A folder of fixtures.
pub(super) fn fixture(name: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fixtures.join(name)
}

/// The folder of the fixture set made with PyTorch.
pub(super) fn open_folder() -> PathBuf {
    fixture("open")
}

pub(super) fn open_model(dtype: DType) -> Model {
    let files = Files::of_folder(&open_folder()).unwrap();
    Model::load(&files, &Device::Cpu, dtype).unwrap()
}

/// The tensors of one fixture file.
pub(super) fn gold(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(open_folder().join(name), &Device::Cpu).unwrap()
}

/// (id, input ids, label token) of the fixture prompts.
pub(super) fn prompts() -> Vec<(String, Vec<u32>, u32)> {
    let text = std::fs::read_to_string(open_folder().join("prompts.jsonl")).unwrap();
    let read = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let ids = serde_json::from_value(value["input_ids"].clone()).unwrap();
        let label = value["label_token_id"].as_u64().unwrap() as u32;
        (value["id"].as_str().unwrap().to_owned(), ids, label)
    };
    text.lines().map(read).collect()
}

pub(super) fn batch(sequences: &[Vec<u32>], pad: u32) -> Batch {
    Batch::new(sequences, pad, &Device::Cpu).unwrap()
}

pub(super) fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.detach().to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest absolute difference and where it is; panics on another shape or NaN.
pub(super) fn difference(got: &Tensor, expected: &Tensor) -> (f64, usize) {
    assert_eq!(got.dims(), expected.dims());
    let mut worst = (0.0, 0);
    for (i, (a, b)) in values(got).iter().zip(values(expected)).enumerate() {
        let d = (a - b).abs();
        assert!(!d.is_nan(), "NaN at {i}: {a} and {b}");
        if d > worst.0 {
            worst = (d, i);
        }
    }
    worst
}

/// Fails where any pair differs by more than `tolerance`, and names the worst.
pub(super) fn assert_close(pairs: &[(String, Tensor, Tensor)], tolerance: f64) {
    assert!(!pairs.is_empty(), "nothing was compared");
    let mut worst = (0.0, 0, "");
    for (name, got, expected) in pairs {
        let (d, at) = difference(got, expected);
        if d >= worst.0 {
            worst = (d, at, name);
        }
    }
    let (d, at, name) = worst;
    assert!(
        d <= tolerance,
        "worst tensor `{name}`: off by {d:e} at element {at}; allowed {tolerance:e}"
    );
}

/// Every family, GPT-NeoX in both forms.
pub(super) const FAMILIES: [Family; 4] = [
    Family::Olmo2,
    Family::Llama,
    Family::GptNeox(GptNeox {
        rotary_pct: 0.5,
        parallel_residual: true,
        gelu: Gelu::Exact,
    }),
    Family::GptNeox(GptNeox {
        rotary_pct: 1.0,
        parallel_residual: false,
        gelu: Gelu::Tanh,
    }),
];

/// A shape small enough for finite differences, with grouped key heads and heads
/// of another width where the family has them.
pub(super) fn tiny(family: Family, tied: bool) -> Config {
    let (num_attention_heads, num_key_value_heads, head_dim) = match family {
        Family::Olmo2 => (4, 2, 2),
        Family::Llama => (4, 2, 6),
        Family::GptNeox(_) => (2, 2, 4),
    };
    Config {
        family,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        intermediate_size: 10,
        vocab_size: 13,
        norm_eps: 1e-6,
        rope_theta: 100.0,
        tie_word_embeddings: tied,
        max_position_embeddings: 8,
        eos_token_id: None,
        pad_token_id: Some(0),
    }
}

/// A tiny model whose norm weights are moved away from 1 and biases from 0.
pub(super) fn tiny_model(family: Family, tied: bool) -> Model {
    let init = Init {
        embedding_std: 0.7,
        matrix_std: 0.3,
        head_std: 0.3,
    };
    let model = Model::init(tiny(family, tied), &init, Seed(5), &Device::Cpu).unwrap();
    for (name, var) in model.parameters() {
        if var.rank() == 1 {
            let mut stream = Seed(6).stream(name, &[]);
            let n = var.elem_count();
            let start = if name.strip_suffix(".bias").is_some() {
                0.0
            } else {
                1.0
            };
            let norm: Vec<f32> = (0..n)
                .map(|_| start + 0.3 * stream.normal() as f32)
                .collect();
            var.set(&Tensor::from_vec(norm, n, &Device::Cpu).unwrap())
                .unwrap();
        }
    }
    model
}
