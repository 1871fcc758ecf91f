//! What a command is given: files, inputs of every type, environment.
use std::{fs, io::Cursor};

use polars::prelude::{DataFrame, ParquetReader, SerReader};

use crate::command::Bench;

#[test]
fn the_environment_is_what_is_declared_and_a_short_list() {
    let bench = Bench::new(
        r#"
[stages.s]
kind = "command"
shell = "env | grep -Ev '^(PWD|OLDPWD|SHLVL|_)=' | sort > a"
outputs = { a = "a" }
env = { A = "1", LANG = "C", EMPTY = "" }
pass_env = ["VGH_ONE", "VGH_UNSET"]
hash_env = ["VGH_TWO", "VGH_UNSET_TOO"]
"#,
    );
    let mut command = bench.command();
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", "/home/somebody")
        .env("VGH_ONE", "one")
        .env("VGH_TWO", "two")
        .env("VGH_THREE", "three")
        .env("PYTHONHASHSEED", "5")
        .env("CUDA_VISIBLE_DEVICES", "1");
    assert!(command.status().unwrap().success());
    let text = bench.result("s/a");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("PATH=") && !line.starts_with("TMPDIR="))
        .collect();
    assert_eq!(
        lines,
        [
            "A=1",
            "CUDA_VISIBLE_DEVICES=",
            "EMPTY=",
            "HOME=/home/somebody",
            "LANG=C",
            "PYTHONHASHSEED=0",
            "SOURCE_DATE_EPOCH=315532800",
            "TZ=UTC",
            "VGH_ONE=one",
            "VGH_TWO=two",
        ]
    );
}

#[test]
fn standard_input_is_empty_and_there_is_no_terminal() {
    let bench = Bench::new(
        "[stages.s]\nkind = \"command\"\noutputs = { a = \"a\" }\n\
         shell = \"cat > a; (echo x > /dev/tty) 2>/dev/null || echo none >> a; ls -a .. >> a; ls $TMPDIR >> a\"\n",
    );
    bench.succeed();
    assert_eq!(
        bench.result("s/a"),
        "none\n.\n..\nfiles\ninputs\nwork\nfiles\ninputs\nwork\n"
    );
}

#[test]
fn files_and_folders_are_copies_that_may_be_run() {
    let bench = Bench::new(
        r#"
[stages.s]
kind = "command"
argv = ["{files.run}", "{files.lib}", "{outputs.a}"]
files = { run = "my tool.sh", lib = "lib" }
outputs = { a = "a" }
"#,
    );
    bench.write(
        "my tool.sh",
        "#!/bin/sh\necho $0 > $2; cat $1/x/* >> $2; echo spoiled > $1/x/1 || true; rm -rf $1\n",
    );
    bench.write("lib/x/1", "one\n");
    bench.write("lib/x/2", "two\n");
    bench.succeed();
    assert_eq!(bench.result("s/a"), "../files/run.sh\none\ntwo\n");
    assert_eq!(fs::read_to_string(bench.path("lib/x/1")).unwrap(), "one\n");
}

#[test]
fn a_file_that_changes_after_it_was_hashed_voids_the_stage() {
    // The first stage runs while the second's file already stands in its key.
    let bench = Bench::new("");
    let place = bench.path("data");
    bench.write("data", "before");
    bench.stages(&format!(
        "[stages.a]\nkind = \"command\"\nshell = \"echo after > {0}; echo > a\"\noutputs = {{ a = \"a\" }}\n\
         [stages.b]\nkind = \"command\"\ninputs = {{ a = \"a\" }}\nfiles = {{ d = \"data\" }}\n\
         shell = \"cat {{files.d}} > b\"\noutputs = {{ b = \"b\" }}\n",
        place.display()
    ));
    let did = bench.run();
    assert_eq!(
        did.failures,
        ["b: `files.d` changed since the run began (data): run again"]
    );
    bench.succeed();
    assert_eq!(bench.result("b/b"), "after\n");
}

#[test]
fn gathered_files_lie_in_folders_named_by_their_coordinates() {
    let bench = Bench::new(
        r#"
[axes]
lr = [3e-4, 1e-4]
name = ["a/b", "c d"]

[stages.one]
kind = "command"
over = ["name", "lr"]
shell = "echo {lr} '{name}' > o.txt; mkdir d; echo '{name}' > d/x"
outputs = { o = "o.txt", d = "d/" }

[stages.all]
kind = "command"
inputs = { o = "one", d = "one.d", some = "one.o@lr=1e-4" }
shell = "for f in o d some; do (cd ../inputs/$f; find . -type f | sort) >> {outputs.a}; done; cat {inputs.some}/*/*/* >> a"
outputs = { a = "a" }

[stages.kept]
kind = "command"
over = ["name"]
inputs = { o = "one" }
shell = "(cd {inputs.o}; find . -type f | sort) > {outputs.a}"
outputs = { a = "a" }
"#,
    );
    bench.succeed();
    assert_eq!(
        bench.result("all/a"),
        "./lr=1e-4/name=a%2Fb/o.txt\n./lr=1e-4/name=c d/o.txt\n\
         ./lr=3e-4/name=a%2Fb/o.txt\n./lr=3e-4/name=c d/o.txt\n\
         ./lr=1e-4/name=a%2Fb/x\n./lr=1e-4/name=c d/x\n\
         ./lr=3e-4/name=a%2Fb/x\n./lr=3e-4/name=c d/x\n\
         ./lr=1e-4/name=a%2Fb/some.txt\n./lr=1e-4/name=c d/some.txt\n\
         1e-4 a/b\n1e-4 c d\n"
    );
    assert_eq!(
        bench.result("kept/name=c d/a"),
        "./lr=1e-4/o.txt\n./lr=3e-4/o.txt\n"
    );
    // The order of values and of axes changes nothing.
    let text = fs::read_to_string(bench.path("p.toml")).unwrap();
    let text = text
        .replace("[3e-4, 1e-4]", "[1e-4, 3e-4]")
        .replace("[\"name\", \"lr\"]", "[\"lr\", \"name\"]");
    bench.write("p.toml", &text);
    assert_eq!(bench.succeed().executed, Vec::<String>::new());
    // Another value runs its own instances, and what gathers them.
    bench.write("p.toml", text.replace("[1e-4, 3e-4]", "[1e-4, 3e-4, 1]"));
    assert_eq!(
        bench.succeed().executed,
        [
            "all",
            "kept@name=a/b",
            "kept@name=c d",
            "one@lr=1,name=a/b",
            "one@lr=1,name=c d",
        ]
    );
}

const TABLES: &str = r#"
[axes]
step = [2, 10]
who = ["x", "y"]
rate = [1, 0.5]

[stages.measured]
kind = "table"
over = ["step"]
path = "r{step}.csv"

[stages.one]
kind = "command"
inputs = { rewards = "measured@step=2" }
shell = "cp {inputs.rewards} t.parquet; echo {inputs.rewards}"
outputs = { t = "t.parquet" }

[stages.many]
kind = "command"
over = ["step"]
inputs = { rewards = "measured" }
shell = "cp {inputs.rewards} t.parquet; echo {inputs.rewards}"
outputs = { t = "t.parquet" }

[stages.copies]
kind = "table"
over = ["who", "rate"]
path = "{who}.csv"

[stages.all]
kind = "command"
inputs = { rewards = ["copies"], step = "measured" }
shell = "cp {inputs.rewards} t.parquet; cp {inputs.step} s.parquet; echo {inputs.rewards} {inputs.step}"
outputs = { t = "t.parquet", s = "s.parquet" }
"#;

fn frame(bench: &Bench, name: &str) -> DataFrame {
    let bytes = fs::read(bench.path("results/p").join(name)).unwrap();
    ParquetReader::new(Cursor::new(bytes)).finish().unwrap()
}

#[test]
fn a_table_is_a_parquet_file_and_gathered_ones_are_one_with_their_axes() {
    let bench = Bench::new(TABLES);
    let csv = |step: u32, gain: f64| {
        format!(
            "step,learning_rate,rl_seed,updates,r_before,r_after,gain\n\
             {step},0.1,0,10,0.5,0.75,{gain}\n{step},0.1,1,10,0.5,0.75,{gain}\n"
        )
    };
    for (name, step, gain) in [
        ("r2", 2, 0.1),
        ("r10", 10, 0.2),
        ("x", 5, 0.3),
        ("y", 6, 0.4),
    ] {
        bench.write(&format!("{name}.csv"), csv(step, gain));
    }
    // The numbers of an axis that mixes whole ones and others are all others.
    let did = bench.succeed();
    assert!(
        did.log
            .contains(&"../inputs/rewards.parquet ../inputs/step.parquet".to_owned())
    );
    let names = |frame: &DataFrame| -> Vec<String> {
        let names = frame.get_column_names().into_iter();
        names.map(ToString::to_string).collect()
    };
    let own = [
        "step",
        "learning_rate",
        "rl_seed",
        "updates",
        "r_before",
        "r_after",
        "gain",
    ];
    assert_eq!(names(&frame(&bench, "many/step=10/t.parquet")), own);
    // Every table repeats the axis `step` itself, so no second column comes.
    let steps = frame(&bench, "all/s.parquet");
    assert_eq!(
        (names(&steps), steps.height()),
        (own.map(str::to_owned).to_vec(), 4)
    );
    let all = frame(&bench, "all/t.parquet");
    assert_eq!(names(&all)[..3], ["rate", "who", "step"]);
    assert_eq!((all.width(), all.height()), (9, 8));
    let rates: Vec<Option<f64>> = all.column("rate").unwrap().f64().unwrap().iter().collect();
    let expected = [0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0].map(Some);
    assert_eq!(rates, expected);
    let who = all.column("who").unwrap().str().unwrap();
    assert_eq!((who.get(0), who.get(2)), (Some("x"), Some("y")));
}
