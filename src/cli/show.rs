//! `vgh show`: prints a result, a table as a table.
#![expect(clippy::print_stdout, reason = "the command's output")]
use crate::{
    artifact::{
        ArtifactType, Coords,
        table::{TableForm, TablePrinter},
    },
    cache::{Broken, Cache, Content, Form},
    cli::{
        args,
        exit::{Exit, Failure},
        workplace::{Workplace, no_cache},
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
        return Err(no_cache(&place.cache_root));
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
        let outputs = plan.entry(id).and_then(|entry| entry.outputs());
        let Some(outputs) = outputs else {
            return Err(place.no_result(id));
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

/// The outputs asked for: one by name, else those that the selectors name.
fn ports(
    place: &Workplace,
    id: InstanceId,
    name: Option<&str>,
) -> Result<Vec<&'static OutputPort>, Failure> {
    let stage = place.pipeline.stage_of(id);
    let Some(name) = name else {
        let ports = stage.outputs.iter().copied();
        return Ok(ports.filter(|port| place.wants(id, port.name)).collect());
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
                .map_err(|broken| lost(&title, broken))?;
            printer.add(&title, port.name, &path, coords)?;
        }
        (_, Form::Tree) => {
            let tree = cache
                .tree(&content.digest)
                .map_err(|broken| lost(&title, broken))?;
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

/// What is wrong with the bytes of a result, then what to do about it. Bytes
/// that are gone were perhaps let go on purpose, and are no damage.
fn lost(title: &str, broken: Broken) -> Failure {
    let missing = matches!(broken, Broken::Missing(_));
    let why = anyhow::Error::new(broken);
    let told = anyhow::anyhow!("`{title}` cannot be read: {why:#}; `vgh run` makes it again");
    if missing {
        Failure::Effect(told)
    } else {
        Failure::Cache(told)
    }
}
