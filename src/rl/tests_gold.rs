//! The GRPO loop against gold data: whole runs in float64 PyTorch with recorded
//! actions, and TRL's loss with its gradients. Tolerances are the fixtures' own;
//! where one is not, its reason stands beside it.
use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::{Convention, GrpoOptions, Objective, PromptText, Task, Trainer, Update};
use crate::{
    lm::{Config, Files, Model, Precision, Tokenizer},
    seed::Seed,
};

fn open(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/open")
        .join(file)
}

fn open_files() -> Files {
    Files::of_folder(&open("")).unwrap()
}

pub(super) fn open_tokenizer() -> Tokenizer {
    Tokenizer::load(&open_files()).unwrap()
}

pub(super) fn open_config() -> Config {
    Config::parse(&std::fs::read_to_string(open("config.json")).unwrap()).unwrap()
}

pub(super) fn open_model() -> Model {
    open_model_in(DType::F32)
}

fn open_model_in(dtype: DType) -> Model {
    Model::load(&open_files(), &Device::Cpu, dtype).unwrap()
}

fn json(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(open(file)).unwrap()).unwrap()
}

fn tensors(file: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(open(file), &Device::Cpu).unwrap()
}

/// All prompts of the fixture, to learn from and to be judged on.
pub(super) fn open_task() -> Task {
    let text = std::fs::read_to_string(open("prompts.jsonl")).unwrap();
    let prompts: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts: Vec<PromptText<'_>> = (prompts.iter().enumerate())
        .map(|(i, prompt)| PromptText {
            id: i as u64,
            text: prompt["text"].as_str().unwrap(),
            label: prompt["label_text"].as_str().unwrap(),
        })
        .collect();
    let mut task = Task::new(&texts, &[], &open_tokenizer(), &open_config()).unwrap();
    task.eval = task.train.clone();
    task
}

/// What was compared: name, difference, allowed.
#[derive(Default)]
struct Compared(Vec<(String, f64, f64)>);

impl Compared {
    fn near(&mut self, name: impl Into<String>, got: f64, expected: &Value, allowed: f64) {
        let expected = expected.as_f64().unwrap();
        self.0.push((name.into(), (got - expected).abs(), allowed));
    }

    fn below(&mut self, name: impl Into<String>, value: f64, allowed: f64) {
        self.0.push((name.into(), value, allowed));
    }

    fn check(&self, at_least: usize) {
        assert!(self.0.len() >= at_least, "compared {}", self.0.len());
        let badness = |difference: f64, allowed: f64| match difference <= allowed {
            true => difference / allowed.max(f64::MIN_POSITIVE),
            false if difference.is_nan() => f64::INFINITY,
            false => (difference / allowed.max(1e-300)).max(1.0 + 1e-9),
        };
        let worst = (self.0.iter())
            .max_by(|a, b| badness(a.1, a.2).total_cmp(&badness(b.1, b.2)))
            .unwrap();
        let failed = self.0.iter().filter(|c| badness(c.1, c.2) > 1.0).count();
        assert!(
            failed == 0,
            "{failed} of {} differ; worst `{}`: off by {:e}, allowed {:e}",
            self.0.len(),
            worst.0,
            worst.1,
            worst.2
        );
    }
}

/// How far parameters may be from the float64 ones: median, 99.9th percentile, largest.
struct Spread {
    median: f64,
    p999: f64,
    max: f64,
}

fn compare_parameters(
    compared: &mut Compared,
    prefix: &str,
    model: &Model,
    gold: &HashMap<String, Tensor>,
    spread: &Spread,
) {
    let mut all = Vec::new();
    for (name, expected) in gold {
        let Some(name) = name.strip_prefix(prefix) else {
            continue;
        };
        let got = model.parameters()[name].as_detached_tensor();
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
        let difference = (wide(&got) - wide(expected)).unwrap().abs().unwrap();
        let difference: Vec<f64> = difference.flatten_all().unwrap().to_vec1().unwrap();
        let max = difference.iter().fold(0f64, |a, &b| a.max(b));
        compared.below(format!("{prefix}{name} max"), max, spread.max);
        all.extend(difference);
    }
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    compared.below(format!("{prefix} median"), at(0.5), spread.median);
    compared.below(format!("{prefix} 99.9 %"), at(0.999), spread.p999);
}

fn compare_steps(compared: &mut Compared, at: &str, update: &Update, expected: &Value, loss: f64) {
    let expected = expected.as_array().unwrap();
    assert_eq!(update.steps.len(), expected.len(), "{at}");
    for (i, (step, expected)) in update.steps.iter().zip(expected).enumerate() {
        let mut near = |field: &str, got: f64, allowed: f64| {
            compared.near(format!("{at}.{i}.{field}"), got, &expected[field], allowed);
        };
        let k3 = expected["k3_mean"].as_f64().unwrap();
        near("loss", step.loss, loss);
        near("clip_fraction", step.clip_fraction, 1e-12);
        let norm = expected["grad_norm"].as_f64().unwrap();
        near("grad_norm", step.grad_norm, 1e-3 * norm);
        near("k3_mean", step.k3_mean, 1e-3 * k3 + 1e-6);
        for (field, got) in [("ratio_min", step.ratio_min), ("ratio_max", step.ratio_max)] {
            near(field, got, 1e-3 * expected[field].as_f64().unwrap());
        }
        if expected.get("outside_fraction").is_some() {
            near("outside_fraction", step.outside_fraction, 1e-12);
        }
    }
}

fn options(hyper: &Value) -> GrpoOptions {
    let number = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| hyper.get(*name));
        found.and_then(Value::as_f64)
    };
    let epsilon = number(["epsilon", "clip_eps"]).unwrap();
    GrpoOptions {
        seed: Seed(0),
        learning_rate: number(["learning_rate", "lr"]).unwrap(),
        num_generations: 8,
        prompts_per_update: 12,
        objective: Objective {
            epsilon_low: epsilon,
            epsilon_high: epsilon,
            beta: hyper["beta"].as_f64().unwrap(),
        },
        num_iterations: number(["num_iterations", "inner_epochs"]).unwrap() as usize,
        max_grad_norm: number(["max_grad_norm", ""]).unwrap_or(0.0),
        weight_decay: hyper["weight_decay"].as_f64().unwrap(),
        moments: Precision::F32,
        temperature: 1.0,
        advantage: match hyper["std"].as_str().unwrap() {
            "sample" => Convention::GroupNorm,
            _ => Convention::GroupNormPop,
        },
    }
}

/// Replays recorded actions [U, N, n] and calls `each` after every update.
fn replay(
    dtype: DType,
    hyper: &Value,
    actions: &Tensor,
    mut each: impl FnMut(usize, &Update, &Trainer),
) -> Trainer {
    let task = open_task();
    let everyone: Vec<usize> = (0..task.train.len()).collect();
    let mut trainer = Trainer::new(open_model_in(dtype), dtype, task, options(hyper)).unwrap();
    for u in 0..actions.dim(0).unwrap() {
        let actions = actions.get(u).unwrap().flatten_all().unwrap();
        let actions = actions.to_dtype(DType::U32).unwrap();
        let actions: Vec<u32> = actions.to_vec1().unwrap();
        let update = trainer.replay(&everyone, &actions).unwrap();
        each(u, &update, &trainer);
    }
    trainer
}

/// How far a loss may be off after passes in `dtype`.
///
/// In f64 the fixtures' 1e-5 holds with room: the worst of runs a and b is 6.3e-7,
/// left by the optimizer's moments, which are f32. In f32 run a misses it in 2 of
/// 20 steps, by 1.49e-5 at most, where the mean of k3 is 6.7: the sum over actions
/// is f64 either way, but exp(d) in k3 multiplies the rounding of log-probabilities
/// and weights. PyTorch's own f32 run is off by 5.4e-5 in its weights.
fn loss_tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 2e-6,
        _ => 3e-5,
    }
}

fn ten_updates(run: &str, dtype: DType, compared_at_least: usize) {
    let expected = &json("expected.json")["grpo"];
    let gold = tensors("grpo.safetensors");
    let hyper = &expected[run]["hyper"];
    let rate = hyper["lr"].as_f64().unwrap();
    let spread = Spread {
        median: 1e-5,
        p999: 0.1 * rate,
        max: 2.0 * rate,
    };
    let mut compared = Compared::default();
    replay(dtype, hyper, &gold["actions"], |u, update, trainer| {
        let log = &expected[run]["log"][u];
        let at = format!("{run}.{}", u + 1);
        let loss = loss_tolerance(dtype);
        compare_steps(&mut compared, &at, update, &log["epochs"], loss);
        let sampled = update.rewards.iter().sum::<f64>() / update.rewards.len() as f64;
        compared.near(
            format!("{at}.mean_reward"),
            sampled,
            &log["mean_reward_sampled"],
            1e-12,
        );
        if [0, 2, 9].contains(&u) {
            let reward = trainer.expected_reward().unwrap();
            compared.near(format!("{at}.R_after"), reward, &log["R_after"], 5e-4);
            let prefix = format!("{at}.");
            compare_parameters(&mut compared, &prefix, trainer.model(), &gold, &spread);
        }
    });
    compared.check(compared_at_least);
}

#[test]
fn run_a_with_two_iterations_decay_and_no_norm_clip() {
    for dtype in [DType::F32, DType::F64] {
        ten_updates("a", dtype, 10 * 2 * 6 + 3 * 36);
    }
}

#[test]
fn run_b_with_population_deviation_and_norm_clip() {
    for dtype in [DType::F32, DType::F64] {
        ten_updates("b", dtype, 10 * 6 + 3 * 3);
    }
}

#[test]
fn the_clipped_run_with_groups_without_variance() {
    let expected = &json("extra.json")["grpo"];
    let gold = tensors("extra.safetensors");
    let mut compared = Compared::default();
    let start = open_model();
    let trainer = replay(
        DType::F32,
        &expected["hyper"],
        &gold["grpo.actions"],
        |u, update, trainer| {
            let log = &expected["log"][u];
            let at = format!("clipped.{}", u + 1);
            compare_steps(&mut compared, &at, update, &log["steps"], 2e-5);
            let reward = trainer.expected_reward().unwrap();
            compared.near(
                format!("{at}.reward_after"),
                reward,
                &log["reward_after"],
                2e-5,
            );
            let p_y = trainer.label_probabilities().unwrap();
            for (i, (p, expected)) in
                (p_y.iter().zip(log["p_y_after"].as_array().unwrap())).enumerate()
            {
                compared.near(format!("{at}.p_y[{i}]"), *p, expected, 1e-4);
            }
            let zero = update.zero_variance_groups as f64;
            compared.near(
                format!("{at}.zero_variance"),
                zero,
                &log["zero_variance_groups"],
                1e-12,
            );
            for (name, got) in [
                ("grpo.advantages", &update.advantages),
                ("grpo.old_logp", &update.log_prob_old),
            ] {
                let expected = gold[name].get(u).unwrap().flatten_all().unwrap();
                let expected: Vec<f32> = expected.to_vec1().unwrap();
                for (i, (a, b)) in got.iter().zip(expected).enumerate() {
                    compared.below(format!("{at}.{name}[{i}]"), (a - f64::from(b)).abs(), 1e-4);
                }
            }
        },
    );
    for (name, expected) in expected["delta_l2"].as_object().unwrap() {
        let (from, to) = (
            &start.parameters()[name],
            &trainer.model().parameters()[name],
        );
        let delta = (to.as_tensor() - from.as_tensor()).unwrap().detach();
        let norm = delta.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
        let norm = f64::from(norm.to_scalar::<f32>().unwrap());
        compared.near(format!("delta_l2 {name}"), norm, expected, 1e-3 * norm);
    }
    compared.check(9 * 7 + 36 + 3 * (2 + 12 + 2 * 96));
}

/// TRL's token mean over a batch (`bnpo`) of masked completions, with the
/// gradient by every log-probability.
#[test]
fn the_loss_of_trl_over_all_tokens() {
    let expected = &json("expected.json")["loss_variants"]["values"];
    let gold = tensors("multi_token.safetensors");
    let values = |name: &str| -> Vec<f64> {
        let tensor = gold[name].to_dtype(DType::F64).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    };
    let mask = values("loss.mask");
    let kept = |name: &str| -> Vec<f64> {
        let all = values(name).into_iter().zip(&mask);
        all.filter(|(_, m)| **m == 1.0).map(|(x, _)| x).collect()
    };
    let (new, old, reference) = (kept("loss.new"), kept("loss.old"), kept("loss.ref"));
    let per_token: Vec<f64> = (values("loss.adv").iter().enumerate())
        .flat_map(|(b, &a)| (0..6).map(move |t| (b * 6 + t, a)))
        .filter(|(at, _)| mask[*at] == 1.0)
        .map(|(_, a)| a)
        .collect();
    let mut compared = Compared::default();
    for (beta, high) in [(0.0, 0.2), (0.0, 0.28), (0.04, 0.2), (0.04, 0.28)] {
        let name = format!("bnpo|beta={beta:?}|eps=0.2,{high}");
        let objective = Objective {
            epsilon_low: 0.2,
            epsilon_high: high,
            beta,
        };
        let got = objective
            .evaluate(&new, &old, &reference, &per_token)
            .unwrap();
        // inputs are stored in f32
        compared.near(name.clone(), got.loss, &expected[&name], 1e-6);
        for (i, (a, b)) in (got
            .coefficients
            .iter()
            .zip(kept(&format!("loss.grad.{name}"))))
        .enumerate()
        {
            compared.below(format!("grad {name}[{i}]"), (a - b).abs(), 1e-7);
        }
    }
    compared.check(4 * (1 + new.len()));
}
