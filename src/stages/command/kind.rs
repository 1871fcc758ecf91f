//! The kind itself: its parameters, and the order of things in a run.
use std::{
    collections::BTreeMap, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus,
};

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    artifact::ArtifactType,
    stage::{
        Context, External, InputPort, Inputs, Open, OutputPort, Outputs, Ports, Refusal, Stage,
        Variables, ending, harmless, lasting,
    },
    stages::command::{
        deliver::{FILES, INPUTS, Room, WORK},
        environment, outputs, process as child,
        program::program,
        spawn::Start,
        text::{Paths, Place, Variable, fill},
        words::Words,
    },
};

/// Runs a program in a folder of its own and keeps the outputs that it declares.
///
/// In `argv`, `shell` and the values of `env`, `{files.NAME}`, `{inputs.NAME}`
/// and `{outputs.NAME}` stand for paths, relative to the folder that the
/// program starts in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments; no shell reads them.
    #[serde(default)]
    pub(super) argv: Vec<String>,
    /// Instead of `argv`: a line for `/bin/sh -c`.
    #[serde(default)]
    pub(super) shell: Option<String>,
    /// Files and folders that the command reads, by name, relative to the pipeline's
    /// folder. Their contents enter the key, not their places.
    #[serde(default)]
    pub(super) files: BTreeMap<String, PathBuf>,
    /// What the command leaves, by name: a file, or a folder with a slash at the end.
    pub(super) outputs: BTreeMap<String, Place>,
    /// Environment variables with their values.
    #[serde(default)]
    pub(super) env: BTreeMap<Variable, String>,
    /// Variables that are passed on from where vgh runs and recorded. Their
    /// values do not enter the key.
    #[serde(default)]
    pub(super) pass_env: Vec<Variable>,
    /// Variables that are passed on and whose values enter the key: set, unset
    /// and empty are three values.
    #[serde(default)]
    pub(super) hash_env: Vec<Variable>,
}

impl Stage for Command {
    const KIND: &'static str = "command";
    const VERSION: u32 = 1;
    // Nobody knows what a program does.
    const BITWISE: bool = false;
    const ABOUT: &'static str = "any program, with declared files, inputs, outputs, environment";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[],
    };
    const OPEN: Option<Open> = Some(Open {
        input: InputPort::all("", ArtifactType::Files, "any artifact"),
        output: OutputPort::new("", ArtifactType::Files, "what the command left there"),
        outputs: "outputs",
        tables: &["files", "outputs"],
        folders: &[WORK, FILES, INPUTS],
        texts: &["argv", "shell", "env"],
    });

    fn check(&self) -> Result<(), Refusal> {
        let refuse = |param, message: String| Err(Refusal::new(param, message));
        match (self.argv.as_slice(), &self.shell) {
            ([], None) => {
                return refuse(
                    "argv",
                    "a command needs `argv = [\"program\", ...]` or `shell = \"...\"`".to_owned(),
                );
            }
            ([_, ..], Some(_)) => {
                return refuse("shell", "`argv` and `shell` exclude each other".to_owned());
            }
            ([program, ..], None) if program.is_empty() => {
                return refuse("argv", "the program's name is empty".to_owned());
            }
            _ => {}
        }
        let mut texts = self.argv.iter().chain(&self.shell);
        if texts.any(|text| text.contains('\0')) {
            let param = if self.shell.is_some() {
                "shell"
            } else {
                "argv"
            };
            return refuse(param, "a command cannot hold a NUL character".to_owned());
        }
        if self.env.values().any(|value| value.contains('\0')) {
            return refuse("env", "a variable cannot hold a NUL character".to_owned());
        }
        self.check_outputs()?;
        self.check_variables()
    }

    fn externals(&self) -> Vec<External> {
        let files = self.files.iter();
        files
            .map(|(name, path)| External {
                param: lasting(&param(name)),
                path: path.clone(),
            })
            .collect()
    }

    fn variables(&self) -> Variables {
        let names = |variables: &[Variable]| {
            let names = variables.iter().map(|variable| variable.name().to_owned());
            names.collect()
        };
        Variables {
            hashed: names(&self.hash_env),
            passed: names(&self.pass_env),
        }
    }

    fn keyed(&self, params: &mut Map<String, Value>) {
        // The contents of files and the values of `hash_env` stand elsewhere in
        // the manifest. Of a file's name the command sees the ending.
        let endings = self.files.iter();
        let endings = endings.map(|(name, path)| {
            let ending = ending(path.to_str().unwrap_or_default());
            (name.clone(), Value::from(ending))
        });
        params.insert("files".to_owned(), Value::Object(endings.collect()));
        params.remove("pass_env");
        params.remove("hash_env");
    }

    fn run(&self, inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let mut paths = Paths::new();
        for (name, place) in &self.outputs {
            paths.insert(("outputs", name.clone()), place.path().to_owned());
        }
        let room = Room::make(context.scratch())?;
        room.deliver_files(&self.files, context, &mut paths)?;
        room.deliver_inputs(inputs, context, &mut paths)?;
        outputs::prepare(&room.work(), &self.outputs)?;
        let environment = environment::of(self, context, &paths, room.temporary())?;
        let argv = self.words(&paths)?;
        let folder = room.work();
        let start = Start {
            program: program(&argv[0], &environment, &folder),
            words: &argv,
            folder: &folder,
            environment: &environment,
        };
        let tell = |line: &str| context.log(line);
        let mut words = Words::new(&tell, environment::secrets(&environment));
        let name = self.name();
        let status = child::run(&start, name, context, &mut words)?;
        let last = words.finish();
        if !status.success() {
            let said = match last.as_str() {
                "" => "it said nothing".to_owned(),
                last => harmless(last),
            };
            bail!("`{name}` {}: {said}", ended(status));
        }
        outputs::take(&room.work(), &self.outputs, context)
    }
}

/// A file as a parameter of its own.
pub(super) fn param(name: &str) -> String {
    format!("files.{name}")
}

impl Command {
    fn check_outputs(&self) -> Result<(), Refusal> {
        if self.outputs.is_empty() {
            return Err(Refusal::new(
                "outputs",
                "a command without outputs has no result: add outputs = { name = \"file\" }",
            ));
        }
        let mut others = self.outputs.iter();
        while let Some((name, place)) = others.next() {
            if let Some((other, _)) = others.clone().find(|(_, other)| place.overlaps(other)) {
                return Err(Refusal::new(
                    "outputs",
                    format!("the outputs `{name}` and `{other}` lie in each other"),
                ));
            }
        }
        Ok(())
    }

    fn check_variables(&self) -> Result<(), Refusal> {
        let passed = self.pass_env.iter().map(|variable| ("pass_env", variable));
        let hashed = self.hash_env.iter().map(|variable| ("hash_env", variable));
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        let set = self.env.keys().map(|variable| ("env", variable));
        for (param, variable) in set.chain(passed).chain(hashed) {
            if let Some(earlier) = seen.insert(variable.name(), param) {
                let name = variable.name();
                let message = if earlier == param {
                    format!("`{param}` names `{name}` twice")
                } else {
                    format!("`{name}` stands in `{earlier}` and in `{param}`")
                };
                return Err(Refusal::new(param, message));
            }
        }
        Ok(())
    }

    /// The program and its arguments with their places filled in.
    fn words(&self, paths: &Paths) -> Result<Vec<String>> {
        match &self.shell {
            Some(line) => Ok(vec![
                "/bin/sh".to_owned(),
                "-c".to_owned(),
                fill(line, paths)?,
            ]),
            None => self.argv.iter().map(|word| fill(word, paths)).collect(),
        }
    }

    /// What messages call the command.
    fn name(&self) -> &str {
        match self.argv.first() {
            Some(program) => program,
            None => "/bin/sh",
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(libc::SIGKILL)) => {
            "was killed by signal 9, as the system does when memory runs out".to_owned()
        }
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(value: Value) -> (&'static str, String) {
        let command: Command = serde_json::from_value(value).unwrap();
        let refusal = command.check().unwrap_err();
        (refusal.param, refusal.message)
    }

    #[test]
    fn relations_between_parameters_are_checked() {
        let out = json!({ "a": "a" });
        for (value, param, message) in [
            (
                json!({ "outputs": out }),
                "argv",
                "a command needs `argv = [\"program\", ...]` or `shell = \"...\"`",
            ),
            (
                json!({ "argv": ["a"], "shell": "a", "outputs": out }),
                "shell",
                "`argv` and `shell` exclude each other",
            ),
            (
                json!({ "argv": [""], "outputs": out }),
                "argv",
                "the program's name is empty",
            ),
            (
                json!({ "argv": ["a", "b\0"], "outputs": out }),
                "argv",
                "a command cannot hold a NUL character",
            ),
            (
                json!({ "argv": ["a"], "outputs": {} }),
                "outputs",
                "a command without outputs has no result: add outputs = { name = \"file\" }",
            ),
            (
                json!({ "argv": ["a"], "outputs": { "a": "x/", "b": "x/y" } }),
                "outputs",
                "the outputs `a` and `b` lie in each other",
            ),
            (
                json!({ "argv": ["a"], "outputs": out, "env": { "A": "" }, "hash_env": ["A"] }),
                "hash_env",
                "`A` stands in `env` and in `hash_env`",
            ),
            (
                json!({ "argv": ["a"], "outputs": out, "pass_env": ["A", "A"] }),
                "pass_env",
                "`pass_env` names `A` twice",
            ),
        ] {
            assert_eq!(refusal(value), (param, message.to_owned()));
        }
    }

    #[test]
    fn places_and_passed_variables_do_not_enter_the_key() {
        let keyed = |value: Value| {
            let command: Command = serde_json::from_value(value).unwrap();
            let mut params = serde_json::to_value(&command).unwrap();
            command.keyed(params.as_object_mut().unwrap());
            params
        };
        let one = json!({
            "argv": ["a"], "outputs": { "a": "a" }, "files": { "s": "here/plot.py" },
            "pass_env": ["A"], "hash_env": ["B"]
        });
        let other = json!({
            "argv": ["a"], "outputs": { "a": "a" }, "files": { "s": "/there/draw.py" }
        });
        assert_eq!(keyed(one.clone()), keyed(other));
        assert_eq!(keyed(one)["files"], json!({ "s": ".py" }));
    }
}
