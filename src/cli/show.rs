//! `vgh show`: prints a result, a table as a table.
#![expect(clippy::print_stdout, reason = "the command's output")]
use anyhow::Context as _;

use crate::{
    artifact::{
        ArtifactType, Coords,
        table::{TableForm, TablePrinter},
    },
    cache::{Cache, Content, Form},
    cli::{
        args,
        exit::{Exit, Failure},
        workplace::Workplace,
    },
    engine::plan,
    pipeline::InstanceId,
    stage::OutputPort,
};

pub(super) fn show(args: &args::Show) -> Result<Exit, Failure> {
    let place = Workplace::open(&args.place)?;
    let Some(targets) = &place.targets else {
        let names: Vec<&str> = place
            .pipeline
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        return Err(Failure::Usage(format!(
            "name a stage to show: {}",
            names.join(", ")
        )));
    };
    let Some((cache, index)) = place.existing_cache()? else {
        return Err(Failure::Usage(format!(
            "no cache at {}: run the pipeline first",
            place.cache_root.display()
        )));
    };
    let externals = place.externals(Some(&cache))?;
    let plan = plan(
        &place.pipeline,
        &place.graph(),
        &externals,
        Some((&cache, &index)),
    );
    let mut printer = TablePrinter::new(if args.csv {
        TableForm::Csv
    } else if args.json {
        TableForm::Json
    } else {
        TableForm::Terminal
    });
    for &id in targets {
        let label = place.pipeline.label(id);
        let outputs = plan
            .entries
            .iter()
            .find(|entry| entry.id == id)
            .and_then(|entry| entry.outputs());
        let Some(outputs) = outputs else {
            return Err(Failure::Usage(format!(
                "`{label}` has no result yet: `vgh run {label}` makes it"
            )));
        };
        for port in ports(&place, id, args.output.as_deref())? {
            if let Some(content) = outputs.get(port.name) {
                print_one(
                    &cache,
                    &label,
                    port,
                    content,
                    &mut printer,
                    &place.pipeline.instance(id).coords,
                )?;
            }
        }
    }
    print!("{}", printer.finish()?);
    Ok(Exit::Done)
}

/// The outputs asked for: one by name, else all.
fn ports(
    place: &Workplace,
    id: InstanceId,
    name: Option<&str>,
) -> Result<Vec<&'static OutputPort>, Failure> {
    let stage = place.pipeline.stage_of(id);
    let Some(name) = name else {
        return Ok(stage.outputs.clone());
    };
    let known: Vec<String> = stage
        .outputs
        .iter()
        .map(|port| format!("`{}`", port.name))
        .collect();
    let port = stage.output(name).ok_or_else(|| {
        Failure::Usage(format!(
            "`{}` has no output `{name}`: it has {}",
            stage.name,
            known.join(", ")
        ))
    })?;
    Ok(vec![port])
}

fn print_one(
    cache: &Cache,
    label: &str,
    port: &OutputPort,
    content: &Content,
    printer: &mut TablePrinter,
    coords: &Coords,
) -> Result<(), Failure> {
    let title = format!("{label}.{}", port.name);
    match (port.artifact, content.form) {
        (ArtifactType::Table(_) | ArtifactType::Prompts, Form::File) => {
            let path = cache
                .verified(&content.digest, content.size)
                .map_err(|broken| {
                    Failure::Effect(
                        anyhow::Error::new(broken)
                            .context(format!("read `{title}`: run the pipeline again to make it")),
                    )
                })?;
            printer.add(&title, port.name, &path, coords)?;
        }
        (_, Form::Tree) => {
            let tree = cache
                .tree(&content.digest)
                .with_context(|| format!("read `{title}`"))?;
            let files = tree
                .files
                .iter()
                .map(|(name, entry)| format!("{name}  {} bytes", entry.size));
            printer.note(&title, &files.collect::<Vec<_>>().join("\n"));
        }
        (_, Form::File) => printer.note(
            &title,
            &cache.blob_path(&content.digest).display().to_string(),
        ),
    }
    Ok(())
}
