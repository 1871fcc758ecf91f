//! Kind `jsonl-prompts`: prompts that somebody else wrote, one JSON object a
//! line. Never tokenizes: whether a label is one token is up to a checkpoint.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{ArtifactType, Prompt, Prompts, Split},
    stage::{Context, External, Inputs, OutputPort, Outputs, Ports, Produced, Stage},
};

/// Reads `{"text": .., "label": .., "split": ..}` lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonlPrompts {
    /// A file with one object a line: `text` (ends right before the answer),
    /// `label` (the exact text of the one right token, such as " A"), `split`
    /// ("train" or "eval"), and, where wanted, `id` (a whole number; otherwise
    /// the line, from 1) and `template`. Empty lines are skipped.
    pub path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    label: String,
    split: Split,
    id: Option<i64>,
    template: Option<String>,
}

impl Stage for JsonlPrompts {
    const KIND: &'static str = "jsonl-prompts";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "prompts from a file of JSON lines";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[OutputPort::new(
            "prompts",
            ArtifactType::Prompts,
            "the frozen prompts, train and eval",
        )],
    };

    fn externals(&self) -> Vec<External> {
        vec![External {
            param: "path",
            path: self.path.clone(),
        }]
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let named = self.path.display();
        let text = fs::read_to_string(context.external("path")?);
        let text = text.with_context(|| format!("read {named}"))?;
        let prompts = Prompts::new(rows(&text, &self.path)?);
        let prompts = prompts.with_context(|| named.to_string())?;
        Ok(Outputs::new().with("prompts", Produced::Bytes(prompts.encode()?)))
    }
}

fn rows(text: &str, path: &Path) -> Result<Vec<Prompt>> {
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(line).map_err(|fault| {
            // serde counts from the line's own start, as line 1
            let text = fault.to_string();
            let what = text
                .rsplit_once(" at line ")
                .map_or(&*text, |(what, _)| what);
            anyhow!("{}:{number}:{}: {what}", path.display(), fault.column())
        })?;
        rows.push(Prompt {
            prompt: line.id.unwrap_or(number),
            text: line.text,
            label: line.label,
            split: line.split,
            template: line.template.unwrap_or_else(|| "none".to_owned()),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use crate::stages::harness::{Ran, Setting, run_in};

    use super::*;

    fn read(text: &[u8]) -> Result<Ran> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let setting = Setting {
            externals: [("path".to_owned(), file.path().to_owned())].into(),
            ..Setting::default()
        };
        let path = PathBuf::from("data/mine.jsonl");
        run_in(&JsonlPrompts { path }, &[], setting)
    }

    #[test]
    fn lines_become_rows() {
        let text = "{\"text\": \"Say A:\", \"label\": \" A\", \"split\": \"train\"}\n\n\
                    {\"text\": \"Say B:\", \"label\": \" B\", \"split\": \"eval\", \"id\": 40, \
                    \"template\": \"say\"}\n";
        let ran = read(text.as_bytes()).unwrap();
        let prompts = Prompts::read(ran.artifact("prompts")).unwrap();
        let expected = |prompt, text: &str, label: &str, split, template: &str| Prompt {
            prompt,
            text: text.to_owned(),
            label: label.to_owned(),
            split,
            template: template.to_owned(),
        };
        assert_eq!(
            prompts.rows(),
            [
                expected(1, "Say A:", " A", Split::Train, "none"),
                expected(40, "Say B:", " B", Split::Eval, "say"),
            ]
        );
        let again = read(text.as_bytes()).unwrap();
        assert_eq!(
            again.artifact("prompts").digest,
            ran.artifact("prompts").digest
        );
    }

    #[test]
    fn faults_name_file_and_line() {
        let good = r#"{"text": "x", "label": "A", "split": "eval"}"#;
        let fault = |line: &str| {
            let text = format!("{good}\n{line}\n");
            format!("{:#}", read(text.as_bytes()).err().unwrap())
        };
        assert_eq!(
            fault(r#"{"text": "x", "label": "A", "split": "test"}"#),
            "data/mine.jsonl:2:43: unknown variant `test`, expected `train` or `eval`"
        );
        assert_eq!(
            fault(r#"{"text": "x", "split": "eval"}"#),
            "data/mine.jsonl:2:30: missing field `label`"
        );
        assert_eq!(
            fault(r#"{"text": "x", "answer": "A"}"#),
            "data/mine.jsonl:2:22: unknown field `answer`, expected one of `text`, `label`, \
             `split`, `id`, `template`"
        );
        assert_eq!(
            fault("{"),
            "data/mine.jsonl:2:1: EOF while parsing an object"
        );
        assert_eq!(
            fault(r#"{"text": "y", "label": "A", "split": "eval", "id": 1}"#),
            "data/mine.jsonl: prompt 1 stands twice in the prompts table"
        );
        let binary = format!("{:#}", read(b"\xff\xfe").err().unwrap());
        assert_eq!(
            binary,
            "read data/mine.jsonl: stream did not contain valid UTF-8"
        );
    }
}
