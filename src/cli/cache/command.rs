//! From the arguments to one of the commands, and the cache they are about.
use std::path::Path;

use crate::{
    cache,
    cli::{
        cache::{
            args::{Cache, Command},
            drop, gc, ls, path, verify,
        },
        exit::{Exit, Failure},
        workplace::{cache_root, no_cache},
    },
};

pub(in crate::cli) fn cache(args: &Cache) -> Result<Exit, Failure> {
    let root = cache_root(args.folder.as_deref())?;
    match &args.command {
        Command::Ls(args) => ls::ls(args, &open(&root)?),
        Command::Gc(args) => gc::gc(args, &open(&root)?),
        Command::Verify(args) => verify::verify(args, &open(&root)?),
        Command::Drop(args) => drop::drop(args, &open(&root)?),
        Command::Path(args) => path::path(args, &root),
    }
}

fn open(root: &Path) -> Result<cache::Cache, Failure> {
    let opened = cache::Cache::open_existing(root).map_err(Failure::Cache)?;
    opened.ok_or_else(|| no_cache(root))
}
