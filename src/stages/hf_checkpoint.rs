//! Kind `hf-checkpoint`: one revision of a repository on the Hugging Face hub, as
//! one rung of a ladder.
//!
//! Which bytes are meant stands in the lock file beside the pipeline; they are
//! the key, not the repository's name. Every byte is hashed before it counts.
use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    artifact::{ArtifactType, Position},
    disk,
    hub::{Hooks, Hub, RemoteFile, Settings},
    lm::Files,
    stage::{
        Context, Inputs, Listed, OutputPort, Outputs, Pinned, Ports, Produced, Reference, Refusal,
        Stage, pattern_fault,
    },
    stages::local_checkpoint,
};

/// What a checkpoint needs.
const FILES: [&str; 3] = ["config.json", "tokenizer.json", "*.safetensors"];

/// Takes a revision of a repository: config.json, tokenizer.json, safetensors.
///
/// The revision is resolved once and kept in the lock file beside the pipeline;
/// `vgh update` resolves it anew. HF_TOKEN, HF_HOME, HF_ENDPOINT and
/// HF_HUB_OFFLINE are heeded; what the user's own Hugging Face cache holds is not
/// fetched again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HfCheckpoint {
    /// `OWNER/NAME` on the hub.
    pub repo: String,
    /// A branch, a tag or a commit. In `stage1-step{step}-tokens*` the star stands
    /// for any characters; exactly one branch or tag must be named so.
    pub revision: String,
    /// Optimizer steps of its pretraining.
    pub step: u64,
    /// Tokens seen in its pretraining; or give `tokens_per_step`.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Tokens of one optimizer step: `tokens` is then `step` times as many.
    #[serde(default)]
    pub tokens_per_step: Option<u64>,
    /// Patterns of the files that are wanted; `*` does not stand for a slash.
    #[serde(default = "files")]
    pub files: Vec<String>,
}

fn files() -> Vec<String> {
    let wanted = FILES.iter().chain(&local_checkpoint::COMPANIONS);
    wanted.map(|name| (*name).to_owned()).collect()
}

impl Stage for HfCheckpoint {
    const KIND: &'static str = "hf-checkpoint";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a checkpoint from the Hugging Face hub, every byte checked";
    // It exists elsewhere, and may be large.
    const PUBLISH: bool = false;
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[OutputPort::new(
            "checkpoint",
            ArtifactType::Checkpoint,
            "the revision's model files with vgh.json (step, tokens)",
        )],
    };

    fn check(&self) -> Result<(), Refusal> {
        for pattern in &self.files {
            if let Some(fault) = pattern_fault(pattern) {
                let message = format!("`{pattern}` is no pattern: {fault}");
                return Err(Refusal::new("files", message));
            }
        }
        if let Some(fault) = pattern_fault(&self.revision) {
            let message = format!("`{}` is no pattern: {fault}", self.revision);
            return Err(Refusal::new("revision", message));
        }
        match (self.tokens, self.tokens_per_step) {
            (None, None) => Err(Refusal::new(
                "step",
                "tokens seen are wanted too: set `tokens` or `tokens_per_step`",
            )),
            (Some(_), Some(_)) => Err(Refusal::new(
                "tokens_per_step",
                "`tokens` and `tokens_per_step` exclude each other",
            )),
            (None, Some(each)) if each.checked_mul(self.step).is_none() => Err(Refusal::new(
                "tokens_per_step",
                "`step` times `tokens_per_step` is too large",
            )),
            _ => Ok(()),
        }
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference {
            param: "revision",
            repo: self.repo.clone(),
            revision: self.revision.clone(),
            files: self.files.clone(),
        }]
    }

    fn keyed(&self, params: &mut Map<String, Value>) {
        // The files themselves count, by their ids.
        for name in ["repo", "revision", "files", "tokens_per_step"] {
            params.remove(name);
        }
        params.insert("tokens".to_owned(), Value::from(self.tokens()));
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let pinned = context.reference("revision")?;
        let named = || format!("{} at {}", pinned.repo, pinned.name);
        let folder = context.scratch().join("checkpoint");
        disk::make_folder(&folder)?;
        Fetching::new(pinned, context)?.all(&folder)?;
        let files = Files::of_folder(&folder).with_context(named)?;
        local_checkpoint::check(&files).with_context(named)?;
        Position {
            step: self.step,
            tokens: self.tokens(),
        }
        .write(&folder)?;
        Ok(Outputs::new().with("checkpoint", Produced::Tree(folder)))
    }
}

impl HfCheckpoint {
    fn tokens(&self) -> u64 {
        let counted = self
            .tokens_per_step
            .map(|each| each.saturating_mul(self.step));
        self.tokens.or(counted).unwrap_or(0)
    }
}

/// The files of one revision on their way.
struct Fetching<'a> {
    hub: Hub,
    pinned: &'a Pinned,
    context: &'a Context<'a>,
}

impl<'a> Fetching<'a> {
    fn new(pinned: &'a Pinned, context: &'a Context<'a>) -> Result<Fetching<'a>> {
        if pinned.files.is_empty() {
            bail!("no file of {} is wanted by `files`", pinned.repo);
        }
        Ok(Fetching {
            hub: Hub::new(Settings::from_env()?),
            pinned,
            context,
        })
    }

    fn all(&self, folder: &Path) -> Result<()> {
        let mut before = 0;
        for (path, file) in &self.pinned.files {
            let target = folder.join(path);
            if let Some(parent) = target.parent() {
                disk::make_folder(parent)?;
            }
            self.one(path, file, before, &target)?;
            before += file.size;
        }
        Ok(())
    }

    fn one(&self, path: &str, file: &Listed, before: u64, target: &Path) -> Result<()> {
        let (repo, commit) = (&self.pinned.repo, &self.pinned.commit);
        let total = self.pinned.size();
        let report = |done: u64, _size: u64| {
            self.context.progress_bytes(before + done, total, path);
        };
        let tell = |line: &str| self.context.log(line);
        let go_on = || self.context.go_on();
        let hooks = Hooks {
            report: &report,
            tell: &tell,
            go_on: &go_on,
        };
        let remote = RemoteFile {
            path: path.to_owned(),
            size: file.size,
            id: file.id,
        };
        if let Some(kept) = self.hub.cached(repo, commit, &remote, &hooks)? {
            return disk::copy(&kept, target);
        }
        let part = self.context.download(&file.id);
        let held = self.hub.fetch(repo, commit, &remote, &part, &hooks)?;
        // By a second name, so that the download outlives us until the result is
        // there. While it is held: nobody else begins it anew under us.
        fs::hard_link(&part, target)
            // A file system, or an owner, that allows no second name.
            .or_else(|_| fs::rename(&part, target))
            .map_err(|error| disk::fault("write", target, file.size, error))?;
        drop(held);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stage(value: Value) -> HfCheckpoint {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_name_of_a_revision_does_not_enter_the_key() {
        let keyed = |value: Value| {
            let stage = stage(value);
            let mut params = serde_json::to_value(&stage).unwrap();
            stage.keyed(params.as_object_mut().unwrap());
            params
        };
        let one = keyed(json!({ "repo": "a/b", "revision": "main", "step": 3, "tokens": 12 }));
        let other = keyed(json!({
            "repo": "c/d", "revision": "step3-*", "step": 3, "tokens_per_step": 4,
            "files": ["*"],
        }));
        assert_eq!(one, json!({ "step": 3, "tokens": 12 }));
        assert_eq!(other, one);
    }

    #[test]
    fn tokens_are_wanted_once() {
        let refusal = |value: Value| stage(value).check().unwrap_err();
        let base = json!({ "repo": "a/b", "revision": "main", "step": 3 });
        let with = |name: &str, value: Value| {
            let mut base = base.clone();
            base[name] = value;
            base
        };
        assert_eq!(refusal(base.clone()).param, "step");
        let mut both = with("tokens", json!(1));
        both["tokens_per_step"] = json!(1);
        assert_eq!(refusal(both).param, "tokens_per_step");
        assert_eq!(
            refusal(with("tokens_per_step", json!(u64::MAX))).param,
            "tokens_per_step"
        );
        let mut bad = with("tokens", json!(1));
        bad["revision"] = json!("a***");
        assert_eq!(refusal(bad).param, "revision");
    }
}
