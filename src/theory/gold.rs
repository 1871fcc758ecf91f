//! Closed forms against the gold data made with PyTorch by enumeration and
//! autograd (`tests/fixtures/open`, tolerances of EXTRA.md).
use crate::theory::{
    Advantage, Group, Headroom, OneToken, Score, ScoreParts, Signal, SignalParts,
    fixture::{Fixture, Worst, float, floats, json},
    headroom_per_prompt, headroom_pooled, label_mass, mean, multiplier, p1mp, p1mp_of_mean,
    prob_batch, zero_var_share,
};

/// From tensors stored as f32: logits carry 1e-7.
const TOLERANCE: f64 = 1e-5;

const ALPHAS: [&str; 5] = ["0.5", "1.0", "2.0", "5.0", "10.0"];

fn advantage(name: &str) -> Advantage {
    Advantage::ALL
        .into_iter()
        .find(|advantage| advantage.name() == name)
        .unwrap()
}

fn pairs(prompts: &[OneToken]) -> Vec<(f64, f64)> {
    prompts
        .iter()
        .map(|prompt| (prompt.policy().p_y(), prompt.policy().q_y))
        .collect()
}

fn signals(prompts: &[OneToken], advantage: Advantage, group: Group) -> Vec<SignalParts> {
    prompts
        .iter()
        .map(|prompt| prompt.signal(advantage, group))
        .collect()
}

/// (name, value, scale of its tolerance) of each part.
fn parts(parts: &SignalParts) -> [(&'static str, f64, f64); 6] {
    let SignalParts {
        sigma,
        ip,
        lambda_cond,
        lambda_ps,
        s_cond,
        s_ps,
        ..
    } = *parts;
    [
        ("sigma", sigma, sigma),
        ("ip", ip, ip),
        ("lambda_cond", lambda_cond, sigma + ip),
        ("lambda_ps", lambda_ps, lambda_ps),
        ("s_cond", s_cond, sigma + lambda_cond),
        ("s_ps", s_ps, sigma + lambda_ps),
    ]
}

#[test]
fn the_hundred_entries() {
    let (fixture, extra) = (Fixture::load(), json("extra.json"));
    let entries = extra["one_token"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 100);
    let mut worst = Worst::new(TOLERANCE);
    for entry in entries {
        let field = |name: &str| entry[name].as_str().unwrap();
        let prompts = fixture.prompts(field("hidden"), field("vocab"), 1.0);
        let group: Group = field("group").parse().unwrap();
        let per_prompt = signals(&prompts, advantage(field("advantage")), group);
        let name = ["hidden", "vocab", "advantage", "group"]
            .map(field)
            .join("|");
        for (part, got, scale) in parts(&SignalParts::mean(&per_prompt).unwrap()) {
            worst.compare(&format!("{name} {part}"), got, float(&entry[part]), scale);
        }
        for (q, prompt) in per_prompt.iter().enumerate() {
            // sigma per prompt does not depend on the entry: `p_sigma_and_m` has it.
            for (part, got, scale) in parts(prompt).into_iter().skip(1) {
                let want = float(&entry["per_prompt"][part][q]);
                worst.compare(&format!("{name} {part} prompt {q}"), got, want, scale);
            }
        }
        if matches!(field("advantage"), "rloo" | "none") || name.ends_with("mean-only|inf") {
            assert!(
                per_prompt.iter().all(|parts| parts.lambda_cond == 0.0),
                "{name}"
            );
        }
    }
    worst.check();
    assert_eq!(worst.compared, 100 * (6 + 12 * 5));
}

#[test]
fn p_sigma_and_m() {
    let (fixture, extra) = (Fixture::load(), json("extra.json"));
    let (one_token, mut worst) = (&extra["one_token"], Worst::new(TOLERANCE));
    for vocab in ["full", "labels"] {
        let pairs = pairs(&fixture.prompts("post", vocab, 1.0));
        for (q, (p, complement)) in pairs.iter().enumerate() {
            let want = float(&one_token["p_y"][vocab][q]);
            worst.compare(&format!("p_y {vocab} {q}"), *p, want, want);
            let want = float(&one_token["one_minus_p_y"][vocab][q]);
            worst.compare(&format!("q_y {vocab} {q}"), *complement, want, want);
        }
        for hidden in ["post", "pre"] {
            let want = &one_token["sigma"][format!("{hidden}|{vocab}")]["per_prompt"];
            for (q, prompt) in fixture.prompts(hidden, vocab, 1.0).iter().enumerate() {
                let want = float(&want[q]);
                worst.compare(
                    &format!("sigma {hidden} {vocab} {q}"),
                    prompt.sigma(),
                    want,
                    want,
                );
            }
        }
    }
    worst.check();

    // m from the stored p, so only the sums are judged.
    let mut exact = Worst::new(1e-12);
    for (name, values) in one_token["m"].as_object().unwrap() {
        let [vocab, convention, group] = name.split('|').collect::<Vec<_>>().try_into().unwrap();
        let group: Group = group.parse().unwrap();
        for (q, want) in floats(values).into_iter().enumerate() {
            let p = float(&one_token["p_y"][vocab][q]);
            let complement = float(&one_token["one_minus_p_y"][vocab][q]);
            let got = multiplier(advantage(convention), group, p, complement);
            exact.compare(&format!("{name} prompt {q}"), got, want, want);
        }
    }
    assert_eq!(exact.compared, 50 * 12);
    exact.check();
}

#[test]
fn headrooms() {
    let (fixture, extra, older) = (Fixture::load(), json("extra.json"), json("expected.json"));
    let mut worst = Worst::new(TOLERANCE);
    for vocab in ["full", "labels"] {
        let pairs = pairs(&fixture.prompts("post", vocab, 1.0));
        let p: Vec<f64> = pairs.iter().map(|(p, _)| *p).collect();
        for text in ALPHAS {
            let alpha: f64 = text.parse().unwrap();
            let key = format!("per-prompt|{vocab}|{text}");
            let each: Vec<f64> = pairs
                .iter()
                .map(|&(p, q)| headroom_per_prompt(p, q, alpha))
                .collect();
            for (q, (&got, want)) in each
                .iter()
                .zip(floats(&extra["headroom"][&key]["per_prompt"]))
                .enumerate()
            {
                worst.compare(&format!("{key} prompt {q}"), got, want, want);
            }
            let got = mean(&each).unwrap();
            let want = float(&extra["headroom"][&key]["mean"]);
            worst.compare(&key, got, want, want);
            let want = &older["one_token"]["headroom"];
            let want_older = float(&want[format!("per_prompt_bernoulli_{vocab}|{text}")]);
            worst.compare(&format!("older {key}"), got, want_older, want_older);

            let key = format!("pooled|{vocab}|{text}");
            let got = headroom_pooled(&p, alpha).unwrap();
            let want_extra = float(&extra["headroom"][&key]["mean"]);
            worst.compare(&key, got, want_extra, want_extra);
            // The two-point headroom at the mean p_y: a third, unused reading.
            let (p, q) = (mean(&p).unwrap(), 1.0 - mean(&p).unwrap());
            let want = float(&want[format!("pooled_bernoulli_{vocab}|{text}")]);
            worst.compare(
                &format!("two-point {key}"),
                headroom_per_prompt(p, q, alpha),
                want,
                want,
            );
        }
    }
    worst.check();
}

#[test]
fn the_hundred_and_twenty_scores() {
    let (fixture, extra) = (Fixture::load(), json("extra.json"));
    let scores = extra["scores"].as_object().unwrap();
    assert_eq!(scores.len(), 120);
    let mut worst = Worst::new(TOLERANCE);
    for (name, want) in scores {
        let [hidden, vocab, convention, group, alpha] =
            name.split('|').collect::<Vec<_>>().try_into().unwrap();
        let (group, alpha): (Group, f64) = (group.parse().unwrap(), alpha.parse().unwrap());
        let prompts = fixture.prompts(hidden, vocab, 1.0);
        let signal = SignalParts::mean(&signals(&prompts, advantage(convention), group)).unwrap();
        let pairs = pairs(&prompts);
        let p: Vec<f64> = pairs.iter().map(|(p, _)| *p).collect();
        let each: Vec<f64> = pairs
            .iter()
            .map(|&(p, q)| headroom_per_prompt(p, q, alpha))
            .collect();
        let parts = ScoreParts {
            sigma: signal.sigma,
            ip: signal.ip,
            lambda_cond: signal.lambda_cond,
            lambda_ps: signal.lambda_ps,
            lambda_group: None,
            headroom_per_prompt: mean(&each).unwrap(),
            headroom_pooled: headroom_pooled(&p, alpha).unwrap(),
        };
        for score in [Score::HEADLINE, Score::LITERAL, Score::LITERAL_EQ28] {
            let want_value = float(&want[score.name()]);
            let scale = want.get(format!("{score}_scale")).map_or(want_value, float);
            let got = score.value(&parts).unwrap();
            worst.compare(&format!("{name} {score}"), got, want_value, scale);
        }
        if group == Group::Inf && advantage(convention) != Advantage::MeanOnly {
            let s_cond = Score {
                signal: Signal::SCond,
                headroom: Headroom::PerPrompt,
            };
            assert!(
                s_cond.value(&parts).unwrap() <= 0.0,
                "{name}: eq. 25 is vacuous"
            );
        }
    }
    assert_eq!(worst.compared, 360);
    worst.check();
}

#[test]
fn the_baselines() {
    let (fixture, extra) = (Fixture::load(), json("extra.json"));
    let mut worst = Worst::new(TOLERANCE);
    for vocab in ["full", "labels"] {
        let want = &extra["baselines"][vocab];
        let prompts = fixture.prompts("post", vocab, 1.0);
        let pairs = pairs(&prompts);
        let entropy: Vec<f64> = prompts
            .iter()
            .map(|prompt| prompt.policy().entropy())
            .collect();
        let shares: Vec<f64> = pairs
            .iter()
            .map(|&(p, q)| zero_var_share(p, q, 8))
            .collect();
        let p: Vec<f64> = pairs.iter().map(|(p, _)| *p).collect();
        for (name, got) in [
            ("r_before", mean(&p)),
            ("p1mp", p1mp(&pairs)),
            ("p1mp_of_mean", p1mp_of_mean(&pairs)),
            ("entropy", mean(&entropy)),
            ("zero_var_share_n8", mean(&shares)),
        ] {
            worst.compare(
                &format!("{vocab} {name}"),
                got.unwrap(),
                float(&want[name]),
                float(&want[name]),
            );
        }
        for (name, got) in [("entropy", &entropy), ("zero_var_share_n8", &shares)] {
            for (q, want) in floats(&want[format!("{name}_per_prompt")])
                .into_iter()
                .enumerate()
            {
                worst.compare(&format!("{vocab} {name} {q}"), got[q], want, want);
            }
        }
    }
    let want = floats(&extra["baselines"]["label_mass_per_prompt"]);
    for (q, prompt) in fixture.prompts("post", "full", 1.0).iter().enumerate() {
        let got = label_mass(&prompt.policy().p, &fixture.label_tokens);
        worst.compare(&format!("label_mass {q}"), got, want[q], want[q]);
    }
    worst.check();
}

#[test]
fn the_saturated_head() {
    let (fixture, extra) = (Fixture::load(), json("extra.json"));
    let saturated = &extra["saturated"];
    let prompts = fixture.prompts("post", "full", float(&saturated["head_scale"]));
    let mut worst = Worst::new(TOLERANCE);
    for (q, prompt) in prompts.iter().enumerate() {
        let want = &saturated["per_prompt"][q];
        let mut compare = |name: &str, got: f64, want: f64| {
            worst.compare(&format!("prompt {q} {name}"), got, want, want);
        };
        compare("p_y", prompt.policy().p_y(), float(&want["p_y"]));
        compare(
            "one_minus_p_y",
            prompt.policy().q_y,
            float(&want["one_minus_p_y"]),
        );
        compare("norm2_s_y", prompt.norm2_s_y(), float(&want["norm2_s_y"]));
        compare("norm2_G", prompt.sigma(), float(&want["norm2_G"]));
        let ip = prompt.signal(Advantage::GroupNorm, Group::Inf).ip;
        compare("ip", ip, float(&want["ip_inf_group-norm"]));
        for advantage in Advantage::ALL {
            let got = prompt.signal(advantage, Group::Inf).lambda_ps;
            let want = float(&want["lambda_ps_inf"][advantage.name()]);
            compare(&format!("lambda_ps {advantage}"), got, want);
        }
    }
    worst.check();
}

#[test]
fn the_older_oracle() {
    let (fixture, older) = (Fixture::load(), json("expected.json"));
    let mut worst = Worst::new(TOLERANCE);
    for entry in older["one_token"]["entries"].as_array().unwrap() {
        let field = |name: &str| entry[name].as_str().unwrap();
        let prompts = fixture.prompts(field("hidden"), field("vocab"), 1.0);
        let name = ["hidden", "vocab", "advantage"].map(field).join("|");
        let (infinite, group) = match field("advantage") {
            "prob_batch" => {
                let p: Vec<f64> = prompts.iter().map(|prompt| prompt.policy().p_y()).collect();
                let constant = prompts.iter().zip(prob_batch(&p));
                let parts: Vec<SignalParts> = constant
                    .map(|(prompt, a)| prompt.signal_of_constant(a))
                    .collect();
                // Fact 4: E lambda_hat = 0, so all signal is lost.
                assert!(
                    parts
                        .iter()
                        .all(|parts| parts.s_cond == 0.0 && parts.s_ps <= 0.0)
                );
                (parts.clone(), parts)
            }
            convention => {
                let advantage = match convention {
                    "std_population" => Advantage::GroupNormPop,
                    "std_sample" => Advantage::GroupNorm,
                    _ => Advantage::MeanOnly,
                };
                let group = signals(&prompts, advantage, Group::N(8));
                (signals(&prompts, advantage, Group::Inf), group)
            }
        };
        let infinite = SignalParts::mean(&infinite).unwrap();
        let group = SignalParts::mean(&group).unwrap();
        let scale = infinite.sigma + infinite.ip;
        for (part, got, scale) in [
            ("sigma", infinite.sigma, infinite.sigma),
            (
                "inner_product_infinite",
                infinite.ip,
                infinite.ip.max(infinite.sigma),
            ),
            ("Lambda_cond_infinite", infinite.lambda_cond, scale),
            ("Lambda_cond_group", group.lambda_cond, scale),
            (
                "Lambda_per_sample_exact",
                infinite.lambda_ps,
                infinite.lambda_ps,
            ),
        ] {
            if let Some(want) = entry[part].as_f64() {
                worst.compare(&format!("{name} {part}"), got, want, scale);
            }
        }
    }
    worst.check();
    assert!(worst.compared >= 14 * 4, "{}", worst.compared);
}
