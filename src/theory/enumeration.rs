//! Closed forms against brute force: all V^n tuples of actions on small random
//! heads, for every advantage, and what theory says follows from the algebra.
use crate::theory::{Advantage, DrawnGroup, Group, HeadProducts, OneToken, Softmax};

const D: usize = 3;

/// A small head whose entries look random, without a generator: this layer
/// draws nothing.
struct Toy {
    w: Vec<f64>,
    policy: Softmax,
}

impl Toy {
    fn new(vocab: usize, salt: f64, y: usize) -> Toy {
        let noise = |i: usize| (12.9898 * (i as f64 + salt)).sin() * 437.585;
        let w: Vec<f64> = (0..vocab * D).map(|i| 2.0 * noise(i).fract()).collect();
        let h: Vec<f64> = (0..D).map(|i| noise(i + 1000).fract()).collect();
        let z: Vec<f64> = w.chunks(D).map(|row| dot(row, &h)).collect();
        Toy {
            w,
            policy: Softmax::new(&z, y),
        }
    }

    fn prompt(&self) -> OneToken {
        let head = HeadProducts::from_rows(&self.w, D, &self.policy);
        OneToken::post_norm(self.policy.clone(), &head)
    }

    fn scores(&self) -> Vec<Vec<f64>> {
        let bar: Vec<f64> = (0..D)
            .map(|i| {
                self.policy
                    .p
                    .iter()
                    .zip(self.w.chunks(D))
                    .map(|(p, row)| p * row[i])
                    .sum()
            })
            .collect();
        self.w
            .chunks(D)
            .map(|row| row.iter().zip(&bar).map(|(w, b)| w - b).collect())
            .collect()
    }
}

fn dot(v: &[f64], w: &[f64]) -> f64 {
    v.iter().zip(w).map(|(v, w)| v * w).sum()
}

fn distance(v: &[f64], w: &[f64]) -> f64 {
    v.iter()
        .zip(w)
        .map(|(v, w)| (v - w).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Expectations over all V^n groups, from vectors.
#[derive(Default)]
struct Brute {
    mean: Vec<f64>,
    lambda_ps: f64,
    lambda_group: f64,
    sampled_ip: f64,
    sampled_ps: f64,
    sampled_group: f64,
}

fn enumerate(toy: &Toy, advantage: Advantage, n: u32) -> Brute {
    let (p, y, vocab) = (&toy.policy.p, toy.policy.y, toy.policy.p.len());
    let scores = toy.scores();
    let value_gradient: Vec<f64> = scores[y].iter().map(|s| p[y] * s).collect();
    let norm_g = dot(&value_gradient, &value_gradient).sqrt();
    let mut brute = Brute {
        mean: vec![0.0; D],
        ..Brute::default()
    };
    for code in 0..vocab.pow(n) {
        let actions: Vec<usize> = (0..n).map(|i| code / vocab.pow(i) % vocab).collect();
        let weight: f64 = actions.iter().map(|&a| p[a]).product();
        let rewards: Vec<f64> = actions
            .iter()
            .map(|&a| f64::from(u8::from(a == y)))
            .collect();
        let advantages = advantage.of_group(&rewards);
        let mut group = vec![0.0; D];
        let mut own = 0.0;
        for (&a, &advantage) in actions.iter().zip(&advantages) {
            let lambda_hat: Vec<f64> = scores[a].iter().map(|s| advantage * s).collect();
            for (sum, part) in group.iter_mut().zip(&lambda_hat) {
                *sum += part / f64::from(n);
            }
            own += distance(&lambda_hat, &value_gradient) / f64::from(n);
        }
        for (mean, part) in brute.mean.iter_mut().zip(&group) {
            *mean += weight * part;
        }
        brute.lambda_ps += weight * norm_g * own;
        brute.lambda_group += weight * norm_g * distance(&group, &value_gradient);
        let gram: Vec<f64> = actions
            .iter()
            .flat_map(|&a| {
                actions
                    .iter()
                    .map(|&b| dot(&scores[a], &scores[b]))
                    .collect::<Vec<_>>()
            })
            .collect();
        let dot_y: Vec<f64> = actions
            .iter()
            .map(|&a| dot(&scores[a], &scores[y]))
            .collect();
        let norm2_s_y = dot(&scores[y], &scores[y]);
        let drawn = DrawnGroup {
            advantages: &advantages,
            gram: &gram,
            dot_y: &dot_y,
            p_y: p[y],
            norm2_s_y,
        };
        let parts = drawn.parts().unwrap();
        brute.sampled_ip += weight * parts.ip;
        brute.sampled_ps += weight * parts.lambda_ps;
        brute.sampled_group += weight * parts.lambda_group;
    }
    brute
}

#[test]
fn every_group_of_a_small_head() {
    for (vocab, n, salt) in [
        (5, 2, 0.3),
        (5, 3, 1.7),
        (5, 4, 2.2),
        (4, 5, 3.9),
        (2, 4, 4.4),
        (3, 1, 0.9),
    ] {
        for y in 0..2 {
            let toy = Toy::new(vocab, salt, y);
            let prompt = toy.prompt();
            let scores = toy.scores();
            let value_gradient: Vec<f64> = scores[y].iter().map(|s| toy.policy.p_y() * s).collect();
            for advantage in Advantage::ALL {
                let parts = prompt.signal(advantage, Group::N(n));
                let brute = enumerate(&toy, advantage, n);
                let scaled: Vec<f64> = value_gradient.iter().map(|g| parts.m * g).collect();
                let norm_g = dot(&value_gradient, &value_gradient).sqrt();
                for (name, got, want) in [
                    ("E lambda_hat - m G", distance(&brute.mean, &scaled), 0.0),
                    ("sigma", parts.sigma, norm_g * norm_g),
                    ("ip", parts.ip, dot(&brute.mean, &value_gradient)),
                    (
                        "lambda_cond",
                        parts.lambda_cond,
                        norm_g * distance(&brute.mean, &value_gradient),
                    ),
                    ("lambda_ps", parts.lambda_ps, brute.lambda_ps),
                    ("sampled ip", brute.sampled_ip, parts.ip),
                    ("sampled lambda_ps", brute.sampled_ps, parts.lambda_ps),
                    (
                        "sampled lambda_group",
                        brute.sampled_group,
                        brute.lambda_group,
                    ),
                ] {
                    assert!(
                        (got - want).abs() < 1e-12,
                        "{advantage}, V {vocab}, n {n}, y {y}, {name}: {got} and {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_infinite_group_is_the_limit_of_large_ones() {
    let prompt = Toy::new(5, 0.3, 1).prompt();
    for advantage in Advantage::ALL {
        let (limit, large) = (
            prompt.signal(advantage, Group::Inf),
            prompt.signal(advantage, Group::N(100_000)),
        );
        for (name, got, want) in [
            ("m", large.m, limit.m),
            ("lambda_ps", large.lambda_ps, limit.lambda_ps),
        ] {
            assert!(
                (got / want - 1.0).abs() < 1e-3,
                "{advantage} {name}: {got} {want}"
            );
        }
    }
}

#[test]
fn the_pre_norm_products_are_the_pulled_back_vectors() {
    use crate::theory::FinalNorm;
    let toy = Toy::new(5, 2.2, 2);
    let (gain, eps) = ([0.7, 1.3, -0.4], 0.05);
    let u = [0.9, -0.2, 0.6];
    let norm = FinalNorm::at(&u, eps);
    let h: Vec<f64> = u.iter().zip(gain).map(|(u, g)| g * u * norm.rho).collect();
    let z: Vec<f64> = toy.w.chunks(D).map(|row| dot(row, &h)).collect();
    let toy = Toy {
        policy: Softmax::new(&z, 2),
        ..toy
    };
    let gained: Vec<f64> = toy
        .w
        .iter()
        .zip(gain.iter().cycle())
        .map(|(w, g)| w * g)
        .collect();
    let head = HeadProducts::from_rows(&gained, D, &toy.policy);
    let prompt = OneToken::pre_norm(toy.policy.clone(), &head, norm, &z);
    // J^T v = rho (g o v) - rho^2 (h.v) u / d, written out.
    let pulled: Vec<Vec<f64>> = toy
        .scores()
        .iter()
        .map(|s| {
            (0..D)
                .map(|i| {
                    norm.rho * gain[i] * s[i] - norm.rho.powi(2) * dot(&h, s) * u[i] / D as f64
                })
                .collect()
        })
        .collect();
    for (a, v) in pulled.iter().enumerate() {
        assert!((prompt.norm2()[a] - dot(v, v)).abs() < 1e-14, "{a}");
        assert!(
            (prompt.dot_y()[a] - dot(v, &pulled[2])).abs() < 1e-14,
            "{a}"
        );
    }
    // And the Jacobian is that of the norm, by central differences of h.s(0).
    let state = |u: &[f64]| {
        let rho = FinalNorm::at(u, eps).rho;
        (0..D).map(|i| gain[i] * u[i] * rho).collect::<Vec<f64>>()
    };
    let s = &toy.scores()[0];
    for i in 0..D {
        let (mut up, mut down) = (u, u);
        up[i] += 1e-5;
        down[i] -= 1e-5;
        let slope = (dot(&state(&up), s) - dot(&state(&down), s)) / 2e-5;
        assert!(
            (slope - pulled[0][i]).abs() < 1e-9,
            "{i}: {slope} {}",
            pulled[0][i]
        );
    }
}

/// Toys over the whole range of p_y.
fn ladder() -> Vec<OneToken> {
    let salts = (0..60).map(|i| f64::from(i) * 0.61);
    salts.map(|salt| Toy::new(5, salt, 1).prompt()).collect()
}

#[test]
fn fact_1_the_bound_is_vacuous_for_the_infinite_group() {
    let xi = Advantage::GroupNormPop.xi();
    for prompt in ladder() {
        let parts = prompt.signal(Advantage::GroupNormPop, Group::Inf);
        let deviation = prompt.policy().sigma();
        let exact = parts.sigma * (2.0 - 1.0 / deviation);
        assert!(parts.s_cond <= 0.0 && parts.ip > 0.0, "{parts:?}");
        assert!(
            (parts.s_cond - exact).abs() <= parts.sigma * xi / deviation.powi(2),
            "{parts:?} {exact}"
        );
    }
    // Zero only at p_y = 1/2, as far as xi allows.
    let half = OneToken::new(Softmax::new(&[0.0, 0.0], 0), vec![1.0; 2], vec![1.0, -1.0]);
    let parts = half.signal(Advantage::GroupNormPop, Group::Inf);
    assert!(parts.s_cond.abs() < 1e-5 * parts.sigma, "{parts:?}");
}

#[test]
fn fact_2_a_finite_group_is_positive_where_m_is_below_two() {
    let (mut positive, mut negative) = (0, 0);
    for prompt in ladder() {
        for n in [2, 4, 8, 16, 64] {
            for advantage in [Advantage::GroupNorm, Advantage::GroupNormPop] {
                let parts = prompt.signal(advantage, Group::N(n));
                let exact = parts.sigma * (1.0 - (parts.m - 1.0).abs());
                assert!((parts.s_cond - exact).abs() < 1e-14, "{parts:?}");
                assert_eq!(parts.s_cond > 0.0, parts.m < 2.0, "{parts:?}");
                if parts.m < 2.0 {
                    positive += 1;
                } else {
                    negative += 1;
                }
            }
        }
    }
    assert!(positive > 20 && negative > 20, "{positive} {negative}");
}

#[test]
fn fact_3_per_sample_loses_at_least_as_much() {
    for prompt in ladder() {
        for advantage in Advantage::ALL {
            for group in [
                Group::Inf,
                Group::N(2),
                Group::N(4),
                Group::N(8),
                Group::N(16),
            ] {
                let parts = prompt.signal(advantage, group);
                assert!(
                    parts.lambda_ps >= parts.lambda_cond - 1e-14,
                    "{advantage} {group}: {parts:?}"
                );
            }
        }
        assert_eq!(
            prompt.signal(Advantage::MeanOnly, Group::Inf).lambda_cond,
            0.0
        );
        let parts = prompt.signal(Advantage::MeanOnly, Group::N(8));
        assert!(
            (parts.lambda_cond - parts.sigma / 8.0).abs() < 1e-15,
            "{parts:?}"
        );
    }
}

#[test]
fn fact_4_a_constant_advantage_transmits_nothing() {
    for prompt in ladder() {
        for value in [-1.5, 0.0, 0.3, 2.0] {
            let parts = prompt.signal_of_constant(value);
            assert_eq!((parts.m, parts.ip, parts.s_cond), (0.0, 0.0, 0.0));
            assert_eq!(parts.lambda_cond, parts.sigma);
            assert!(parts.s_ps <= 1e-14, "{parts:?}");
        }
    }
}
