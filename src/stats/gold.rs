//! Every estimator against scipy's and numpy's values (`tests/fixtures/open`,
//! stats.json and the `statistics` of extra.json), to 1e-12; counts exactly.
use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::stats::{
    BootstrapRows, Interval, PermutationRows, RowRanks, bootstrap::differences,
    bootstrap_difference, bootstrap_spearman, kappa, kendall_tau_b, leave_one_out, max_permutation,
    ols, partial_spearman, pearson, permutation_spearman, ranks, spearman, zscore, zscore_sample,
};

const TOLERANCE: f64 = 1e-12;

fn json(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/open")
        .join(name);
    // Python wrote scipy's own interval of one case as NaN, which is no JSON.
    let text = fs::read_to_string(path).unwrap().replace("NaN", "null");
    serde_json::from_str(&text).unwrap()
}

fn float(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(float).collect()
}

fn rows(value: &Value) -> Vec<Vec<usize>> {
    let row = |row: &Value| {
        floats(row)
            .into_iter()
            .map(|index| index as usize)
            .collect()
    };
    value.as_array().unwrap().iter().map(row).collect()
}

#[track_caller]
fn close(name: &str, got: f64, want: f64) {
    assert!(
        (got - want).abs() <= TOLERANCE,
        "{name}: {got} expected {want}"
    );
}

#[track_caller]
fn all_close(name: &str, got: &[f64], want: &Value) {
    let want = floats(want);
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        close(&format!("{name} {i}"), *got, want);
    }
}

/// Row values with null for the dropped.
#[track_caller]
fn rows_close(name: &str, got: &[Option<f64>], want: &Value) {
    let want = want.as_array().unwrap();
    assert_eq!(got.len(), want.len(), "{name}");
    for (b, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(
            got.is_none(),
            want.is_null(),
            "{name} row {b}: {got:?} {want}"
        );
        if let Some(got) = got {
            close(&format!("{name} row {b}"), *got, float(want));
        }
    }
}

#[track_caller]
fn interval_close(name: &str, got: Interval, ci95: &Value, dropped: &Value) {
    close(&format!("{name} lo"), got.lo.unwrap(), float(&ci95[0]));
    close(&format!("{name} hi"), got.hi.unwrap(), float(&ci95[1]));
    assert_eq!(got.dropped as u64, dropped.as_u64().unwrap(), "{name}");
}

#[test]
fn the_cases_of_stats_json() {
    let mut cases = 0;
    for (name, case) in json("stats.json").as_object().unwrap() {
        let (x, y) = (floats(&case["x"]), floats(&case["y"]));
        if case["spearman"].is_null() {
            assert_eq!(spearman(&x, &y), None, "{name}");
            continue;
        }
        cases += 1;
        all_close(
            &format!("{name} ranks x"),
            &ranks(&x).unwrap(),
            &case["ranks_x"],
        );
        all_close(
            &format!("{name} ranks y"),
            &ranks(&y).unwrap(),
            &case["ranks_y"],
        );
        let rho = spearman(&x, &y).unwrap();
        let line = ols(&x, &y).unwrap();
        for (field, got) in [
            ("spearman", rho.rho),
            ("spearman_p_t", rho.p.unwrap()),
            ("pearson", pearson(&x, &y).unwrap()),
            ("kendall_tau_b", kendall_tau_b(&x, &y).unwrap()),
            ("ols_slope", line.slope),
            ("ols_intercept", line.intercept),
            ("ols_r2", line.r2.unwrap()),
            ("ols_rmse", line.rmse),
        ] {
            close(&format!("{name} {field}"), got, float(&case[field]));
        }
        let z = zscore(&x).unwrap();
        all_close(&format!("{name} z"), &z, &case["z_population"]);
        all_close(
            &format!("{name} z sample"),
            &zscore_sample(&x).unwrap(),
            &case["z_sample"],
        );
        let sum: Vec<f64> = z
            .iter()
            .zip(zscore(&y).unwrap())
            .map(|(x, y)| x + y)
            .collect();
        all_close(&format!("{name} z sum"), &sum, &case["z_sum_population"]);

        let rows = BootstrapRows::from_rows(x.len(), &rows(&case["bootstrap_indices"])).unwrap();
        let (x_rows, y_rows) = (
            RowRanks::of_bootstrap(&x, &rows).unwrap(),
            RowRanks::of_bootstrap(&y, &rows).unwrap(),
        );
        let values: Vec<Option<f64>> = x_rows.correlations(&y_rows).collect();
        rows_close(name, &values, &case["bootstrap_values"]);
        let interval = bootstrap_spearman(&x, &y, &rows).unwrap();
        interval_close(
            name,
            interval,
            &case["bootstrap_ci95"],
            &case["bootstrap_dropped"],
        );
    }
    assert_eq!(cases, 5);
}

#[test]
fn permutation_tests() {
    let extra = json("extra.json");
    for name in ["no_ties_n8", "ties_n12"] {
        let case = &extra["statistics"]["permutation"][name];
        let (x, y) = (floats(&case["x"]), floats(&case["y"]));
        let rows = PermutationRows::from_rows(x.len(), &rows(&case["indices"])).unwrap();
        let got = permutation_spearman(&x, &y, &rows).unwrap();
        close(name, got.rho, float(&case["rho"]));
        assert_eq!(got.count as u64, case["count"].as_u64().unwrap(), "{name}");
        assert_eq!((got.rows, got.p), (999, float(&case["p"])), "{name}");
        let permuted = RowRanks::of_permutations(&y, &rows).unwrap();
        let plain = PermutationRows::from_rows(x.len(), &vec![(0..x.len()).collect(); 20]).unwrap();
        let fixed = RowRanks::of_permutations(&x, &plain).unwrap();
        let first: Vec<Option<f64>> = fixed.correlations(&permuted).collect();
        rows_close(name, &first, &case["rho_permuted_first20"]);
    }
}

#[test]
fn the_best_of_many() {
    let extra = json("extra.json");
    let case = &extra["statistics"]["max_rho"];
    let scores: Vec<Vec<f64>> = case["scores"]
        .as_array()
        .unwrap()
        .iter()
        .map(floats)
        .collect();
    let scores: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
    let target = floats(&case["target"]);
    let rows = PermutationRows::from_rows(target.len(), &rows(&case["indices"])).unwrap();
    let got = max_permutation(&scores, &target, &rows).unwrap();
    for (j, score) in got.scores.iter().enumerate() {
        let score = score.unwrap();
        close(
            &format!("rho {j}"),
            score.single.rho,
            float(&case["rho"][j]),
        );
        assert_eq!(score.single.p, float(&case["p_single"][j]), "p_single {j}");
        assert_eq!(score.p_max, float(&case["p_max"][j]), "p_max {j}");
    }
    let best = got.scores[got.best.unwrap()].unwrap();
    assert_eq!(best.p_max, float(&case["p_max_best"]));
    assert!(
        got.scores
            .iter()
            .flatten()
            .any(|score| score.single.rho < 0.0),
        "the sign matters"
    );
}

#[test]
fn affine_fits() {
    let extra = json("extra.json");
    let case = &extra["statistics"]["affine"];
    let (x, y) = (floats(&case["x"]), floats(&case["y"]));
    let line = ols(&x, &y).unwrap();
    let loo = leave_one_out(&x, &y).unwrap();
    let origin = kappa(&x, &y).unwrap();
    for (field, got) in [
        ("slope", line.slope),
        ("intercept", line.intercept),
        ("r2", line.r2.unwrap()),
        ("loo_rmse", loo.rmse),
        ("loo_mae", loo.mae),
        ("kappa", origin.kappa),
        ("kappa_r2_centred", origin.r2_centred.unwrap()),
        ("kappa_r2_uncentred", origin.r2_uncentred.unwrap()),
    ] {
        close(field, got, float(&case[field]));
    }
    rows_close("loo_errors", &loo.errors, &case["loo_errors"]);
    assert_eq!(loo.undefined, 0);
}

#[test]
fn the_combined_predictor() {
    let extra = json("extra.json");
    let case = &extra["statistics"]["combined"];
    let (before, score) = (floats(&case["r_before"]), floats(&case["score"]));
    let (after, gain) = (floats(&case["r_after"]), floats(&case["gain"]));
    let pairs = zscore(&before)
        .unwrap()
        .into_iter()
        .zip(zscore(&score).unwrap());
    let combined: Vec<f64> = pairs.map(|(before, score)| before + score).collect();
    all_close("combined", &combined, &case["combined"]);
    let rho = |x: &[f64], y: &[f64]| spearman(x, y).unwrap().rho;
    for (field, got) in [
        ("rho_combined_r_after", rho(&combined, &after)),
        ("rho_r_before_r_after", rho(&before, &after)),
        ("rho_score_r_after", rho(&score, &after)),
        ("rho_combined_gain", rho(&combined, &gain)),
        ("rho_score_gain", rho(&score, &gain)),
    ] {
        close(field, got, float(&case[field]));
    }
}

#[test]
fn partial_correlations() {
    let extra = json("extra.json");
    let case = &extra["statistics"]["partial"];
    let (x, y, z) = (floats(&case["x"]), floats(&case["y"]), floats(&case["z"]));
    close(
        "partial",
        partial_spearman(&x, &y, &z).unwrap(),
        float(&case["partial"]),
    );
    let after = floats(&extra["statistics"]["combined"]["r_after"]);
    let got = partial_spearman(&x, &after, &z).unwrap();
    close("partial_r_after", got, float(&case["partial_r_after"]));
    let monotone = floats(&case["x_is_monotone_in_z"]["x"]);
    assert_eq!(partial_spearman(&monotone, &y, &z), None);
    assert_eq!(
        partial_spearman(&x, &y, &floats(&case["z_constant"]["z"])),
        None
    );
}

#[test]
fn differences_of_two_correlations() {
    let extra = json("extra.json");
    for name in ["n12", "n5_ties"] {
        let case = &extra["statistics"]["bootstrap_difference"][name];
        let [score, baseline, target] =
            ["score", "baseline", "target"].map(|field| floats(&case[field]));
        let rho = |x: &[f64]| spearman(x, &target).unwrap().rho;
        close("rho_score", rho(&score), float(&case["rho_score"]));
        close("rho_baseline", rho(&baseline), float(&case["rho_baseline"]));
        close("delta", rho(&score) - rho(&baseline), float(&case["delta"]));
        let rows = BootstrapRows::from_rows(score.len(), &rows(&case["indices"])).unwrap();
        let ranked =
            [&score, &baseline, &target].map(|x| RowRanks::of_bootstrap(x, &rows).unwrap());
        let values: Vec<Option<f64>> = differences(&ranked[0], &ranked[1], &ranked[2]).collect();
        rows_close(name, &values, &case["values"]);
        let interval = bootstrap_difference(&score, &baseline, &target, &rows).unwrap();
        interval_close(name, interval, &case["ci95"], &case["dropped"]);
    }
}
