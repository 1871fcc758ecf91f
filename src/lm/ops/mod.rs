//! Operators of the language models, each with its gradient.
//!
//! On the CPU in f32 and f64 every operator is one fused, single-threaded
//! kernel (so results cannot depend on the number of threads); elsewhere it is
//! the same formula out of candle's differentiable primitives. The tests hold
//! the two against each other and against finite differences.
mod affine;
mod attention;
mod attention_kernel;
mod gated;
mod gelu;
mod layer_norm;
mod linear;
mod log_prob;
mod norm;
mod real;
mod rope;
mod tap;
#[cfg(test)]
mod tests;

pub use affine::affine;
pub use attention::{Heads, attention};
pub use gated::gated;
pub use gelu::{Gelu, gelu};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use log_prob::{log_prob, log_softmax};
pub use norm::{residual_norm, rms_norm};
pub use rope::Rope;
pub use tap::Tap;

pub(super) use real::wide;
