//! The model against gold data from an independent float64 PyTorch reference,
//! and against candle-transformers' own OLMo 2.
use candle_core::{DType, Device, Tensor, Var};
use candle_transformers::models::olmo2;

use super::{
    Batch, Gradients, Observe, Sequence, costates, last_positions, log_prob,
    tests_compare::{assert_close, batch, gold, open_folder, open_model, prompts},
};

/// Float32 rounding over three blocks; the reference is float64.
const HIDDEN: f64 = 2e-5;
const COSTATE: f64 = 1e-5;
const PAD: u32 = 261;

fn all_prompts() -> Batch {
    let ids: Vec<Vec<u32>> = prompts().into_iter().map(|(_, ids, _)| ids).collect();
    batch(&ids, PAD)
}

#[test]
fn hidden_states_and_logits() {
    let model = open_model(DType::F32);
    let gold = gold("forward.safetensors");
    let batch = all_prompts();
    let forward = model
        .forward(&batch, &Observe::states(&[0, 1, 2, 3]))
        .unwrap();
    let logits = model.head(&forward.post).unwrap();
    let mut pairs = Vec::new();
    for (b, (id, ids, _)) in prompts().iter().enumerate() {
        let mut compare = |name: String, batched: &Tensor| {
            let got = batched.get(b).unwrap().narrow(0, 0, ids.len()).unwrap();
            let name = format!("{id}.{name}");
            pairs.push((name.clone(), got, gold[&name].clone()));
        };
        for l in 0..=3 {
            compare(format!("h{l}"), forward.state(l).unwrap());
        }
        compare("post".to_owned(), &forward.post);
        compare("logits".to_owned(), &logits);
    }
    assert_eq!(pairs.len(), 72);
    assert_close(&pairs, HIDDEN);
}

#[test]
fn padding_and_leaving_out_other_positions_change_nothing() {
    let model = open_model(DType::F32);
    let batched = all_prompts();
    let together = model.forward(&batched, &Observe::default()).unwrap();
    let last = last_positions(&together.post, &batched).unwrap();
    let mut pairs = Vec::new();
    for (b, (id, ids, _)) in prompts().into_iter().enumerate() {
        let alone = batch(&[ids], PAD);
        let post = model.forward(&alone, &Observe::default()).unwrap().post;
        let alone = last_positions(&post, &alone).unwrap().get(0).unwrap();
        pairs.push((id, last.get(b).unwrap(), alone));
    }
    let only = model.forward_last(&batched).unwrap();
    pairs.push(("forward_last".to_owned(), only, last));
    assert_close(&pairs, 1e-6);
}

/// dR/dh for R = p_y, after and before the final norm.
#[test]
fn value_gradients_of_the_label_task() {
    let model = open_model(DType::F32);
    let gold = gold("one_token.safetensors");
    let batch = all_prompts();
    let forward = model.forward(&batch, &Observe::gradients(&[3])).unwrap();
    let last = last_positions(&forward.post, &batch).unwrap();
    let labels: Vec<u32> = prompts().iter().map(|(_, _, label)| *label).collect();
    let n = labels.len();
    let labels = Tensor::from_vec(labels, (n, 1), &Device::Cpu).unwrap();
    let p_y = log_prob(&model.head(&last).unwrap(), &labels)
        .unwrap()
        .exp()
        .unwrap();
    p_y.sum_all().unwrap().backward().unwrap();
    let post = last_positions(&forward.gradient_post().unwrap(), &batch).unwrap();
    let pre = last_positions(&forward.gradient(3).unwrap(), &batch).unwrap();
    let pair = |name: &str, got: Tensor| (name.to_owned(), got, gold[name].clone());
    assert_close(&[pair("final_post", last)], HIDDEN);
    assert_close(
        &[
            pair("p_y_full", p_y.flatten_all().unwrap()),
            pair("G_post_full", post),
            pair("G_pre_full", pre),
        ],
        COSTATE,
    );
}

/// lambda_hat(a) = A s(a) for every recorded action, all of a prompt at once.
#[test]
fn scores_of_many_actions_share_a_forward_pass() {
    let model = open_model(DType::F32).without_gradients().unwrap();
    let gold = gold("one_token.safetensors");
    let batch = all_prompts();
    let actions = gold["actions"].to_dtype(DType::U32).unwrap();
    let forward = model.forward(&batch, &Observe::default()).unwrap();
    let last = last_positions(&forward.post, &batch).unwrap();
    let mut pairs = Vec::new();
    for i in 0..8 {
        let last = Var::from_tensor(&last.detach()).unwrap();
        let logits = model.head(&last).unwrap();
        let score = log_prob(&logits, &actions)
            .unwrap()
            .narrow(1, i, 1)
            .unwrap();
        let store = score.sum_all().unwrap().backward().unwrap();
        let got = store.get(&last).unwrap().clone();
        let expected = gold["score_post_full"].narrow(1, i, 1).unwrap();
        let expected = expected.squeeze(1).unwrap();
        pairs.push((format!("score_post_full[{i}]"), got, expected));
    }
    assert_close(&pairs, COSTATE);
}

#[test]
fn costates_of_completions() {
    let model = open_model(DType::F32);
    let gold = gold("multi_token.safetensors");
    let text = std::fs::read_to_string(open_folder().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let items = expected["multi_token"]["items"].as_array().unwrap();
    let prompts = prompts();
    let sequences: Vec<Sequence> = (items.iter())
        .map(|item| {
            let prompt = prompts.iter().find(|(id, _, _)| item["prompt"] == **id);
            Sequence {
                prompt: prompt.unwrap().1.clone(),
                completion: serde_json::from_value(item["completion"].clone()).unwrap(),
                weights: serde_json::from_value(item["adv"].clone()).unwrap(),
            }
        })
        .collect();
    let got = costates(&model, &sequences, &[0, 1, 2, 3], PAD).unwrap();
    let mut pairs = Vec::new();
    for (j, costates) in got.into_iter().enumerate() {
        let mut compare = |name: String, got: Tensor| {
            let name = format!("mt{j}.{name}");
            let expected = gold[&name].clone();
            pairs.push((name, got, expected));
        };
        for (l, got) in costates.hidden {
            compare(format!("costate_l{l}"), got);
        }
        compare("costate_post".to_owned(), costates.post);
        let log_prob = costates.log_prob;
        let n = log_prob.len();
        compare(
            "logp".to_owned(),
            Tensor::from_vec(log_prob, n, &Device::Cpu).unwrap(),
        );
        for t in 0..n - 1 {
            compare(
                format!("t{t}.grad_embed"),
                costates.embedding.get(t).unwrap(),
            );
        }
        let last = costates.embedding.get(n - 1).unwrap();
        assert_eq!(last.to_vec1::<f32>().unwrap(), vec![0.0; 64]);
    }
    assert_eq!(pairs.len(), 3 * (4 + 1 + 1 + 4));
    assert_close(&pairs, COSTATE);
}

#[test]
fn candle_transformers_agrees_on_last_logits() {
    let model = open_model(DType::F32);
    let text = std::fs::read_to_string(open_folder().join("config.json")).unwrap();
    let config: olmo2::Config = serde_json::from_str(&text).unwrap();
    let tensors = gold("model.safetensors");
    let builder = candle_nn::VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let mut other = olmo2::Model::new(&config, builder).unwrap();
    let mut pairs = Vec::new();
    for (id, ids, _) in prompts() {
        let batch = batch(&[ids], PAD);
        let post = model.forward(&batch, &Observe::default()).unwrap().post;
        let got = model.head(&last_positions(&post, &batch).unwrap()).unwrap();
        other.clear_kv_cache();
        let expected = other.forward(batch.ids(), 0).unwrap();
        pairs.push((id, got, expected.squeeze(0).unwrap()));
    }
    assert_close(&pairs, HIDDEN);
}

/// The fused kernels in f32 against the same kernels in f64, over all parameters.
#[test]
fn parameter_gradients_are_the_float64_ones() {
    let batch = all_prompts();
    let gradients = |dtype| {
        let model = open_model(dtype);
        let loss = super::next_token_loss(&model, &batch).unwrap();
        Gradients::of(&loss, model.parameters()).unwrap()
    };
    let (narrow, wide) = (gradients(DType::F32), gradients(DType::F64));
    let pairs: Vec<_> = (narrow.iter())
        .map(|(name, got)| {
            (
                name.to_owned(),
                got.clone(),
                wide.get(name).unwrap().clone(),
            )
        })
        .collect();
    assert_eq!(pairs.len(), 36);
    assert_close(&pairs, 2e-6);
}

/// Only what the last positions need is computed; the gradients stay whole.
#[test]
fn the_short_pass_has_the_gradients_of_the_long_one() {
    let model = open_model(DType::F64);
    let batch = all_prompts();
    let gradients = |last: Tensor| {
        let loss = model
            .head(&last)
            .unwrap()
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap();
        Gradients::of(&loss, model.parameters()).unwrap()
    };
    let post = model.forward(&batch, &Observe::default()).unwrap().post;
    let long = gradients(last_positions(&post, &batch).unwrap());
    let short = gradients(model.forward_last(&batch).unwrap());
    let pairs: Vec<_> = (short.iter())
        .map(|(name, got)| {
            (
                name.to_owned(),
                got.clone(),
                long.get(name).unwrap().clone(),
            )
        })
        .collect();
    assert_close(&pairs, 1e-12);
}

/// Half precision takes the path of other devices, out of primitives: the whole
/// model, and a gradient for every parameter.
#[test]
fn the_path_of_primitives() {
    let gold = gold("forward.safetensors");
    let (id, ids, _) = prompts().swap_remove(0);
    let batch = batch(&[ids], PAD);
    // the largest logit is near 10; bf16 keeps 8 bits, f16 11
    for (dtype, tolerance) in [(DType::F16, 0.02), (DType::BF16, 0.2)] {
        let model = open_model(dtype);
        let forward = model.forward(&batch, &Observe::gradients(&[1])).unwrap();
        let logits = model.head(&forward.post).unwrap();
        let expected = gold[&format!("{id}.logits")].clone();
        let got = logits.squeeze(0).unwrap();
        assert_close(&[(format!("{dtype:?} logits"), got, expected)], tolerance);
        let loss = super::next_token_loss(&model, &batch).unwrap();
        assert!(Gradients::of(&loss, model.parameters()).is_ok());
        logits.sum_all().unwrap().backward().unwrap();
        assert_eq!(forward.gradient(1).unwrap().dtype(), dtype);
    }
}
