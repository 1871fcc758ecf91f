//! Sampled estimators, GRPO's scalars and the entropy bounds against the gold
//! data made with PyTorch (`tests/fixtures/open`).
use crate::theory::{
    Advantage, DrawnGroup, Softmax, clipped_objective, entropy_constant,
    fixture::{Fixture, Worst, float, floats, json, read, tensor},
    headroom_per_prompt, k3, mean, missing_jacobian_bound, prob_batch, ratio,
    sampling_jacobian_bound, softmax_jacobian_norm,
};

const TOLERANCE: f64 = 1e-5;

/// Group size of the fixture.
const N: usize = 8;

#[test]
fn recorded_advantages() {
    let file = read("one_token.safetensors");
    let rewards = tensor(&file, "rewards");
    let mut worst = Worst::new(1e-6);
    for (name, advantage) in [
        ("adv_std_population", Advantage::GroupNormPop),
        ("adv_std_sample", Advantage::GroupNorm),
        ("adv_mean_only", Advantage::MeanOnly),
    ] {
        let want = tensor(&file, name);
        let got: Vec<f64> = rewards
            .chunks(N)
            .flat_map(|group| advantage.of_group(group))
            .collect();
        for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
            worst.compare(&format!("{name} {i}"), got, want, 1.0);
        }
    }
    let want = tensor(&file, "adv_prob_batch");
    let got = prob_batch(&tensor(&file, "p_y_full"));
    for (q, got) in got.into_iter().enumerate() {
        // Stored one value per prompt or repeated over the group.
        worst.compare(
            &format!("prob_batch {q}"),
            got,
            want[q * want.len() / 12],
            1.0,
        );
    }
    worst.check();
}

#[test]
fn recorded_groups() {
    let (fixture, older) = (Fixture::load(), json("expected.json"));
    let file = read("one_token.safetensors");
    let (actions, rewards) = (tensor(&file, "actions"), tensor(&file, "rewards"));
    let mut worst = Worst::new(TOLERANCE);
    for entry in older["one_token"]["entries"].as_array().unwrap() {
        let field = |name: &str| entry[name].as_str().unwrap();
        if field("vocab") != "full" {
            continue;
        }
        let scores = tensor(&file, &format!("score_{}_full", field("hidden")));
        let d = scores.len() / actions.len();
        let prompts = fixture.prompts(field("hidden"), "full", 1.0);
        let p: Vec<f64> = prompts.iter().map(|prompt| prompt.policy().p_y()).collect();
        let batch = prob_batch(&p);
        let mut groups = Vec::new();
        for (q, prompt) in prompts.iter().enumerate() {
            let range = q * N..(q + 1) * N;
            let rows: Vec<&[f64]> = range.clone().map(|i| &scores[i * d..(i + 1) * d]).collect();
            let gram: Vec<f64> = rows
                .iter()
                .flat_map(|v| {
                    rows.iter()
                        .map(|w| v.iter().zip(*w).map(|(v, w)| v * w).sum())
                })
                .collect();
            let advantages = match field("advantage") {
                "std_population" => Advantage::GroupNormPop.of_group(&rewards[range.clone()]),
                "std_sample" => Advantage::GroupNorm.of_group(&rewards[range.clone()]),
                "mean_only" => Advantage::MeanOnly.of_group(&rewards[range.clone()]),
                _ => vec![batch[q]; N],
            };
            let drawn: Vec<usize> = actions[range].iter().map(|&a| a as usize).collect();
            groups.push(prompt.sampled(&drawn, &advantages, &gram).unwrap());
        }
        let name = format!("{} {}", field("hidden"), field("advantage"));
        let mut compare = |part: &str, values: Vec<f64>| {
            let want = float(&entry[part]);
            worst.compare(
                &format!("{name} {part}"),
                mean(&values).unwrap(),
                want,
                want,
            );
        };
        compare(
            "Lambda_group_mean",
            groups.iter().map(|g| g.lambda_group).collect(),
        );
        compare(
            "Lambda_per_sample",
            groups.iter().map(|g| g.lambda_ps).collect(),
        );
        if entry["inner_product_group_mean"].is_f64() {
            compare(
                "inner_product_group_mean",
                groups.iter().map(|g| g.ip).collect(),
            );
        }
    }
    worst.check();
    assert!(worst.compared >= 8 * 2, "{}", worst.compared);
}

#[test]
fn an_all_wrong_group_has_no_costate() {
    let group = DrawnGroup {
        advantages: &Advantage::GroupNorm.of_group(&[0.0; 2]),
        gram: &[2.0, 1.0, 1.0, 2.0],
        dot_y: &[-0.5, -0.5],
        p_y: 0.25,
        norm2_s_y: 4.0,
    };
    let parts = group.parts().unwrap();
    // The whole of |G|^2 is lost.
    assert_eq!(
        (parts.ip, parts.lambda_ps, parts.lambda_group),
        (0.0, 0.25, 0.25)
    );
}

#[test]
fn sampled_headroom_is_the_closed_form_at_the_share_of_successes() {
    let older = json("expected.json");
    let rewards = tensor(&read("one_token.safetensors"), "rewards");
    let share = |r: &[f64]| r.iter().sum::<f64>() / r.len() as f64;
    let mut worst = Worst::new(1e-12);
    for alpha in [0.5, 1.0, 2.0, 5.0, 10.0] {
        let at = |p: f64| headroom_per_prompt(p, 1.0 - p, alpha);
        let each: Vec<f64> = rewards.chunks(N).map(|group| at(share(group))).collect();
        let want = &older["one_token"]["headroom"];
        let key = format!("per_prompt_sampled|{alpha:.1}");
        worst.compare(
            &key,
            mean(&each).unwrap(),
            float(&want[&key]),
            float(&want[&key]),
        );
        let key = format!("pooled_sampled|{alpha:.1}");
        worst.compare(
            &key,
            at(share(&rewards)),
            float(&want[&key]),
            float(&want[&key]),
        );
    }
    worst.check();
}

#[test]
fn loss_variants_from_scalars() {
    let older = json("expected.json");
    let file = read("multi_token.safetensors");
    let [new, old, reference, mask] =
        ["new", "old", "ref", "mask"].map(|name| loss_tensor(&file, name));
    let advantages = loss_tensor(&file, "adv");
    let width = float(&older["loss_variants"]["max_completion_length"]) as usize;
    let mut worst = Worst::new(TOLERANCE);
    for (name, want) in older["loss_variants"]["values"].as_object().unwrap() {
        let [kind, beta, eps] = name.split('|').collect::<Vec<_>>().try_into().unwrap();
        let beta: f64 = beta["beta=".len()..].parse().unwrap();
        let (low, high) = eps["eps=".len()..].split_once(',').unwrap();
        let (low, high): (f64, f64) = (low.parse().unwrap(), high.parse().unwrap());
        let token = |i: usize| {
            let rho = ratio(new[i], old[i]);
            let objective =
                clipped_objective(rho, advantages[i * advantages.len() / new.len()], low, high);
            mask[i] * (objective - beta * k3(new[i], reference[i]))
        };
        let total: f64 = (0..new.len()).map(token).sum();
        let sequences = new.len() / width;
        let objective = match kind {
            "grpo" => {
                let per_sequence = (0..sequences).map(|s| {
                    let tokens = s * width..(s + 1) * width;
                    let length: f64 = mask[tokens.clone()].iter().sum();
                    tokens.map(token).sum::<f64>() / length
                });
                per_sequence.sum::<f64>() / sequences as f64
            }
            "dr_grpo" => total / (sequences * width) as f64,
            _ => total / mask.iter().sum::<f64>(),
        };
        worst.compare(name, -objective, float(want), 1.0);
    }
    assert_eq!(worst.compared, 16);
    worst.check();
}

fn loss_tensor(file: &[u8], name: &str) -> Vec<f64> {
    tensor(file, &format!("loss.{name}"))
}

#[test]
fn entropy_bounds() {
    let older = json("expected.json");
    let multi = &older["multi_token"];
    let forward = read("forward.safetensors");
    let mut worst = Worst::new(TOLERANCE);
    worst.compare("C_V", entropy_constant(264), float(&multi["C_V"]), 1.0);
    for item in multi["items"].as_array().unwrap() {
        let prompt = item["prompt"].as_str().unwrap();
        for (t, step) in item["steps"].as_array().unwrap().iter().enumerate() {
            for tau in [1.0, 0.7] {
                let want = &step[format!("tau{tau:.1}")];
                if want.is_null() {
                    // No token follows the last one: no gap there.
                    continue;
                }
                let entropy = float(&want["entropy"]);
                let bound = sampling_jacobian_bound(entropy, tau);
                let want_bound = float(&want["bound_sampling"]);
                worst.compare(
                    &format!("{prompt} {t} bound"),
                    bound,
                    want_bound,
                    want_bound,
                );
                let measured = float(&want["sampling_jacobian_spectral"]);
                assert!(measured <= bound, "{prompt} {t}: {measured} above {bound}");
                // The chain is linear in each norm.
                let chain = missing_jacobian_bound(entropy, tau, 2.0, 3.0, 5.0);
                assert!((chain / bound - 30.0).abs() < 1e-12);
                if t > 0 {
                    continue;
                }
                // The first step's logits are the prompt's last.
                let logits = tensor(&forward, &format!("{prompt}.logits"));
                let z: Vec<f64> = logits[logits.len() - 264..]
                    .iter()
                    .map(|z| z / tau)
                    .collect();
                let softmax = Softmax::new(&z, 0);
                worst.compare(
                    &format!("{prompt} entropy"),
                    softmax.entropy(),
                    entropy,
                    entropy,
                );
                let norm = softmax_jacobian_norm(&softmax.p) / tau;
                worst.compare(
                    &format!("{prompt} {tau} Jacobian"),
                    norm,
                    measured,
                    measured,
                );
                let p_max = softmax.p.iter().copied().fold(0.0, f64::max);
                worst.compare(&format!("{prompt} p_max"), p_max, float(&want["pmax"]), 1.0);
            }
        }
    }
    worst.check();
    assert!(floats(&multi["taus"]) == [1.0, 0.7]);
}
