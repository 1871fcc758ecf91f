//! Telling that a key gave other bytes than before, and how far they lie apart.
use crate::{
    artifact::{Artifact, Body, Coords, distance},
    cache::{Cache, Content, Form},
    engine::{event::Event, execute::Run, key::Settled},
    pipeline::InstanceId,
};

impl Run<'_> {
    /// `canonical` stood first, `other` was just made; `then` says what becomes of them.
    pub(super) fn warn_differs(
        &mut self,
        id: InstanceId,
        (canonical, other): (&Settled, &Settled),
        then: &str,
    ) {
        let ports = self.pipeline.stage_of(id).outputs.iter();
        let differing = ports.filter_map(|port| {
            let (first, second) = (canonical.get(port.name)?, other.get(port.name)?);
            if first.digest == second.digest {
                return None;
            }
            let apart = match (artifact(self.cache, first), artifact(self.cache, second)) {
                (Some(first), Some(second)) => match distance(port.artifact, &first, &second) {
                    Ok(Some(distance)) => distance.to_string(),
                    Ok(None) => digests(&first, &second),
                    Err(error) => format!("not comparable: {error:#}"),
                },
                _ => "no bytes to compare".to_owned(),
            };
            Some(format!("`{}`: {apart}", port.name))
        });
        let differing: Vec<String> = differing.collect();
        let message = format!(
            "`{}` gave other bytes than an earlier run with the same key ({}): {then}",
            self.pipeline.label(id),
            differing.join("; "),
        );
        self.voice.say(Event::Warning { message });
    }
}

fn digests(first: &Artifact, second: &Artifact) -> String {
    format!(
        "{} first, {} now",
        first.digest.short(),
        second.digest.short()
    )
}

/// The artifact for reading; none where its bytes are gone or damaged.
fn artifact(cache: &Cache, content: &Content) -> Option<Artifact> {
    let body = match content.form {
        Form::File => Body::File(cache.verified(&content.digest, content.size).ok()?),
        Form::Tree => {
            let tree = cache.tree(&content.digest).ok()?;
            let files = tree.files.iter().map(|(name, entry)| {
                let path = cache.verified(&entry.digest, entry.size).ok()?;
                Some((name.clone(), path))
            });
            Body::Tree(files.collect::<Option<_>>()?)
        }
    };
    Some(Artifact {
        coords: Coords::new(),
        digest: content.digest,
        body,
    })
}
