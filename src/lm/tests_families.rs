//! Llama and GPT-NeoX against gold data made by transformers (each family's
//! `make.py`): tied and own head, grouped key heads and heads wider than D / H,
//! parallel and sequential residual, both forms of GELU, two ages of `config.json`.
use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::{
    Batch, Files, Gradients, Model, Observe, Sequence, costates, last_positions, log_prob,
    next_token_loss,
    tests_compare::{assert_close, batch, fixture, values},
};

const FOLDERS: [&str; 4] = [
    "llama/tied",
    "llama/untied",
    "gpt_neox/parallel",
    "gpt_neox/sequential",
];

/// Float32 rounding over three blocks; the reference is float64. As for OLMo 2.
const HIDDEN: f64 = 2e-5;
const COSTATE: f64 = 1e-5;
const PARAMETER: f64 = 5e-6;

fn model(folder: &str, dtype: DType) -> Model {
    let files = Files::of_folder(&fixture(folder)).unwrap();
    Model::load(&files, &Device::Cpu, dtype).unwrap()
}

fn gold(folder: &str) -> HashMap<String, Tensor> {
    let path = fixture(folder).join("gold.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn sequences(folder: &str) -> (Vec<Vec<u32>>, u32) {
    let text = std::fs::read_to_string(fixture(folder).join("batch.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sequences = serde_json::from_value(value["sequences"].clone()).unwrap();
    (sequences, value["pad"].as_u64().unwrap() as u32)
}

fn gold_batch(folder: &str) -> Batch {
    let (sequences, pad) = sequences(folder);
    batch(&sequences, pad)
}

type Pairs = Vec<(String, Tensor, Tensor)>;

/// Rows of a batched tensor that hold real positions, beside the gold ones.
fn add(pairs: &mut Pairs, gold: &HashMap<String, Tensor>, batch: &Batch, name: &str, got: &Tensor) {
    for (b, n) in batch.lengths().into_iter().enumerate() {
        let name = format!("s{b}.{name}");
        let got = got.get(b).unwrap().narrow(0, 0, n).unwrap();
        pairs.push((name.clone(), got, gold[&name].clone()));
    }
}

/// One pass forward and backward: every state, every gradient.
fn against_gold(folder: &str, dtype: DType, [hidden, costate, parameter]: [f64; 3]) {
    let (model, gold, batch) = (model(folder, dtype), gold(folder), gold_batch(folder));
    let forward = model
        .forward(&batch, &Observe::gradients(&[0, 1, 2, 3]))
        .unwrap();
    let logits = model.head(&forward.post).unwrap();
    let (positions, targets) = batch.next_tokens();
    let n = targets.len();
    let positions = Tensor::from_vec(positions, n, &Device::Cpu).unwrap();
    let targets = Tensor::from_vec(targets, (n, 1), &Device::Cpu).unwrap();
    let rows = logits
        .flatten_to(1)
        .unwrap()
        .index_select(&positions, 0)
        .unwrap();
    let mean = log_prob(&rows, &targets).unwrap().mean_all().unwrap();
    let loss = (mean * -1.0).unwrap();
    let gradients = Gradients::of(&loss, model.parameters()).unwrap();

    let (mut states, mut costates) = (Pairs::new(), Pairs::new());
    for l in 0..=3 {
        let state = forward.state(l).unwrap();
        add(&mut states, &gold, &batch, &format!("h{l}"), state);
        let gradient = forward.gradient(l).unwrap();
        add(
            &mut costates,
            &gold,
            &batch,
            &format!("grad_h{l}"),
            &gradient,
        );
    }
    add(&mut states, &gold, &batch, "post", &forward.post);
    add(&mut states, &gold, &batch, "logits", &logits);
    let gradient = forward.gradient_post().unwrap();
    add(&mut costates, &gold, &batch, "grad_post", &gradient);
    let loss = loss.reshape(1).unwrap();
    states.push(("loss".to_owned(), loss, gold["loss"].clone()));
    let parameters: Pairs = (gradients.iter())
        .map(|(name, got)| {
            (
                name.to_owned(),
                got.clone(),
                gold[&format!("grad.{name}")].clone(),
            )
        })
        .collect();
    assert_eq!((states.len(), costates.len()), (25, 20));
    // gold data says how many parameters there are
    let expected = gold.keys().filter(|name| name.starts_with("grad."));
    assert_eq!(parameters.len(), expected.count());
    assert_close(&states, hidden);
    assert_close(&costates, costate);
    assert_close(&parameters, parameter);
}

#[test]
fn states_and_gradients_are_those_of_transformers() {
    for folder in FOLDERS {
        against_gold(folder, DType::F32, [HIDDEN, COSTATE, PARAMETER]);
        // what is left is the gold data's own rounding to float32
        against_gold(folder, DType::F64, [1e-6, 2e-7, 2e-7]);
    }
}

/// The loss as a costate objective: a first token as prompt, the rest as
/// completion, each log-probability weighted -1 / N.
#[test]
fn costates_are_those_of_transformers() {
    for folder in FOLDERS {
        let (model, gold) = (model(folder, DType::F32), gold(folder));
        let (sequences, pad) = sequences(folder);
        let n: usize = sequences.iter().map(|s| s.len() - 1).sum();
        let sequences: Vec<Sequence> = (sequences.iter())
            .map(|s| Sequence {
                prompt: vec![s[0]],
                completion: s[1..].to_vec(),
                weights: vec![-1.0 / n as f64; s.len() - 1],
            })
            .collect();
        let mut pairs = Pairs::new();
        let got = costates(&model, &sequences, &[0, 1, 2, 3], pad).unwrap();
        for (b, got) in got.into_iter().enumerate() {
            let n = got.log_prob.len();
            let mut compare = |name: &str, first: usize, got: Tensor| {
                let name = format!("s{b}.grad_{name}");
                let expected = gold[&name].narrow(0, first, n).unwrap();
                pairs.push((name, got, expected));
            };
            for (l, hidden) in got.hidden {
                compare(&format!("h{l}"), 0, hidden);
            }
            compare("post", 0, got.post);
            compare("h0", 1, got.embedding);
        }
        assert_eq!(pairs.len(), 4 * 6);
        assert_close(&pairs, COSTATE);
    }
}

#[test]
fn padding_and_leaving_out_other_positions_change_nothing() {
    for folder in FOLDERS {
        let (model, batched) = (model(folder, DType::F32), gold_batch(folder));
        let post = model.forward(&batched, &Observe::default()).unwrap().post;
        let last = last_positions(&post, &batched).unwrap();
        let only = model.forward_last(&batched).unwrap();
        let mut pairs = vec![("forward_last".to_owned(), only, last.clone())];
        let (sequences, pad) = sequences(folder);
        for (b, ids) in sequences.into_iter().enumerate() {
            let alone = model.forward_last(&batch(&[ids], pad)).unwrap();
            let alone = alone.get(0).unwrap();
            pairs.push((format!("s{b}"), last.get(b).unwrap(), alone));
        }
        assert_close(&pairs, 5e-6);
    }
}

/// Half precision takes the path of other devices, out of primitives: the whole
/// model, and a gradient for every parameter.
#[test]
fn the_path_of_primitives() {
    for folder in FOLDERS {
        let (gold, batch) = (gold(folder), gold_batch(folder));
        let largest = values(&gold["s0.logits"]).into_iter().fold(0.0, f64::max);
        // bf16 keeps 8 bits, f16 11; a logit is a sum of 32 products
        for (dtype, tolerance) in [(DType::F16, 1e-2), (DType::BF16, 8e-2)] {
            let model = model(folder, dtype);
            let forward = model.forward(&batch, &Observe::gradients(&[1])).unwrap();
            let logits = model.head(&forward.post).unwrap();
            let mut pairs = Pairs::new();
            add(&mut pairs, &gold, &batch, "logits", &logits);
            assert_close(&pairs, tolerance * largest);
            let loss = next_token_loss(&model, &batch).unwrap();
            assert!(Gradients::of(&loss, model.parameters()).is_ok());
            logits.sum_all().unwrap().backward().unwrap();
            assert_eq!(forward.gradient(1).unwrap().dtype(), dtype);
        }
    }
}

/// Limits on length and vocabulary are those of every family.
#[test]
fn what_does_not_fit_the_model_is_refused() {
    for folder in FOLDERS {
        let model = model(folder, DType::F32);
        let fault = |ids: Vec<u32>| {
            let forward = model.forward(&batch(&[ids], 0), &Observe::default());
            forward.err().unwrap().to_string()
        };
        assert_eq!(
            fault(vec![264]),
            "token 264 in sequence 0; the model's vocabulary is 264"
        );
        assert_eq!(
            fault(vec![1; 65]),
            "a sequence of 65 tokens; the model has 64 positions"
        );
    }
}
