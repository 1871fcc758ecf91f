//! Proofs against files that move, vanish, or are garbage.
use std::{fs::File, time::Duration};

use super::*;
use crate::cache::{holding, record::tests::cache, stat::StatIndex};

fn name() -> Digest {
    Digest::of(b"run")
}

fn leave(cache: &Cache, grounds: &Grounds<'_>, note: &str) {
    leave_after(cache, grounds, note, None);
}

fn leave_after(cache: &Cache, grounds: &Grounds<'_>, note: &str, earlier: Option<&Proof>) {
    let (first, second) = note.split_at(note.len() / 2);
    let texts = ([first.into(), second.into()], ["det".into(), "ails".into()]);
    let write = |path: &Path| Ok(fs::write(path, "lines")?);
    let texts = Texts {
        note: &texts.0,
        details: &texts.1,
        lines: &Lines::Written(&write),
    };
    cache
        .leave_proof(&name(), grounds, &texts, earlier)
        .unwrap();
}

/// The note of a proof that nothing moved.
fn note(cache: &Cache) -> Option<String> {
    let proof = cache.proof(&name())?;
    let (left, lines) = proof.left().unwrap();
    assert_eq!(left.details(), "details");
    assert_eq!(io::read_to_string(lines).unwrap(), "lines");
    let still = proof.moved().is_empty();
    still.then(|| proof.note().to_owned())
}

#[test]
fn a_proof_holds_until_any_file_moves() {
    let (place, cache) = cache();
    let outside = place.path().join("a b\u{fc}");
    let inside = cache.root().join("tmp/x");
    let disturb: [&dyn Fn(); 5] = [
        &|| fs::write(&outside, "two").unwrap(),
        &|| fs::remove_file(&inside).unwrap(),
        &|| {
            let times = fs::metadata(&outside).unwrap().modified().unwrap();
            let file = File::options().write(true).open(&outside).unwrap();
            file.set_modified(times + Duration::from_secs(1)).unwrap();
        },
        // The same bytes and times in another file.
        &|| {
            let times = fs::metadata(&inside).unwrap().modified().unwrap();
            fs::rename(&inside, place.path().join("old")).unwrap();
            fs::write(&inside, "in").unwrap();
            let file = File::options().write(true).open(&inside).unwrap();
            file.set_modified(times).unwrap();
        },
        &|| fs::write(cache.proof_path(&name()), "garbage").unwrap(),
    ];
    for disturb in disturb {
        fs::write(&outside, "one").unwrap();
        fs::write(&inside, "in").unwrap();
        let mut grounds = Grounds::default();
        grounds.file(cache.root(), &outside);
        grounds.file(cache.root(), &inside);
        leave(&cache, &grounds, "note\nof two lines");
        assert_eq!(note(&cache).as_deref(), Some("note\nof two lines"));
        assert!(cache.proof(&Digest::of(b"other")).is_none());
        disturb();
        assert!(cache.proof(&name()).is_none());
    }
}

#[test]
fn an_external_is_proved_as_it_was_hashed() {
    let (place, cache) = cache();
    let path = place.path().join("data");
    fs::write(&path, "one").unwrap();
    let old = holding::now() - Duration::from_mins(1);
    let mut stat = StatIndex::in_memory();
    let proves = |stat: &StatIndex| {
        let mut grounds = Grounds::default();
        let told = grounds.external(&path, stat, "");
        leave(&cache, &grounds, "");
        assert!(told || note(&cache).is_none());
        note(&cache).is_some()
    };
    assert!(!proves(&stat), "it was never hashed");
    stat.content_of(&path).unwrap();
    assert!(!proves(&stat), "it is too young to be believed");
    stat.age();
    assert!(proves(&stat));
    // Changed after the hash, before the proof.
    fs::write(&path, "two").unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert!(!proves(&stat));
}

#[test]
fn of_the_files_outside_those_that_moved_are_named() {
    let (place, cache) = cache();
    let path = |i: usize| place.path().join(format!("data {i}"));
    let mut stat = StatIndex::in_memory();
    for i in 0..5 {
        fs::write(path(i), "one").unwrap();
        stat.content_of(&path(i)).unwrap();
    }
    stat.age();
    let mut grounds = Grounds::default();
    grounds.file(cache.root(), &cache.root().join("format"));
    for i in 0..5 {
        assert!(grounds.external(&path(i), &stat, &format!("{i},7")));
    }
    leave(&cache, &grounds, "note");
    for i in [1, 4] {
        fs::write(path(i), "other").unwrap();
    }
    let proof = cache.proof(&name()).unwrap();
    assert_eq!((proof.moved(), proof.outside()), ([1, 4].as_slice(), 5));
    assert_eq!(
        (proof.readers(4), Path::new(proof.place(4))),
        ("4,7", path(4).as_path())
    );
    // What it says of the others can go on standing in the next one.
    let mut next = Grounds::default();
    next.files_of(&proof, 0..proof.files());
    for i in 0..5 {
        if proof.moved().contains(&i) {
            stat.content_of(&path(i)).unwrap();
            stat.age();
            next.external(&path(i), &stat, proof.readers(i));
        } else {
            next.externals_of(&proof, i..i + 1);
        }
    }
    let noted = fs::metadata(cache.proof_path(&name()))
        .unwrap()
        .modified()
        .unwrap();
    leave_after(&cache, &next, "next", Some(&proof));
    assert_eq!(note(&cache).as_deref(), Some("next"));
    let now = fs::metadata(cache.proof_path(&name()))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(now, noted, "the records were last looked at then");
    fs::remove_file(path(0)).unwrap();
    assert!(cache.proof(&name()).is_none());
}

#[test]
fn what_is_in_doubt_or_gone_proves_nothing_and_ends_the_last_proof() {
    let (place, cache) = cache();
    let missing = || {
        let mut grounds = Grounds::default();
        grounds.file(cache.root(), &place.path().join("nothing"));
        grounds
    };
    let strange = || {
        let path = place.path().join("two\nlines");
        fs::write(&path, "").unwrap();
        let mut grounds = Grounds::default();
        grounds.file(cache.root(), &path);
        grounds
    };
    for grounds in [missing(), strange()] {
        leave(&cache, &Grounds::default(), "note");
        assert!(note(&cache).is_some());
        leave(&cache, &grounds, "note");
        assert!(cache.proof(&name()).is_none());
    }
}

#[test]
fn an_old_proof_makes_way_for_a_look_at_the_records() {
    let (_place, cache) = cache();
    leave(&cache, &Grounds::default(), "note");
    let set = |time: SystemTime| {
        let path = cache.proof_path(&name());
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    };
    for (time, holds) in [
        (holding::now() - USED_EVERY / 2, true),
        (holding::now() - USED_EVERY * 2, false),
        (holding::now() + USED_EVERY, false),
    ] {
        set(time);
        assert_eq!(cache.proof(&name()).is_some(), holds);
    }
}

#[test]
fn a_torn_proof_is_none_and_the_oldest_go() {
    let (place, cache) = cache();
    let path = cache.proof_path(&name());
    leave(&cache, &Grounds::default(), "note");
    let lines = place.path().join("lines");
    fs::write(&lines, "").unwrap();
    let whole = fs::read(&path).unwrap();
    let details = whole.len() - cache.proof(&name()).unwrap().head.details;
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(cache.proof(&name()).is_none(), "{length}");
    }
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        match cache.proof(&name()) {
            Some(proof) => assert!(at >= details && proof.left().is_none(), "{at}"),
            None => assert!(at < details, "{at}"),
        }
    }
    for i in 0..KEPT + 5 {
        let name = Digest::of(i.to_string().as_bytes());
        let grounds = Grounds::default();
        let lines = Lines::At(&lines);
        cache
            .leave_proof(&name, &grounds, &only(&lines), None)
            .unwrap();
    }
    let left = fs::read_dir(cache.root().join("proofs")).unwrap().count();
    assert_eq!(left, 2 * KEPT);
}

/// Texts of nothing but lines.
fn only<'a>(lines: &'a Lines<'a>) -> Texts<'a> {
    Texts {
        note: &[],
        details: &[],
        lines,
    }
}

#[test]
fn lines_are_those_that_were_left() {
    let (place, cache) = cache();
    let run = place.path().join("results");
    let leave = |lines: &Lines<'_>| {
        let grounds = Grounds::default();
        cache.leave_proof(&name(), &grounds, &only(lines), None)
    };
    let left = || cache.proof(&name())?.left();
    let text = || Some(io::read_to_string(left()?.1).unwrap());
    fs::write(&run, "one").unwrap();
    leave(&Lines::At(&run)).unwrap();
    assert_eq!(text().as_deref(), Some("one"));
    let stamp = left().unwrap().0.stamp().to_owned();
    leave(&Lines::AsBefore(&stamp)).unwrap();
    assert_eq!(text().as_deref(), Some("one"));
    // Whoever tidies up among old runs takes nothing away.
    fs::remove_file(&run).unwrap();
    assert_eq!(text().as_deref(), Some("one"));
    fs::write(&run, "two").unwrap();
    leave(&Lines::At(&run)).unwrap();
    assert_eq!(text().as_deref(), Some("two"));
    // Of another run, which put its lines there first.
    leave(&Lines::AsBefore(&stamp)).unwrap();
    assert!(cache.proof(&name()).is_some() && left().is_none());
    leave(&Lines::At(&run)).unwrap();
    fs::write(&run, "who").unwrap();
    assert!(left().is_none());
    leave(&Lines::At(&run)).unwrap();
    fs::remove_file(lines_of(&cache.proof_path(&name()))).unwrap();
    assert!(left().is_none());
    // What cannot be left leaves nothing old either.
    leave(&Lines::At(&place.path().join("none"))).unwrap_err();
    assert!(!cache.proof_path(&name()).exists());
}

#[test]
fn lines_without_a_proof_go_when_they_are_old() {
    let (_place, cache) = cache();
    leave(&cache, &Grounds::default(), "note");
    let [young, old] = ["young", "old"].map(|name| {
        let path = lines_of(&cache.proof_path(&Digest::of(name.as_bytes())));
        fs::write(&path, "lines").unwrap();
        path
    });
    let hours = holding::now() - 2 * USED_EVERY;
    let file = File::options().write(true).open(&old).unwrap();
    file.set_modified(hours).unwrap();
    leave(&cache, &Grounds::default(), "note");
    assert!(young.exists() && !old.exists());
    assert!(note(&cache).is_some());
}
