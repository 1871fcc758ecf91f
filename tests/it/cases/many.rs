//! Case 29: much of everything, and nothing to do. No times are asserted here,
//! only what is executed and read.
use std::{fmt::Write as _, fs, thread, time::Duration};

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vgh::{
    artifact::ArtifactType::Files,
    stage::{Context, External, Inputs, Kind, OutputPort, Outputs, Ports, Produced, Stage},
};

use crate::{
    cases::meaning::none,
    space::{Asked, Space},
};

/// In rows of five: a number, then each twice the one before.
const STAGES: usize = 5_000;
const FOLDERS: usize = 100;
const FILES_EACH: usize = 1_000;
/// A file is believed unread only if it was older than this when it was read
/// (the coarsest tick of a file system).
const TICK: Duration = Duration::from_millis(2_100);

fn rows(odd_one: Option<usize>) -> String {
    let mut text = String::new();
    for at in 0..STAGES {
        if at % 5 == 0 {
            let value = if odd_one == Some(at) { at + 7 } else { at };
            writeln!(text, "[stages.s{at}]\nkind = \"number\"\nvalue = {value}\n")
        } else {
            let before = at - 1;
            writeln!(
                text,
                "[stages.s{at}]\nkind = \"double\"\ninputs = {{ n = \"s{before}\" }}\n"
            )
        }
        .unwrap();
    }
    text
}

#[test]
fn case_29_five_thousand_stages_that_have_run_execute_nothing() {
    let space = Space::in_memory();
    assert_eq!(space.run(&rows(None)).executed.len(), STAGES);
    let again = space.run(&rows(None));
    none(&again);
    assert_eq!(again.totals.cached, STAGES);
    let edited = space.run(&rows(Some(2_500)));
    let row = ["s2500", "s2501", "s2502", "s2503", "s2504"];
    assert_eq!(edited.executed, row);
    none(&space.run(&rows(None)));
}

/// How many files lie in the folders of a folder.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Survey {
    path: String,
}

const SURVEY: &[Kind] = &[Kind::of::<Survey>()];

impl Stage for Survey {
    const KIND: &'static str = "survey";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "how many files there are";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[OutputPort::new("n", Files, "a number")],
    };

    fn externals(&self) -> Vec<External> {
        vec![External {
            param: "path",
            path: self.path.clone().into(),
        }]
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let mut count = 0;
        for folder in fs::read_dir(context.external("path")?)? {
            count += fs::read_dir(folder?.path())?.count();
        }
        let text = count.to_string().into_bytes();
        Ok(Outputs::new().with("n", Produced::Bytes(text)))
    }
}

#[test]
fn case_29_a_folder_of_a_hundred_thousand_files_is_read_once() {
    let space = Space::in_memory();
    let data = space.path().join("data");
    for folder in 0..FOLDERS {
        let folder = data.join(folder.to_string());
        fs::create_dir_all(&folder).unwrap();
        for file in 0..FILES_EACH {
            fs::write(folder.join(file.to_string()), file.to_string()).unwrap();
        }
    }
    thread::sleep(TICK);
    let cache = space.cache_path();
    let asked = Asked {
        kinds: SURVEY,
        ..space.usual(&cache, "[stages.all]\nkind = \"survey\"\npath = \"data\"\n")
    };
    assert_eq!(asked.reads(), FOLDERS * FILES_EACH);
    let first = asked.run();
    assert_eq!(first.executed, ["all"]);
    assert_eq!(first.texts["all"], "100000");
    assert_eq!(asked.reads(), 0);
    none(&asked.run());
    // One file of the same size, in the middle of it all.
    fs::write(data.join("50/500"), "501").unwrap();
    assert_eq!(asked.reads(), 1);
    assert_eq!(asked.run().executed, ["all"]);
}
