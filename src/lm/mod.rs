//! Language models: three families, weights, tokenizer, gradients, optimizer.
//!
//! `olmo2`, `llama` and `gpt_neox` say what a block computes; all else is shared
//! in `model`. A [`Model`] reads and writes the folders that Hugging Face's transformers
//! use. Every operator has a gradient ([`ops`]), so hidden states, embeddings
//! and all parameters can be differentiated; a gradient that is missing is an
//! error that names the tensor, never a zero. Knows nothing of rewards.
mod adamw;
mod batch;
mod checkpoint;
mod config;
mod config_file;
mod device;
mod gpt_neox;
mod gradient;
mod layout;
mod llama;
mod loss;
mod model;
mod moments;
mod observe;
mod olmo2;
pub mod ops;
mod probe;
mod safetensors;
mod sample;
#[cfg(test)]
mod tests_compare;
#[cfg(test)]
mod tests_config;
#[cfg(test)]
mod tests_families;
#[cfg(test)]
mod tests_files;
#[cfg(test)]
mod tests_gold;
#[cfg(test)]
mod tests_gradient;
mod tokenizer;
mod weights;

pub use adamw::{AdamW, AdamWOptions};
pub use batch::{Batch, last_positions};
pub use checkpoint::Init;
pub use config::{Config, Family, GptNeox};
pub use device::{DeviceClass, Precision};
pub use gradient::{Gradients, clip_coefficient, gradient_of};
pub use loss::next_token_loss;
pub use model::Model;
pub use observe::{Forward, Observe};
pub use ops::{Gelu, Tap, log_prob, log_softmax};
pub use probe::{Costates, Sequence, costates};
pub use sample::{probabilities, sample};
pub use tokenizer::{Tokenizer, word_tokenizer};
pub use weights::Files;

/// Part of the key of everything that computes with a model: raised when the
/// same inputs would give other numbers.
pub const VERSION: u32 = 1;
