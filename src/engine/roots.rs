//! What a plan relies on, for whoever removes bytes from the cache.
use crate::{
    cache::Roots,
    engine::{externals::Externals, key::Manifest, plan::Plan},
    pipeline::Pipeline,
};

impl Plan {
    /// The results that the plan is about: by key, and by shape where the key
    /// is known only once something before it has run.
    pub fn roots(&self, pipeline: &Pipeline, externals: &Externals) -> Roots {
        let mut roots = Roots::default();
        roots.keys.reserve(self.entries.len());
        for entry in &self.entries {
            if let Some(key) = entry.key {
                roots.keys.insert(key);
                continue;
            }
            let kind = pipeline.stage_of(entry.id).kind;
            let instance = pipeline.instance(entry.id);
            let shape = Manifest::shape(kind, instance, externals.of(entry.id));
            roots.shapes.insert(shape.digest());
        }
        roots
    }
}
