//! Estimators: slices of f64 in, a small struct out.
