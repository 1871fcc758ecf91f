//! The loop itself: exact zeros, resuming, evaluation, gradients of the whole
//! model against the plain formulation.
use candle_core::{DType, Device, Tensor};

use super::{
    Convention, GrpoOptions, Objective, Trainer, answer_logits,
    policy::label_probabilities,
    tests_gold::{open_model, open_task},
    train::linear_loss,
};
use crate::{
    lm::{Batch, Gradients, Model, Precision, log_prob, log_softmax},
    seed::Seed,
};

fn options() -> GrpoOptions {
    GrpoOptions {
        seed: Seed(3),
        learning_rate: 3e-4,
        num_generations: 6,
        prompts_per_update: 7,
        objective: Objective {
            epsilon_low: 0.2,
            epsilon_high: 0.2,
            beta: 0.04,
        },
        num_iterations: 2,
        max_grad_norm: 1.0,
        weight_decay: 0.0,
        moments: Precision::F32,
        temperature: 1.0,
        advantage: Convention::GroupNorm,
    }
}

fn trainer(dtype: DType, options: GrpoOptions) -> Trainer {
    Trainer::new(open_model(), dtype, open_task(), options).unwrap()
}

fn weights(model: &Model) -> Vec<Vec<f32>> {
    (model.parameters().values())
        .map(|var| {
            let wide = var.to_dtype(DType::F32).unwrap();
            wide.flatten_all().unwrap().to_vec1().unwrap()
        })
        .collect()
}

/// Rounding noise here would become an Adam step of up to the learning rate.
#[test]
fn groups_without_variance_move_nothing_in_the_first_step() {
    let mut trainer = trainer(
        DType::F32,
        GrpoOptions {
            num_iterations: 1,
            ..options()
        },
    );
    let before = weights(trainer.model());
    let wrong = vec![0; 3 * 6];
    let update = trainer.replay(&[4, 0, 9], &wrong).unwrap();
    assert_eq!(update.zero_variance_groups, 3);
    assert_eq!(
        (update.steps[0].grad_norm, update.steps[0].k3_mean),
        (0.0, 0.0)
    );
    assert_eq!(weights(trainer.model()), before);
    assert_eq!(trainer.updates(), 1);
}

/// The reference is computed in other batches than the policy's rows.
#[test]
fn the_cached_reference_is_the_starting_policy() {
    let mut trainer = trainer(DType::F32, options());
    let actions: Vec<u32> = (0..5 * 6).map(|i| 250 + i % 10).collect();
    let chosen = [7, 1, 11, 3, 5];
    let first = trainer.replay(&chosen, &actions).unwrap();
    assert_eq!(first.log_prob_old, first.log_prob_reference);
    let second = trainer.replay(&chosen, &actions).unwrap();
    for (a, b) in first.log_prob_old.iter().zip(&second.log_prob_reference) {
        assert!((a - b).abs() < 2e-6, "{a} {b}");
    }
    assert_ne!(second.log_prob_old, second.log_prob_reference);
}

#[test]
fn a_saved_state_goes_on_bit_for_bit() {
    for dtype in [DType::F32, DType::BF16] {
        let folder = tempfile::tempdir().unwrap();
        let mut straight = trainer(dtype, options());
        for _ in 0..2 {
            straight.update().unwrap();
        }
        straight.save(folder.path()).unwrap();
        let mut resumed =
            Trainer::load(folder.path(), &Device::Cpu, dtype, open_task(), options()).unwrap();
        assert_eq!(resumed.updates(), 2);
        for _ in 0..2 {
            assert_eq!(straight.update().unwrap(), resumed.update().unwrap());
        }
        assert_eq!(weights(straight.model()), weights(resumed.model()));
        assert_eq!(
            straight.expected_reward().unwrap(),
            resumed.expected_reward().unwrap()
        );
    }
}

#[test]
fn a_state_of_another_task_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    trainer(DType::F32, options()).save(folder.path()).unwrap();
    let mut task = open_task();
    task.train.pop();
    let fault = Trainer::load(folder.path(), &Device::Cpu, DType::F32, task, options());
    assert_eq!(
        fault.err().unwrap().to_string(),
        "the reference is [12, 264], not (11, 264)"
    );
}

/// Steps far below bf16's resolution add up in f32.
#[test]
fn coarse_weights_still_learn() {
    let mut trainer = trainer(
        DType::BF16,
        GrpoOptions {
            learning_rate: 5e-5,
            prompts_per_update: 12,
            ..options()
        },
    );
    let before = trainer.expected_reward().unwrap();
    for _ in 0..12 {
        trainer.update().unwrap();
    }
    let after = trainer.expected_reward().unwrap();
    assert!(after > before + 0.01, "{before} {after}");
}

#[test]
fn rewards_rise() {
    for advantage in [
        Convention::GroupNorm,
        Convention::GroupNormPop,
        Convention::MeanOnly,
        Convention::Rloo,
        Convention::None,
    ] {
        let mut trainer = trainer(
            DType::F32,
            GrpoOptions {
                advantage,
                ..options()
            },
        );
        let before = trainer.expected_reward().unwrap();
        for _ in 0..12 {
            trainer.update().unwrap();
        }
        let after = trainer.expected_reward().unwrap();
        assert!(after > before + 0.1, "{advantage:?}: {before} {after}");
    }
}

#[test]
fn evaluation_does_not_depend_on_company() {
    let (model, task) = (open_model().without_gradients().unwrap(), open_task());
    let together = label_probabilities(&model, &task.eval, task.pad).unwrap();
    assert_eq!(
        together,
        label_probabilities(&model, &task.eval, task.pad).unwrap()
    );
    for (prompt, p_y) in task.eval.iter().zip(&together) {
        let alone = label_probabilities(&model, std::slice::from_ref(prompt), task.pad).unwrap();
        assert!((alone[0] - p_y).abs() < 3e-6 * p_y, "{alone:?} {p_y}");
    }
}

/// The temperature belongs to the policy: to draws, ratios and k3 alike.
#[test]
fn the_temperature_scales_log_probabilities() {
    let policy = |temperature| {
        let mut trainer = trainer(
            DType::F32,
            GrpoOptions {
                temperature,
                ..options()
            },
        );
        trainer.replay(&[2], &[0, 1, 2, 3, 4, 5]).unwrap()
    };
    let (one, two) = (policy(1.0).log_prob_old, policy(2.0).log_prob_old);
    for i in 1..6 {
        let (plain, halved) = (one[i] - one[0], two[i] - two[0]);
        assert!((plain / 2.0 - halved).abs() < 1e-5, "{plain} {halved}");
    }
}

/// Gradients by all parameters against autograd of eq. 1 as it is written.
#[test]
fn parameter_gradients_are_those_of_the_plain_formulation() {
    let model = open_model().to_dtype(DType::F64).unwrap();
    let task = open_task();
    let ids: Vec<&[u32]> = task.train.iter().map(|p| p.ids.as_slice()).collect();
    let batch = Batch::new(&ids, task.pad, &Device::Cpu).unwrap();
    let actions: Vec<u32> = (0..12 * 6).map(|i| 252 + (i * i) % 9).collect();
    let tokens = Tensor::from_vec(actions, (12, 6), &Device::Cpu).unwrap();
    let mut stream = Seed(8).stream("test", &[]);
    let mut draw = |scale: f64| -> Vec<f64> { (0..72).map(|_| stream.normal() * scale).collect() };
    let logits = || answer_logits(&model, &batch, 1.5).unwrap();
    let new = log_prob(&logits(), &tokens).unwrap();
    let host: Vec<f64> = new.flatten_all().unwrap().to_vec1().unwrap();
    let near =
        |noise: Vec<f64>| -> Vec<f64> { host.iter().zip(noise).map(|(a, b)| a + b).collect() };
    let (old, reference, advantages) = (near(draw(0.3)), near(draw(0.3)), draw(1.0));

    let objective = options().objective;
    let evaluated = objective
        .evaluate(&host, &old, &reference, &advantages)
        .unwrap();
    let linear = linear_loss(&new, &evaluated.coefficients).unwrap();
    let got = Gradients::of(&linear, model.parameters()).unwrap();

    let tensor = |values: Vec<f64>| Tensor::from_vec(values, (12, 6), &Device::Cpu).unwrap();
    let plain = log_softmax(&logits()).unwrap().gather(&tokens, 1).unwrap();
    let rho = (&plain - tensor(old)).unwrap().exp().unwrap();
    let advantages = tensor(advantages);
    let clipped = (rho.clamp(0.8, 1.2).unwrap() * &advantages).unwrap();
    let surrogate = (rho * advantages).unwrap().minimum(&clipped).unwrap();
    let d = (tensor(reference) - &plain).unwrap();
    let k3 = ((d.exp().unwrap() - d).unwrap() - 1.0).unwrap();
    let loss = (((k3 * 0.04).unwrap() - surrogate).unwrap())
        .mean_all()
        .unwrap();
    let value: f64 = loss.to_scalar().unwrap();
    assert!((value - evaluated.loss).abs() < 1e-12, "{value}");
    let expected = Gradients::of(&loss, model.parameters()).unwrap();
    let mut worst = (0.0, "");
    for (name, expected) in expected.iter() {
        let difference = (got.get(name).unwrap() - expected).unwrap().abs().unwrap();
        let difference: f64 = difference.max_all().unwrap().to_scalar().unwrap();
        if difference > worst.0 {
            worst = (difference, name);
        }
    }
    assert!(worst.0 < 1e-12, "worst `{}`: {:e}", worst.1, worst.0);
    assert!(evaluated.clip_fraction > 0.1);
}
