//! Opening the cache to look back, and which run a word names.
use crate::{
    cache::Cache,
    cli::{
        args::CachePlace,
        exit::Failure,
        workplace::{cache_root, open_cache},
    },
    diagnostic::listing,
    runs::{Past, find},
};

/// The cache, which must be there.
pub(super) fn open(place: &CachePlace) -> Result<Cache, Failure> {
    open_cache(&cache_root(place.cache.as_deref())?)
}

/// The run that a word names.
pub(super) fn run_named(cache: &Cache, word: &str) -> Result<Past, Failure> {
    let ids = cache.run_ids()?;
    let known = match find(&ids, word).as_slice() {
        [id] => Past::read(cache, id)?,
        [] => None,
        several => {
            return Err(Failure::Usage(format!(
                "`{word}` begins several runs: {}",
                listing(several)
            )));
        }
    };
    known.ok_or_else(|| Failure::Usage(format!("no run is named `{word}`: `vgh runs` lists them")))
}
