//! An identity whose backward pass keeps the gradient that goes through.
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Result, Shape, Tensor,
    backend::BackendStorage,
};

/// The handle of one tapped tensor. After `loss.backward()` it holds the
/// gradient of that loss; a later backward pass replaces it.
#[derive(Clone)]
pub struct Tap {
    name: String,
    kept: Arc<Mutex<Option<Tensor>>>,
}

impl Tap {
    /// `x` itself, and the handle by which its gradient is read. `x` must depend
    /// on a variable, else no backward pass would come by.
    pub fn of(x: &Tensor, name: &str) -> anyhow::Result<(Tensor, Tap)> {
        anyhow::ensure!(
            x.track_op(),
            "`{name}` depends on no variable: it would get no gradient"
        );
        let kept = Arc::new(Mutex::new(None));
        let identity = Identity(Arc::clone(&kept));
        let name = name.to_owned();
        Ok((x.apply_op1(identity)?, Tap { name, kept }))
    }

    /// The gradient of the last loss by this tensor, in its shape. An error that
    /// names the tensor where no gradient came by.
    pub fn gradient(&self) -> anyhow::Result<Tensor> {
        let kept = self.kept.lock().ok().and_then(|kept| kept.clone());
        kept.with_context(|| format!("no gradient reached `{}`", self.name))
    }
}

struct Identity(Arc<Mutex<Option<Tensor>>>);

/// A contiguous copy (1 x + 0), the one way that every backend offers.
fn copy<S: BackendStorage>(storage: &S, layout: &Layout) -> Result<(S, Shape)> {
    Ok((storage.affine(layout, 1.0, 0.0)?, layout.shape().clone()))
}

impl CustomOp1 for Identity {
    fn name(&self) -> &'static str {
        "tap"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        copy(storage, layout)
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        copy(storage, layout)
    }

    fn metal_fwd(&self, storage: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        copy(storage, layout)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        match self.0.lock() {
            Ok(mut kept) => *kept = Some(grad.detach()),
            Err(_) => candle_core::bail!("a tap's lock is poisoned"),
        }
        Ok(Some(grad.clone()))
    }
}
