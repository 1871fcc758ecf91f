//! The paper's formulas: f64 in, f64 out, symbols as in the paper.
