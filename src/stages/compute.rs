//! Where and in which number format a kind computes: parameters of every kind
//! that runs a model, in the key and never guessed.
use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device, utils};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of device; any device of a class may compute.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DeviceClass {
    #[default]
    Cpu,
    /// The first NVIDIA GPU; needs the Cargo feature `cuda`.
    Cuda,
    /// The first Apple GPU; needs the Cargo feature `metal`.
    Metal,
}

/// The format of weights and hidden states; theory is f64 in any case.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Dtype {
    #[default]
    F32,
    Bf16,
    F16,
}

impl DeviceClass {
    /// Opens the device; an error where the program or the machine has none.
    pub(super) fn open(self) -> Result<Device> {
        match self {
            DeviceClass::Cpu => Ok(Device::Cpu),
            DeviceClass::Cuda => {
                ensure!(
                    utils::cuda_is_available(),
                    "`device` is `cuda`, but this program was built without the feature `cuda`"
                );
                Device::new_cuda(0).context("open the first CUDA device")
            }
            DeviceClass::Metal => {
                ensure!(
                    utils::metal_is_available(),
                    "`device` is `metal`, but this program was built without the feature `metal`"
                );
                Device::new_metal(0).context("open the first Metal device")
            }
        }
    }
}

impl From<Dtype> for DType {
    fn from(dtype: Dtype) -> DType {
        match dtype {
            Dtype::F32 => DType::F32,
            Dtype::Bf16 => DType::BF16,
            Dtype::F16 => DType::F16,
        }
    }
}
