//! Each fused operator against the primitives, and its gradient against both
//! the primitives' and central differences in f64.
use std::f64::consts::SQRT_2;

use candle_core::{DType, Device, Result, Tensor, Var};

use super::{
    Gelu, Heads, Rope, Tap,
    affine::affine,
    attention::{attention, attention_primitive},
    gated::gated,
    gelu::{gelu, gelu_primitive},
    layer_norm::{layer_norm, layer_norm_primitive},
    linear::linear,
    log_prob::{log_prob, log_softmax},
    norm::{residual_norm, rms_norm, rms_norm_primitive},
};
use crate::lm::tests_compare::{assert_close, difference, values};
use crate::seed::Seed;

const EPS: f64 = 1e-5;

fn variables(shapes: &[&[usize]]) -> Vec<Var> {
    let draw = |(i, shape): (usize, &&[usize])| {
        let mut stream = Seed(11).stream("ops test", &[i as u64]);
        let n = shape.iter().product();
        let values: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        Var::from_vec(values, *shape, &Device::Cpu).unwrap()
    };
    shapes.iter().enumerate().map(draw).collect()
}

fn tensors(vars: &[Var], dtype: DType) -> Vec<Tensor> {
    let convert = |var: &Var| var.as_tensor().to_dtype(dtype).unwrap();
    vars.iter().map(convert).collect()
}

/// A scalar that weighs every output element differently.
fn weigh(out: &Tensor) -> Tensor {
    let n = out.elem_count();
    let weights: Vec<f64> = (0..n).map(|i| (i as f64 * SQRT_2).sin()).collect();
    let weights = Tensor::from_vec(weights, out.shape(), &Device::Cpu).unwrap();
    (out.to_dtype(DType::F64).unwrap() * weights)
        .unwrap()
        .sum_all()
        .unwrap()
}

fn gradients(vars: &[Var], out: &Tensor) -> Vec<Tensor> {
    let store = weigh(out).backward().unwrap();
    vars.iter()
        .map(|var| store.get(var).unwrap().clone())
        .collect()
}

fn named(got: Vec<Tensor>, expected: Vec<Tensor>) -> Vec<(String, Tensor, Tensor)> {
    let name = |(i, (a, b))| (format!("argument {i}"), a, b);
    got.into_iter()
        .zip(expected)
        .enumerate()
        .map(name)
        .collect()
}

fn differences(vars: &[Var], f: impl Fn() -> f64) -> Vec<Tensor> {
    let mut all = Vec::new();
    for var in vars {
        let start = values(var);
        let set = |values: &[f64]| {
            let tensor = Tensor::from_slice(values, var.shape(), &Device::Cpu).unwrap();
            var.set(&tensor).unwrap();
        };
        let mut out = Vec::new();
        for i in 0..start.len() {
            let at = |shift: f64| {
                let mut moved = start.clone();
                moved[i] += shift;
                set(&moved);
                f()
            };
            out.push((at(1e-5) - at(-1e-5)) / 2e-5);
        }
        set(&start);
        all.push(Tensor::from_vec(out, var.shape(), &Device::Cpu).unwrap());
    }
    all
}

/// Holds one operator against its primitive form in f64 and f32.
fn check(
    shapes: &[&[usize]],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    primitive: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let vars = variables(shapes);
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-5)] {
        let got = fused(&tensors(&vars, dtype)).unwrap();
        let expected = primitive(&tensors(&vars, DType::F64)).unwrap();
        let output = ("output".to_owned(), got.clone(), expected.clone());
        assert_close(&[output], tolerance);
        let pairs = named(gradients(&vars, &got), gradients(&vars, &expected));
        assert_close(&pairs, tolerance);
    }
    let got = gradients(&vars, &fused(&tensors(&vars, DType::F64)).unwrap());
    let numeric = differences(&vars, || {
        let out = fused(&tensors(&vars, DType::F64)).unwrap();
        weigh(&out).to_scalar().unwrap()
    });
    assert_close(&named(got, numeric), 1e-7);
}

#[test]
fn norms() {
    check(
        &[&[2, 3, 21], &[21]],
        |x| rms_norm(&x[0], &x[1], EPS),
        |x| rms_norm_primitive(&x[0], &x[1], EPS),
    );
    check(
        &[&[2, 3, 21], &[2, 3, 21], &[21]],
        |x| residual_norm(&x[0], &x[1], &x[2], EPS),
        |x| &x[0] + rms_norm_primitive(&x[1], &x[2], EPS)?,
    );
}

#[test]
fn norms_with_a_mean_and_a_bias() {
    check(
        &[&[2, 3, 21], &[21], &[21]],
        |x| layer_norm(&x[0], &x[1], &x[2], EPS),
        |x| layer_norm_primitive(&x[0], &x[1], &x[2], EPS),
    );
}

#[test]
fn gaussian_units() {
    for kind in [Gelu::Exact, Gelu::Tanh] {
        check(
            &[&[3, 40]],
            |x| gelu(&(&x[0] * 2.0)?, kind),
            |x| gelu_primitive(&(&x[0] * 2.0)?, kind),
        );
    }
    let at = |x: f64, kind| {
        let x = Tensor::new(&[x], &Device::Cpu).unwrap();
        values(&gelu(&x, kind).unwrap())[0]
    };
    // 2 Phi(2); the tails are the identity and 0
    assert!((at(2.0, Gelu::Exact) - 1.954_499_736_103_642).abs() < 1e-15);
    assert!((at(2.0, Gelu::Tanh) - 1.954_597_694_087_775).abs() < 1e-12);
    for kind in [Gelu::Exact, Gelu::Tanh] {
        assert_eq!((at(30.0, kind), at(-30.0, kind).abs()), (30.0, 0.0));
    }
}

#[test]
fn projections() {
    let plain = |x: &Tensor, w: &Tensor| x.broadcast_matmul(&w.t()?);
    check(
        &[&[2, 3, 5], &[7, 5]],
        |x| linear(&x[0], &x[1]),
        |x| plain(&x[0], &x[1]),
    );
    check(
        &[&[2, 3, 5], &[7, 5], &[7]],
        |x| affine(&x[0], &x[1], &x[2]),
        |x| plain(&x[0], &x[1])?.broadcast_add(&x[2]),
    );
    check(
        &[&[2, 3, 5], &[7, 5], &[7, 5]],
        |x| gated(&x[0], &x[1], &x[2]),
        |x| plain(&x[0], &x[1])?.silu()? * plain(&x[0], &x[2])?,
    );
}

#[test]
fn attention_with_grouped_heads() {
    for (queries, keys, time) in [(4, 2, 5), (2, 2, 18), (3, 1, 1)] {
        let heads = Heads {
            queries,
            keys,
            dim: 6,
        };
        for rotated in [6, 2] {
            let rope = Rope::partial(time, 6, rotated, 50.0);
            check(
                &[
                    &[2, time, queries * 6],
                    &[2, time, keys * 6],
                    &[2, time, keys * 6],
                ],
                |x| attention(&x[0], &x[1], &x[2], heads, &rope),
                |x| attention_primitive(&x[0], &x[1], &x[2], heads, &rope),
            );
        }
    }
}

#[test]
fn log_probabilities() {
    let ids = Tensor::new(&[[3u32, 0, 3], [18, 2, 1]], &Device::Cpu).unwrap();
    check(
        &[&[2, 19]],
        |x| log_prob(&x[0], &ids),
        |x| log_softmax(&x[0])?.gather(&ids, 1),
    );
    let logits = Tensor::zeros((2, 18), DType::F32, &Device::Cpu).unwrap();
    let fault = log_prob(&logits, &ids).unwrap_err().to_string();
    assert!(fault.contains("token 18 of a vocabulary of 18"), "{fault}");
}

/// Fused kernels read views with an offset and views that are not contiguous.
#[test]
fn views_are_read_where_they_lie() {
    let x = &variables(&[&[4, 6, 8], &[8]]);
    let (x, w) = (x[0].as_tensor(), x[1].as_tensor());
    for view in [x.narrow(0, 1, 2).unwrap(), x.transpose(0, 1).unwrap()] {
        let copy = view.force_contiguous().unwrap();
        let (got, expected) = (rms_norm(&view, w, EPS), rms_norm(&copy, w, EPS));
        assert_eq!(difference(&got.unwrap(), &expected.unwrap()).0, 0.0);
    }
}

#[test]
fn rotation_keeps_distances_only() {
    let rope = Rope::new(6, 8, 10.0);
    let vars = variables(&[&[8], &[8]]);
    let (q, k) = (values(&vars[0]), values(&vars[1]));
    let rotations = rope.rounded::<f64>();
    let dot = |t: usize, s: usize| {
        let (mut a, mut b) = ([0.0; 8], [0.0; 8]);
        rotations.rotate(t, 1.0, &q, &mut a);
        rotations.rotate(s, 1.0, &k, &mut b);
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
    };
    assert!((dot(5, 3) - dot(2, 0)).abs() < 1e-12);
    assert!((dot(5, 3) - dot(5, 4)).abs() > 1e-3);
    let (mut there, mut back) = ([0.0; 8], [0.0; 8]);
    rotations.rotate(4, 1.0, &q, &mut there);
    rotations.rotate_back(4, 1.0, &there, &mut back);
    assert!(back.iter().zip(&q).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn a_tap_keeps_what_passes() {
    let x = &variables(&[&[3]])[0];
    let (same, tap) = Tap::of(x.as_tensor(), "x").unwrap();
    assert_eq!(difference(&same, x).0, 0.0);
    assert_eq!(
        tap.gradient().unwrap_err().to_string(),
        "no gradient reached `x`"
    );
    let store = same.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let expected = (x.as_tensor() * 2.0).unwrap().detach();
    assert_eq!(difference(&tap.gradient().unwrap(), &expected).0, 0.0);
    assert_eq!(difference(store.get(x).unwrap(), &expected).0, 0.0);
    let fault = Tap::of(&x.as_tensor().detach(), "x").err().unwrap();
    assert_eq!(
        fault.to_string(),
        "`x` depends on no variable: it would get no gradient"
    );
}
