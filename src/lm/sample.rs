//! Drawing a token from a row of logits.
use anyhow::{Result, ensure};

use crate::seed::Stream;

/// softmax(logits / temperature) in f64. An error where a logit is not finite
/// or the temperature not positive.
pub fn probabilities(logits: &[f32], temperature: f64) -> Result<Vec<f64>> {
    ensure!(
        temperature.is_finite() && temperature > 0.0,
        "a temperature of {temperature}; it must be positive"
    );
    check(logits)?;
    let max = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let mut p: Vec<f64> = (logits.iter())
        .map(|&z| ((f64::from(z) - f64::from(max)) / temperature).exp())
        .collect();
    let sum: f64 = p.iter().sum();
    for p in &mut p {
        *p /= sum;
    }
    Ok(p)
}

/// A token drawn at `temperature`; the likeliest (the first of equals) at 0.
pub fn sample(logits: &[f32], temperature: f64, stream: &mut Stream) -> Result<u32> {
    if temperature == 0.0 {
        check(logits)?;
        let mut best = 0;
        for (i, z) in logits.iter().enumerate() {
            if *z > logits[best] {
                best = i;
            }
        }
        return Ok(best as u32);
    }
    let p = probabilities(logits, temperature)?;
    Ok(stream.categorical(&p) as u32)
}

fn check(logits: &[f32]) -> Result<()> {
    ensure!(!logits.is_empty(), "no logits to draw from");
    let bad = logits.iter().position(|z| !z.is_finite());
    match bad {
        Some(i) => anyhow::bail!("the logit of token {i} is {}", logits[i]),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::seed::Seed;

    use super::*;

    #[test]
    fn a_softmax_of_large_logits() {
        let p = probabilities(&[1000.0, 1000.0 + 2f32.ln(), -1e30], 1.0).unwrap();
        assert!((p[0] - 1.0 / 3.0).abs() < 1e-4 && p[2] == 0.0, "{p:?}");
        let cold = probabilities(&[0.0, 1.0], 0.1).unwrap();
        assert!((cold[1] / cold[0] - 10f64.exp()).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_law_and_zero_is_greedy() {
        let mut stream = Seed(3).stream("sample", &[]);
        let logits = [0.0, 3f32.ln()];
        let ones: u32 = (0..4000)
            .map(|_| sample(&logits, 1.0, &mut stream).unwrap())
            .sum();
        assert!((2900..3100).contains(&ones), "{ones}");
        assert_eq!(sample(&[1.0, 5.0, 5.0], 0.0, &mut stream).unwrap(), 1);
    }

    #[test]
    fn faults() {
        let mut stream = Seed(3).stream("sample", &[]);
        let mut fault = |logits: &[f32], t| sample(logits, t, &mut stream).unwrap_err().to_string();
        assert_eq!(fault(&[0.0, f32::NAN], 1.0), "the logit of token 1 is NaN");
        assert_eq!(
            fault(&[0.0], -1.0),
            "a temperature of -1; it must be positive"
        );
        assert_eq!(fault(&[], 0.0), "no logits to draw from");
    }
}
