//! Case 21: two runs on one cache, in two threads of this process; kernel locks
//! belong to open files, so that threads exclude each other as processes do.
use std::{
    fs,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use vgh::engine::Event;

use crate::{
    signals::wait_until,
    store_toy::{Did, Place},
};

/// Nothing waits that long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn case_21_a_second_run_waits_says_for_whom_and_takes_the_hit() {
    let place = Place::new();
    let until = place.path().join("go");
    let text = format!(
        "[stages.a]\nkind = \"hold\"\nvalue = 4\nuntil = {until:?}\n\
         [stages.b]\nkind = \"double\"\ninputs = {{ n = \"a\" }}\n\
         [stages.other]\nkind = \"number\"\nvalue = 8\n"
    );
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| place.run(&text));
        wait_until("the first run is at work", || {
            until.with_extension("begun").exists()
        });
        let second = scope.spawn(|| {
            let (mut waits, mut did_other) = (false, false);
            place.watched(&text, &mut |event| {
                match event {
                    Event::Warning { message } => waits |= message.contains("waits for run"),
                    Event::Finished { instance, .. } => did_other |= instance == "other",
                    _ => {}
                }
                // Only now may the first one finish.
                if waits && did_other {
                    fs::write(&until, "").unwrap();
                }
            })
        });
        (first.join().unwrap(), second.join().unwrap())
    });
    let mut all = [first.executed.clone(), second.executed.clone()].concat();
    all.sort();
    assert_eq!(all, ["a", "b", "other"]);
    assert!(first.executed.contains(&"a".to_owned()));
    // Waiting held up nothing else.
    assert!(second.executed.contains(&"other".to_owned()));
    assert_eq!(first.texts, second.texts);
    let expected = format!(
        "`a` is being made already: waits for run test, process {} on ",
        std::process::id()
    );
    assert!(
        second.warnings.len() == 1 && second.warnings[0].starts_with(&expected),
        "{:?}",
        second.warnings
    );
}

#[test]
fn case_21_two_runs_that_each_hold_what_the_other_wants_both_finish() {
    let place = Arc::new(Place::new());
    let go = |name: &str| place.path().join(name);
    let stage = |name: &str, value: u32| {
        format!(
            "[stages.{name}]\nkind = \"hold\"\nvalue = {value}\nuntil = {:?}\n",
            go(name)
        )
    };
    let (one, two) = (stage("one", 1), stage("two", 2));
    let all = "[stages.all]\nkind = \"join\"\ninputs = { n = \"one\", m = \"two\" }\n";
    // Each begins with its own stage, then wants the other's.
    let texts = [format!("{one}{two}{all}"), format!("{two}{one}{all}")];
    for text in &texts {
        // A fault here would leave the runs unbegun.
        place.load(text).unwrap_or_else(|faults| panic!("{faults}"));
    }
    let (tell, told) = mpsc::channel();
    for text in texts {
        let (place, tell) = (Arc::clone(&place), tell.clone());
        // Not scoped: a run that never ends must fail the test, not hold it up.
        thread::spawn(move || tell.send(place.run(&text)));
    }
    drop(tell);
    wait_until("both are at work", || {
        let begun = |name: &str| go(name).with_extension("begun").exists();
        begun("one") && begun("two")
    });
    for name in ["one", "two"] {
        fs::write(go(name), "").unwrap();
    }
    let next = || -> Did { told.recv_timeout(PATIENCE).expect("both runs end") };
    let (first, second) = (next(), next());
    let mut all = [first.executed, second.executed].concat();
    all.sort();
    assert_eq!(all, ["all", "one", "two"]);
    assert_eq!((&*first.texts["all"], &*second.texts["all"]), ("9", "9"));
}
