//! What every estimator says of nothing: properties over empty, short, constant
//! and damaged samples.
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
    prop_assert, prop_assert_eq, proptest,
};

use crate::{
    seed::Seed,
    stats::{
        BootstrapRows, PermutationRows, bootstrap_difference, bootstrap_spearman, fisher_mean,
        kappa, kendall_tau_b, leave_one_out, max_permutation, ols, partial_spearman, pearson,
        permutation_spearman, ranks, spearman, summary, zscore, zscore_sample,
    },
};

/// Values with many ties, extremes and, when `damaged`, what is no number.
fn value(damaged: bool) -> impl Strategy<Value = f64> {
    let usual = prop_oneof![
        4 => (-3i32..3).prop_map(f64::from),
        2 => -1.0..1.0,
        1 => Just(1e300),
        1 => Just(-1e300),
        1 => Just(5e-324),
        1 => Just(-0.0),
    ];
    let other = if damaged {
        vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
    } else {
        vec![0.0]
    };
    prop_oneof![9 => usual, 1 => proptest::sample::select(other)]
}

fn constant(x: &[f64]) -> bool {
    x.iter().all(|&value| value == x[0])
}

proptest! {
    #[test]
    fn never_a_number_from_what_is_no_number(
        (x, y) in (0usize..8, 0usize..8).prop_flat_map(|(n, m)| (vec(value(true), n), vec(value(true), m)))
    ) {
        let sound = |x: &[f64]| x.iter().all(|x| x.is_finite());
        let judged = x.len() == y.len() && x.len() >= 2 && sound(&x) && sound(&y);
        let rank_defined = judged && !constant(&x) && !constant(&y);
        prop_assert_eq!(spearman(&x, &y).is_some(), rank_defined);
        prop_assert_eq!(kendall_tau_b(&x, &y).is_some(), rank_defined);
        prop_assert_eq!(ranks(&x).is_some(), sound(&x));
        for r in [pearson(&x, &y), kendall_tau_b(&x, &y), spearman(&x, &y).map(|s| s.rho)] {
            prop_assert!(r.is_none_or(|r| rank_defined && (-1.0..=1.0).contains(&r)), "{:?}", r);
        }
        if let Some(p) = spearman(&x, &y).and_then(|spearman| spearman.p) {
            prop_assert!(x.len() > 2 && (0.0..=1.0).contains(&p), "{}", p);
        }
        for z in [zscore(&x), zscore_sample(&x)].into_iter().flatten() {
            prop_assert!(sound(&x) && !constant(&x) && z.iter().all(|z| z.is_finite()));
        }
        prop_assert!(ols(&x, &y).is_none_or(|line| judged && line.slope.is_finite() && line.rmse.is_finite()));
        if let Some(loo) = leave_one_out(&x, &y) {
            prop_assert!(judged && loo.rmse.is_finite());
            prop_assert_eq!(loo.undefined, loo.errors.iter().filter(|error| error.is_none()).count());
        }
        prop_assert!(kappa(&x, &y).is_none_or(|fit| sound(&x) && sound(&y) && fit.kappa.is_finite()));
        prop_assert!(summary(&x).is_none_or(|s| sound(&x) && s.mean.is_finite() && s.sd_population.is_finite()));
        prop_assert!(partial_spearman(&x, &y, &x).is_none(), "nothing is left of x given x");
    }

    #[test]
    fn resampling_drops_and_counts_instead_of_guessing(
        (x, y, z) in (0usize..7).prop_flat_map(|n| (vec(value(true), n), vec(value(true), n), vec(value(true), n)))
    ) {
        let n = x.len();
        let sound = |x: &[f64]| x.iter().all(|x| x.is_finite());
        let bootstrap = BootstrapRows::draw(n, 20, Seed(1));
        match bootstrap_spearman(&x, &y, &bootstrap) {
            None => prop_assert!(!sound(&x) || !sound(&y)),
            Some(interval) => {
                let rows = if n == 0 { 0 } else { 20 };
                prop_assert_eq!(interval.kept + interval.dropped, rows);
                prop_assert_eq!(interval.lo.is_some(), interval.kept > 0);
                prop_assert!(interval.kept == 0 || (!constant(&x) && !constant(&y)));
            }
        }
        if let Some(interval) = bootstrap_difference(&x, &y, &z, &bootstrap) {
            prop_assert!(interval.kept == 0 || !constant(&z));
        }
        let orders = PermutationRows::draw(n, 19, Seed(1));
        let test = permutation_spearman(&x, &y, &orders);
        prop_assert_eq!(test.is_some(), spearman(&x, &y).is_some());
        if let Some(test) = test {
            prop_assert!((0.05..=1.0).contains(&test.p));
        }
        if let Some(many) = max_permutation(&[&x, &y], &z, &orders) {
            for score in many.scores.iter().flatten() {
                prop_assert!(score.p_max >= score.single.p);
            }
            prop_assert_eq!(many.best.is_none(), many.undefined == 2);
        }
    }

    #[test]
    fn a_monotone_change_of_scale_changes_no_rank_statistic(x in vec(-4.0..4.0f64, 3..12usize), y in vec(value(false), 12)) {
        let y = &y[..x.len()];
        let stretched: Vec<f64> = x.iter().map(|x| x.exp() * 3.0 - 1.0).collect();
        prop_assert_eq!(spearman(&x, y), spearman(&stretched, y));
        let flipped: Vec<f64> = x.iter().map(|x| -x).collect();
        let (rho, back) = (spearman(&x, y).map(|s| s.rho), spearman(&flipped, y).map(|s| -s.rho));
        prop_assert_eq!(rho, back);
    }

    #[test]
    fn a_mean_of_ladders_is_defined_only_where_every_z_is(rhos in vec(proptest::option::of(-1.0..=1.0), 0..8usize)) {
        let used = rhos.iter().flatten().count();
        match fisher_mean(&rhos) {
            None => prop_assert!(used == 0 || rhos.iter().flatten().any(|rho: &f64| rho.abs() == 1.0)),
            Some(mean) => {
                prop_assert_eq!((mean.n, mean.undefined), (used, rhos.len() - used));
                if let Some((lo, hi)) = mean.interval {
                    prop_assert!(used > 1 && lo <= mean.rho && mean.rho <= hi);
                }
            }
        }
    }
}
