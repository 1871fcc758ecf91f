//! Every fault switch, 200 files each, with random sizes and offsets: recovered
//! with the right bytes, or the one message; nothing wrong is left behind.
use std::time::Duration;

use vgh::{
    hub::{Hooks, Hub},
    seed::Stream,
};

use super::{
    REPO, SOON,
    batch::{ALL, FILES, NONE, fetch, files},
    faults::{ALWAYS, Fault},
    repo::LARGE,
};

const BROKE: &str =
    "the connection broke several times: run again later, what is here already is kept";
const DAMAGED: &str = "the bytes are not those that the hub lists, 3 times: something between here \
    and the hub (or the hub) damages them; nothing was kept";

/// Small files come from the hub itself, large ones from the CDN.
const BOTH: (usize, usize) = (1, 3 * LARGE);
const FROM_CDN: (usize, usize) = (LARGE, 3 * LARGE);

fn some(stream: &mut Stream) -> u32 {
    1 + stream.below(3) as u32
}

fn within(stream: &mut Stream, size: u64) -> u64 {
    stream.below(size as usize) as u64
}

#[test]
fn a_connection_that_breaks_is_taken_up_again() {
    let broken = files("drop", BOTH, |local, name, size, stream| {
        for _ in 0..some(stream) {
            local.set(
                name,
                Fault::Drop {
                    after: within(stream, size),
                },
                1,
            );
        }
    });
    assert_eq!(fetch(&broken, "").0, ALL);
    let lengths: usize = broken.bytes.iter().map(Vec::len).sum();
    // Nothing is sent twice, whatever broke.
    assert_eq!(broken.local.sent(), lengths as u64);
}

#[test]
fn a_connection_that_always_breaks_is_given_up() {
    let broken = files("drop always", BOTH, |local, name, size, stream| {
        let after = within(stream, size);
        // Now and then so early that it never comes to anything.
        let after = after / [1, 1, 1, 200][stream.below(4)];
        local.set(name, Fault::Drop { after }, ALWAYS);
    });
    let (outcome, _) = fetch(&broken, BROKE);
    assert_eq!(outcome.recovered + outcome.refused, FILES as u32);
    assert!(
        outcome.recovered > 100 && outcome.refused > 0,
        "{outcome:?}"
    );
}

#[test]
fn a_busy_hub_is_waited_for_as_it_says() {
    for (code, retry_after) in [
        (503, None),
        (503, Some("1")),
        (429, Some("Tue, 24 Nov 2026 11:00:00 GMT")),
        // An address of the CDN that ran out.
        (403, None),
    ] {
        let sizes = if code == 403 { FROM_CDN } else { BOTH };
        let busy = files("busy", sizes, |local, name, _, stream| {
            local.set(name, Fault::Status { code, retry_after }, some(stream));
        });
        let (outcome, told) = fetch(&busy, "");
        assert_eq!(outcome, ALL);
        assert!(told.len() >= FILES);
        if retry_after.is_some() {
            let asks = format!("the hub asks to wait ({code}); asking again in 0.0 s");
            assert!(told.iter().all(|line| line.contains(&asks)), "{told:?}");
        }
    }
}

#[test]
fn a_hub_that_stays_busy_is_given_up() {
    for (code, message) in [
        (503, "the hub is out of order (503): run again later"),
        (
            429,
            "the hub limits how often it is asked (429): run again later (with HF_TOKEN set, \
             the limit is higher)",
        ),
    ] {
        let busy = files("busy always", BOTH, |local, name, _, _| {
            local.set(
                name,
                Fault::Status {
                    code,
                    retry_after: None,
                },
                ALWAYS,
            );
        });
        assert_eq!(fetch(&busy, message).0, NONE);
    }
}

#[test]
fn a_file_that_is_refused_is_told_at_once() {
    for code in [401, 403, 404] {
        let refused = files("refused", (1, LARGE), |local, name, _, _| {
            let retry_after = None;
            local.set(name, Fault::Status { code, retry_after }, ALWAYS);
        });
        let page = format!("{}/{REPO}", refused.local.endpoint());
        let message = match code {
            401 => "no such repository, or a private one (then set HF_TOKEN)".to_owned(),
            403 => format!(
                "forbidden (403): see whether {page} opens for you; HF_TOKEN may lack a right"
            ),
            _ => "no such file at this revision".to_owned(),
        };
        let (outcome, told) = fetch(&refused, &message);
        assert_eq!((outcome, told), (NONE, Vec::new()));
    }
}

#[test]
fn a_wrong_length_misleads_nobody() {
    for sign in [-1, 1] {
        let wrong = files("length", BOTH, |local, name, size, stream| {
            for _ in 0..some(stream) {
                let by = sign * (1 + within(stream, size) as i64);
                local.set(name, Fault::Length { by }, 1);
            }
        });
        assert_eq!(fetch(&wrong, "").0, ALL);
    }
    let wrong = files("length always", BOTH, |local, name, size, stream| {
        let by = -1 - within(stream, size) as i64;
        local.set(name, Fault::Length { by }, ALWAYS);
    });
    assert_eq!(fetch(&wrong, BROKE).0, NONE);
}

#[test]
fn no_length_is_as_good_as_one() {
    let none = files("no length", BOTH, |local, name, size, stream| {
        for _ in 0..some(stream) {
            let after = within(stream, size + size / 4);
            local.set(name, Fault::NoLength { after }, 1);
        }
    });
    assert_eq!(fetch(&none, "").0, ALL);
}

#[test]
fn a_flipped_bit_is_found() {
    let once = files("flip", BOTH, |local, name, size, stream| {
        local.set(
            name,
            Fault::Flip {
                at: within(stream, size),
            },
            1,
        );
    });
    let (outcome, told) = fetch(&once, "");
    assert_eq!((outcome, told.len()), (ALL, FILES));
    assert!(told[0].ends_with(": wrong bytes came; fetching it anew"));

    let always = files("flip always", BOTH, |local, name, size, stream| {
        local.set(
            name,
            Fault::Flip {
                at: within(stream, size),
            },
            ALWAYS,
        );
    });
    assert_eq!(fetch(&always, DAMAGED).0, NONE);
}

#[test]
fn a_flipped_bit_before_a_break_is_found() {
    let flipped = files("flip and drop", FROM_CDN, |local, name, size, stream| {
        // What is flipped is within what came, then the connection breaks.
        local.set(
            name,
            Fault::Drop {
                after: within(stream, size),
            },
            1,
        );
        local.set(
            name,
            Fault::Flip {
                at: within(stream, size),
            },
            1,
        );
    });
    assert_eq!(fetch(&flipped, "").0, ALL);
}

#[test]
fn silence_is_timed_out_and_slowness_is_not() {
    let mut silent = files("hang", BOTH, |local, name, size, stream| {
        if stream.below(2) == 0 {
            local.set(name, Fault::HangAtOnce, 1);
        } else {
            local.set(
                name,
                Fault::Hang {
                    after: within(stream, size),
                },
                1,
            );
        }
    });
    silent.idle = SOON;
    let (outcome, told) = fetch(&silent, "");
    assert_eq!(outcome, ALL);
    let silence = "not a byte for 100ms; asking again";
    let lines = told.iter().filter(|line| line.contains(silence));
    assert!(lines.count() >= FILES);

    // Longer than `idle` as a whole, with no silence as long as that.
    let pause = Duration::from_millis(25);
    let mut slow = files("drip", BOTH, |local, name, size, _| {
        let piece = size as usize / 8 + 1;
        local.set(name, Fault::Drip { piece, pause }, ALWAYS);
    });
    slow.idle = SOON;
    assert_eq!(fetch(&slow, "").0, ALL);
}

#[test]
fn a_hub_that_stays_silent_is_given_up() {
    let silent = files("hang always", BOTH, |local, name, _, _| {
        local.set(name, Fault::HangAtOnce, ALWAYS);
    });
    let mut settings = super::settings(&silent.local);
    settings.patience.tries = 2;
    settings.patience.idle = Duration::from_millis(20);
    let hub = Hub::new(settings);
    let listing = hub.listing(REPO, &silent.commit, &Hooks::SILENT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for file in listing.iter().take(20) {
        let part = folder.path().join("part");
        let refused = hub.fetch(REPO, &silent.commit, file, &part, &Hooks::SILENT);
        let text = refused.unwrap_err().to_string();
        let says =
            ": not a byte for 20ms, several times: run again later, what is here already is kept";
        assert!(text.ends_with(says), "{text}");
    }
}

#[test]
fn a_server_without_ranges_or_with_wrong_ones_is_asked_from_the_start() {
    for fault in [Fault::NoRange, Fault::WrongRange] {
        let wrong = files("range", BOTH, |local, name, size, stream| {
            local.set(
                name,
                Fault::Drop {
                    after: within(stream, size),
                },
                1,
            );
            local.set(name, fault.clone(), 1);
        });
        assert_eq!(fetch(&wrong, "").0, ALL);
    }
}

#[test]
fn redirects_that_lead_nowhere_are_told() {
    for (fault, what) in [
        (Fault::Nowhere, "a redirect to nowhere"),
        (Fault::Circle, "redirected in a circle"),
    ] {
        let lost = files("redirect", FROM_CDN, |local, name, _, _| {
            local.set(&format!("redirect of {name}"), fault.clone(), ALWAYS);
        });
        let message = format!("the answer makes no sense ({what}): does HF_ENDPOINT name a hub?");
        assert_eq!(fetch(&lost, &message).0, NONE);
    }
    let once = files("redirect once", FROM_CDN, |local, name, _, _| {
        local.set(&format!("redirect of {name}"), Fault::Nowhere, 1);
    });
    assert_eq!(fetch(&once, "").0, ALL);
}
