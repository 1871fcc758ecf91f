//! Where and in which number format a model computes: parameters that every
//! kind with a model has, in the key and never guessed.
use anyhow::{Result, bail};
use candle_core::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A class of devices; any device of the class may compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceClass {
    #[default]
    Cpu,
    /// The first NVIDIA GPU; needs the Cargo feature `cuda`.
    Cuda,
}

/// A format of numbers: of what forward and backward passes compute in, or of
/// what an optimizer keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    #[default]
    F32,
    Bf16,
}

impl DeviceClass {
    /// The device; an error where the program or the machine has none.
    pub fn open(self) -> Result<Device> {
        match self {
            DeviceClass::Cpu => Ok(Device::Cpu),
            DeviceClass::Cuda => open_cuda(),
        }
    }
}

impl Precision {
    pub fn dtype(self) -> DType {
        match self {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn open_cuda() -> Result<Device> {
    bail!("`device` is `cuda`, but this program was built without the feature `cuda`")
}

/// candle panics where the driver's library is missing, so it is tried first.
#[cfg(feature = "cuda")]
fn open_cuda() -> Result<Device> {
    // SAFETY: a constant name that ends in NUL; the handle is never closed, as
    // candle opens the same library next.
    let library = unsafe { libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_LAZY) };
    if library.is_null() {
        bail!("`device` is `cuda`, but this machine has no NVIDIA driver (libcuda.so.1)");
    }
    anyhow::Context::context(Device::new_cuda(0), "open the first CUDA device")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_opens_and_names_are_those_of_pipelines() {
        assert!(DeviceClass::default().open().unwrap().is_cpu());
        assert_eq!(Precision::Bf16.dtype(), DType::BF16);
        let names = (
            serde_json::to_value(DeviceClass::Cuda).unwrap(),
            serde_json::to_value(Precision::Bf16).unwrap(),
        );
        assert_eq!(names, ("cuda".into(), "bf16".into()));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_built_in_is_an_error() {
        assert_eq!(
            DeviceClass::Cuda.open().unwrap_err().to_string(),
            "`device` is `cuda`, but this program was built without the feature `cuda`"
        );
    }
}
