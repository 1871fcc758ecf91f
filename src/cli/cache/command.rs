//! From the arguments to one of the commands, and the cache they are about.
use crate::cli::{
    cache::{
        args::{Cache, Command},
        drop, gc, ls, path, verify,
    },
    exit::{Exit, Failure},
    workplace::{cache_root, open_cache},
};

pub(in crate::cli) fn cache(args: &Cache) -> Result<Exit, Failure> {
    let root = cache_root(args.folder.as_deref())?;
    match &args.command {
        Command::Ls(args) => ls::ls(args, &open_cache(&root)?),
        Command::Gc(args) => gc::gc(args, &open_cache(&root)?),
        Command::Verify(args) => verify::verify(args, &open_cache(&root)?),
        Command::Drop(args) => drop::drop(args, &open_cache(&root)?),
        Command::Path(args) => path::path(args, &root),
    }
}
