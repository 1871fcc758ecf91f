//! `vgh update`: resolves the references of a pipeline anew and shows what moved.
#![expect(clippy::print_stdout, reason = "the command's output")]
use crate::{
    cli::{
        args::{self, Place},
        exit::{Exit, Failure},
        references,
        workplace::Workplace,
    },
    pipeline::Lock,
    progress::plural,
    stage::{Pinned, Reference},
};

pub(super) fn update(args: &args::Update) -> Result<Exit, Failure> {
    let words = args.file.iter().map(|file| file.display().to_string());
    let place = Workplace::open(&Place {
        words: words.collect(),
        set: args.set.clone(),
        offline: false,
        cache: None,
    })?;
    let pipeline = &place.pipeline;
    let wanted = references::references(pipeline, pipeline.ids());
    let mut lock = Lock::default();
    let mut moved = 0;
    for (reference, pinned) in references::resolve(pipeline, &wanted)? {
        let lines = difference(&reference, pipeline.lock.entry(&reference), &pinned);
        moved += usize::from(!lines.is_empty());
        for line in lines {
            println!("{line}");
        }
        lock.pin(&reference, pinned);
    }
    let path = &place.lock_path;
    if lock.is_empty() {
        println!("{}: no references to a hub", pipeline.name);
        return Ok(Exit::Done);
    }
    if lock != pipeline.lock {
        references::write(path, &lock)?;
    }
    println!(
        "{}: {}, {moved} new or moved: {}",
        pipeline.name,
        plural(wanted.len(), "reference"),
        path.display()
    );
    Ok(Exit::Done)
}

/// What is other than before, in lines; none if nothing is.
fn difference(reference: &Reference, before: Option<&Pinned>, now: &Pinned) -> Vec<String> {
    let of = format!("{} {}", reference.repo, reference.revision);
    let short = |commit: &str| commit.chars().take(12).collect::<String>();
    let Some(before) = before else {
        let named = format!("{} at {}", now.name, short(&now.commit));
        let files = plural(now.files.len(), "file");
        return vec![format!("{of}: new, {named}, {files}")];
    };
    if before == now {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{of}: {} at {} -> {} at {}",
        before.name,
        short(&before.commit),
        now.name,
        short(&now.commit)
    )];
    let (old, new) = (&before.files, &now.files);
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        lines.push(format!("  {path}: gone"));
    }
    let wanted = now.only(&reference.files);
    for (path, file) in new {
        let change = match old.get(path) {
            None => "new",
            Some(was) if was != file => "other bytes",
            Some(_) => continue,
        };
        let unused = if wanted.files.contains_key(path) {
            ""
        } else {
            " (not among `files`)"
        };
        lines.push(format!("  {path}: {change}, {} bytes{unused}", file.size));
    }
    lines
}
