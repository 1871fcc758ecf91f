//! Cases about the store: outputs and blobs that vanish or are spoiled, inputs
//! that change under a stage, results that differ.
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use vgh::{
    cache::{Cache, GcOptions, Roots},
    digest::Digest,
    engine::Event,
};

use crate::store_toy::Place;

/// a -> b -> c
const CHAIN: &str = "[stages.a]\nkind = \"number\"\nvalue = 3\n\
                     [stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n\
                     [stages.c]\nkind = \"double\"\ninputs = { n = \"b\" }\n";

fn blob(cache: &Cache, text: &str) -> std::path::PathBuf {
    cache.blob_path(&Digest::of(text.as_bytes()))
}

fn spoil(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn case_15_bytes_deleted_from_the_store_are_made_again_only_where_wanted() {
    let place = Place::new();
    let first = place.run(CHAIN);
    assert_eq!(first.executed, ["a", "b", "c"]);
    fs::remove_file(blob(&place.cache(), "3")).unwrap();
    fs::remove_file(blob(&place.cache(), "6")).unwrap();
    // An intermediate that nobody reads is not missed.
    assert_eq!(place.run(CHAIN).executed, nothing());
    fs::remove_file(blob(&place.cache(), "12")).unwrap();
    let again = place.run(CHAIN);
    assert_eq!(again.executed, ["a", "b", "c"]);
    assert_eq!(again.texts, first.texts);
    assert_eq!(place.run(CHAIN).executed, nothing());
}

#[test]
fn case_16_a_spoiled_blob_is_quarantined_and_remade_in_the_same_run() {
    let edited = CHAIN.replace("n = \"b\" }", "n = \"b\" }\nadd = 1");
    for bytes in [&b"7"[..], b"", b"66"] {
        let place = Place::new();
        place.run(CHAIN);
        let path = blob(&place.cache(), "6");
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        spoil(&path, bytes);
        // A forged time hides nothing.
        File::open(&path).unwrap().set_modified(before).unwrap();
        let ran = place.run(&edited);
        assert_eq!(ran.failures, nothing());
        assert_eq!(ran.texts["c"], "13", "{ran:?}");
        assert_eq!(ran.executed, ["b", "c"], "{ran:?}");
        let quarantined = fs::read_dir(place.cache().root().join("quarantine"));
        assert_eq!(quarantined.unwrap().count(), 1);
        assert!(!ran.warnings.is_empty());
        assert!(place.cache().verify(true).unwrap().is_sound());
    }
}

#[test]
fn case_16_a_truncated_record_is_a_miss_and_is_said() {
    let place = Place::new();
    place.run(CHAIN);
    let records: Vec<_> = place.cache().records().unwrap().collect();
    for record in &records {
        let path = place.cache().record_path(&record.key);
        let bytes = fs::read(&path).unwrap();
        spoil(&path, &bytes[..bytes.len() / 2]);
    }
    let ran = place.run(CHAIN);
    assert_eq!(ran.executed, ["a", "b", "c"]);
    assert_eq!(ran.warnings.len(), 3, "{:?}", ran.warnings);
    assert_eq!(place.run(CHAIN).executed, nothing());
}

#[test]
fn case_24_bytes_of_temp_stages_go_and_downstream_stays_a_hit() {
    let place = Place::new();
    let text = CHAIN.replace("kind = \"double\"\ninputs = { n = \"a\" }", {
        "kind = \"double\"\ntemp = true\ninputs = { n = \"a\" }"
    });
    let ran = place.run(&text);
    assert_eq!(ran.executed, ["a", "b", "c"]);
    assert!(
        !blob(&place.cache(), "6").exists(),
        "the temp bytes are gone"
    );
    assert!(blob(&place.cache(), "3").exists() && blob(&place.cache(), "12").exists());
    assert_eq!(place.run(&text).executed, nothing());
    // Downstream must run: the producer is made again first, and goes again.
    let edited = text.replace("n = \"b\" }", "n = \"b\" }\nadd = 1");
    let ran = place.run(&edited);
    assert_eq!(ran.executed, ["b", "c"]);
    assert_eq!((ran.texts["c"].as_str(), ran.warnings), ("13", nothing()));
    assert!(!blob(&place.cache(), "6").exists());
    assert!(place.cache().verify(true).unwrap().is_sound());
}

#[test]
fn case_24_temp_bytes_that_another_result_shares_stay() {
    let place = Place::new();
    let text = "[stages.a]\nkind = \"number\"\nvalue = 3\ntemp = true\n\
                [stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n\
                [stages.same]\nkind = \"number\"\nvalue = 3\nnote = \"kept\"\n";
    place.run(text);
    assert!(blob(&place.cache(), "3").exists());
    assert_eq!(place.run(text).executed, nothing());
}

#[test]
fn case_24_temp_is_refused_where_bytes_may_differ() {
    let place = Place::new();
    let text = "[stages.a]\nkind = \"noise\"\ntemp = true\n\
                [stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n";
    let Err(faults) = place.load(text) else {
        panic!("nothing is wrong");
    };
    let said = faults.to_string();
    let expected = "error: `temp` is not for kind `noise`, which may give other bytes when it runs again\n  \
         --> toy.toml:6:8\n";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn case_24_a_lost_result_that_comes_back_different_is_the_next_generation() {
    let place = Place::new();
    let text = "[stages.a]\nkind = \"noise\"\n\
                [stages.b]\nkind = \"double\"\ninputs = { n = \"a\" }\n\
                [stages.c]\nkind = \"double\"\nadd = 1\ninputs = { n = \"a\" }\n";
    let first = place.run(text);
    fs::remove_file(blob(&place.cache(), &first.texts["a"])).unwrap();
    let edited = text.replace("add = 1", "add = 2");
    let ran = place.run(&edited);
    // `b` was a hit of the lost bytes: it is made from those that there are now.
    assert_eq!(ran.executed, ["a", "b", "c"], "{ran:?}");
    assert_ne!(ran.texts["a"], first.texts["a"]);
    let a: f64 = ran.texts["a"].parse().unwrap();
    assert_eq!(ran.texts["b"], (2.0 * a).to_string());
    assert_eq!(ran.texts["c"], (2.0 * a + 2.0).to_string());
    assert!(
        ran.warnings
            .iter()
            .any(|said| said.contains("gave other bytes")),
        "{:?}",
        ran.warnings
    );
    let again = place.run(&edited);
    assert_eq!(again.executed, nothing());
    assert_eq!(again.texts["b"], ran.texts["b"]);
    let key = |record: &vgh::cache::Record| record.kind() == "noise";
    let next = place.cache().records().unwrap().find(key).unwrap();
    let beside = place.cache().records_beside(&next.key);
    assert!(
        beside.iter().any(|record| record.outputs != next.outputs),
        "the lost generation is kept: {beside:?}"
    );
}

#[test]
fn case_25_an_input_that_changes_while_a_stage_runs_voids_the_result() {
    for (write, voided) in [("", false), ("two", true), ("back", true)] {
        let place = Place::new();
        place.write("in.txt", "one");
        let text = format!(
            "[stages.a]\nkind = \"meddle\"\npath = \"in.txt\"\nwrite = {write:?}\n\
             [stages.b]\nkind = \"lines\"\npath = \"in.txt\"\n"
        );
        let ran = place.keeping(&text, true, &mut |_| {});
        let cache = place.cache();
        let records = cache.records().unwrap();
        let kinds: Vec<String> = records.map(|record| record.kind().to_owned()).collect();
        assert_eq!(!kinds.contains(&"meddle".to_owned()), voided, "{write}");
        if voided {
            let file = place.path().join("in.txt");
            let expected = format!(
                "a: `path` changed while the stage ran ({}): its result is not kept, run again",
                file.display()
            );
            // `b` may be the one that finds the file changed before it starts.
            assert!(
                ran.failures.contains(&expected),
                "{write}: {:?}",
                ran.failures
            );
        } else {
            assert_eq!(ran.failures, nothing());
        }
    }
}

#[test]
fn case_25_an_input_that_changed_since_the_run_began_is_not_read() {
    let place = Place::new();
    place.write("in.txt", "one");
    let text = "[stages.a]\nkind = \"lines\"\npath = \"in.txt\"\n";
    let ran = place.watched(text, &mut |event| {
        if matches!(event, Event::RunStarted { .. }) {
            fs::write(place.path().join("in.txt"), "two").unwrap();
        }
    });
    let file = place.path().join("in.txt");
    let expected = format!(
        "a: `path` changed since the run began ({}): run again",
        file.display()
    );
    assert_eq!(ran.failures, [expected]);
    assert_eq!(place.run(text).texts["a"], "two");
}

#[test]
fn case_26_clocks_and_times_do_not_hide_an_edit() {
    let place = Place::new();
    let text = "[stages.a]\nkind = \"lines\"\npath = \"in.txt\"\n";
    let path = place.path().join("in.txt");
    let day = Duration::from_hours(24);
    let now = vgh::cache::now();
    // Same size each; at once, set back, in the future, and at the same second.
    for (content, time) in [
        ("aa", None),
        ("bb", None),
        ("cc", Some(now - day)),
        ("dd", Some(now - day)),
        ("ee", Some(now + day)),
        ("ff", Some(now + day)),
    ] {
        place.write("in.txt", content);
        if let Some(time) = time {
            File::open(&path).unwrap().set_modified(time).unwrap();
        }
        let ran = place.run(text);
        assert_eq!(
            (ran.failures, ran.texts["a"].as_str()),
            (nothing(), content)
        );
        assert_eq!(place.run(text).executed, nothing(), "{content}");
    }
}

/// As if everything in the cache had been made two hours ago: only what a run
/// pins keeps it from the collector then.
fn age(cache: &Cache) {
    let then = vgh::cache::now() - Duration::from_hours(2);
    let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
    for kind in ["blobs", "records"] {
        for folder in fs::read_dir(cache.root().join(kind)).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                let file = File::open(file.unwrap().path()).unwrap();
                file.set_times(times).unwrap();
            }
        }
    }
}

#[test]
fn case_30_gc_during_a_run_takes_nothing_that_the_run_needs() {
    let place = Place::new();
    place.run(CHAIN);
    place.run("[stages.other]\nkind = \"number\"\nvalue = 99\n");
    age(&place.cache());
    let eager = GcOptions {
        roots: Some(Roots::default()),
        max_bytes: Some(0),
        grace: Duration::ZERO,
        ..GcOptions::default()
    };
    let edited = CHAIN.replace("n = \"b\" }", "n = \"b\" }\nadd = 1");
    let mut rounds = 0;
    let ran = place.watched(&edited, &mut |event| {
        if !matches!(event, Event::RunFinished(_)) {
            // As another process would, at every event of the run.
            place.cache().gc(&eager).unwrap();
            assert!(!blob(&place.cache(), "99").exists(), "nobody needs it");
            assert!(blob(&place.cache(), "6").exists(), "the run reads it");
            rounds += 1;
        }
    });
    assert!(rounds > 3);
    assert_eq!((ran.failures, ran.warnings), (nothing(), nothing()));
    assert_eq!(ran.executed, ["c"]);
    assert_eq!(ran.texts["c"], "13");
    // Without a live run, everything goes that nobody asks for.
    let report = place.cache().gc(&eager).unwrap();
    assert_eq!(
        (report.left, place.cache().records().unwrap().count()),
        (0, 0)
    );
}
