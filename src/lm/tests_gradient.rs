//! Every gradient of a tiny random model against central differences in f64.
use candle_core::{DType, Tensor, Var};

use super::{
    Family, Gradients, Model, Observe, next_token_loss,
    tests_compare::{FAMILIES, assert_close, batch, tiny_model, values},
};

/// Central differences of step 1e-5 in f64: truncation and rounding both near 1e-9.
const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-7;

fn wide(model: &Model) -> Model {
    model.to_dtype(DType::F64).unwrap()
}

fn sequences() -> [Vec<u32>; 3] {
    [vec![1, 2, 3, 4, 5, 6], vec![7, 2, 12], vec![9, 9, 1, 4]]
}

/// (f(x + h e_i) - f(x - h e_i)) / 2h for every element i of a variable.
fn central(var: &Var, f: impl Fn() -> f64) -> Tensor {
    let start = values(var);
    let set = |values: Vec<f64>| {
        let tensor = Tensor::from_vec(values, var.shape(), var.device()).unwrap();
        var.set(&tensor).unwrap();
    };
    let mut out = Vec::new();
    for i in 0..start.len() {
        let at = |shift: f64| {
            let mut moved = start.clone();
            moved[i] += shift;
            set(moved);
            f()
        };
        out.push((at(STEP) - at(-STEP)) / (2.0 * STEP));
    }
    set(start);
    Tensor::from_vec(out, var.shape(), var.device()).unwrap()
}

fn all_parameters(family: Family, tied: bool) {
    let model = wide(&tiny_model(family, tied));
    let batch = batch(&sequences(), 0);
    let loss = || next_token_loss(&model, &batch).unwrap();
    let gradients = Gradients::of(&loss(), model.parameters()).unwrap();
    let pairs: Vec<_> = (model.parameters().iter())
        .map(|(name, var)| {
            let numeric = central(var, || loss().to_scalar().unwrap());
            (name.clone(), gradients.get(name).unwrap().clone(), numeric)
        })
        .collect();
    let whole = match family {
        Family::Olmo2 => 25,
        Family::Llama => 21,
        Family::GptNeox(_) => 28,
    };
    assert_eq!(pairs.len(), if tied { whole - 1 } else { whole });
    assert_close(&pairs, TOLERANCE);
}

#[test]
fn parameters_with_an_own_head() {
    for family in FAMILIES {
        all_parameters(family, false);
    }
}

#[test]
fn parameters_with_a_tied_head() {
    for family in FAMILIES {
        all_parameters(family, true);
    }
}

/// The taps, against differences of the embeddings and of an added constant.
#[test]
fn hidden_states() {
    for family in FAMILIES {
        hidden_states_of(family);
    }
}

fn hidden_states_of(family: Family) {
    let model = wide(&tiny_model(family, false));
    let batch = batch(&sequences(), 0);
    let embeddings = Var::from_tensor(&model.embed(&batch).unwrap().detach()).unwrap();
    let objective = |post: &Tensor| post.sqr().unwrap().sum_all().unwrap();
    let observe = Observe::gradients(&[0, 1, 2]);
    let forward = model.forward_from(&embeddings, &observe).unwrap();
    objective(&forward.post).backward().unwrap();
    let numeric = central(&embeddings, || {
        let forward = model.forward_from(&embeddings, &Observe::default());
        objective(&forward.unwrap().post).to_scalar().unwrap()
    });
    let last = Var::from_tensor(&forward.state(2).unwrap().detach()).unwrap();
    let by_last = central(&last, || {
        objective(&model.final_norm(&last).unwrap())
            .to_scalar()
            .unwrap()
    });
    let post = (forward.post.detach() * 2.0).unwrap();
    assert_close(
        &[
            ("h0".to_owned(), forward.gradient(0).unwrap(), numeric),
            ("h2".to_owned(), forward.gradient(2).unwrap(), by_last),
            ("post".to_owned(), forward.gradient_post().unwrap(), post),
        ],
        TOLERANCE,
    );
    // h1 by the chain rule through block 2 is held by the gold costates
    assert!(forward.gradient(1).is_ok());
}

#[test]
fn faults_name_the_tensor() {
    let model = tiny_model(Family::Olmo2, false);
    let batch = batch(&sequences(), 0);
    let forward = model.forward(&batch, &Observe::gradients(&[1])).unwrap();
    let fault = |result: anyhow::Result<Tensor>| result.unwrap_err().to_string();
    assert_eq!(fault(forward.gradient(1)), "no gradient reached `h1`");
    assert_eq!(fault(forward.gradient_post()), "no gradient reached `post`");
    assert_eq!(
        fault(forward.gradient(0)),
        "the gradient of h0 was not asked for"
    );
    assert_eq!(fault(forward.state(2).cloned()), "h2 was not observed");
    let far = model.forward(&batch, &Observe::states(&[3])).err().unwrap();
    assert_eq!(far.to_string(), "h3 was asked for; the model has h0 to h2");
    let frozen = model.detached_copy().unwrap();
    let loss = next_token_loss(&frozen, &batch).unwrap();
    let fault = Gradients::of(&loss, frozen.parameters()).err().unwrap();
    assert_eq!(fault.to_string(), "no gradient reached `lm_head.weight`");
}

/// Weights that are shared and weights that are copied.
#[test]
fn copies_and_snapshots() {
    let model = tiny_model(Family::Olmo2, false);
    let batch = batch(&sequences(), 0);
    let loss =
        |model: &Model| -> f32 { next_token_loss(model, &batch).unwrap().to_scalar().unwrap() };
    let (copied, shared) = (
        model.detached_copy().unwrap(),
        model.without_gradients().unwrap(),
    );
    let snapshot = model.snapshot().unwrap();
    let before = loss(&model);
    let head = &model.parameters()["lm_head.weight"];
    head.set(&head.zeros_like().unwrap()).unwrap();
    let after = loss(&model);
    assert!((after - 13f32.ln()).abs() < 1e-5 && after != before);
    assert_eq!((loss(&shared), loss(&copied)), (after, before));
    model.restore(&snapshot).unwrap();
    assert_eq!(loss(&model), before);
}
