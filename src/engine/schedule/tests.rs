//! The schedule, driven by hand.
use super::*;

fn spec(id: usize, producers: &[usize]) -> NodeSpec {
    NodeSpec {
        id: InstanceId(id),
        producers: producers.iter().copied().map(InstanceId).collect(),
        weight: 1,
        cpu: 1,
    }
}

fn family(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// Answers every lookup with a miss of a family of its own.
fn start_all(schedule: &mut Schedule) -> Vec<Start> {
    let mut starts = Vec::new();
    while let Some(ask) = schedule.next() {
        match ask {
            Ask::Consider(id) => schedule.miss(id, family(&id.0.to_string()), 0, &[]),
            Ask::Start(start) => starts.push(start),
        }
    }
    starts
}

fn members(starts: &[Start]) -> Vec<Vec<usize>> {
    starts
        .iter()
        .map(|start| start.members.iter().map(|id| id.0).collect())
        .collect()
}

#[test]
fn consumers_wait_for_their_producers_and_slots_are_counted() {
    let specs = vec![spec(0, &[]), spec(1, &[]), spec(2, &[]), spec(3, &[0, 1])];
    let mut schedule = Schedule::new(specs, 2, false);
    let starts = start_all(&mut schedule);
    // The two that something waits for come first; two slots, no third.
    assert_eq!(members(&starts), [[0], [1]]);
    for start in starts {
        schedule.reached(start.members[0]);
        assert!(schedule.finished(start.pass).is_empty());
    }
    assert_eq!(members(&start_all(&mut schedule)), [[2], [3]]);
}

#[test]
fn a_family_runs_as_one_pass_by_ascending_mark() {
    let mut schedule = Schedule::new(vec![spec(0, &[]), spec(1, &[]), spec(2, &[])], 2, false);
    let marks = [30, 10, 20];
    let mut starts = Vec::new();
    while let Some(ask) = schedule.next() {
        match ask {
            Ask::Consider(id) => schedule.miss(id, family("one"), marks[id.0], &[]),
            Ask::Start(start) => starts.push(start),
        }
    }
    assert_eq!(members(&starts), [[1, 2, 0]]);
}

#[test]
fn a_latecomer_of_a_running_family_is_considered_again_afterwards() {
    let mut schedule = Schedule::new(vec![spec(0, &[]), spec(1, &[]), spec(2, &[1])], 4, false);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    schedule.miss(InstanceId(0), family("same"), 1, &[]);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(1))));
    schedule.hit(InstanceId(1));
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(2))));
    schedule.miss(InstanceId(2), family("other"), 1, &[]);
    let Some(Ask::Start(first)) = schedule.next() else {
        panic!("a start")
    };
    let Some(Ask::Start(second)) = schedule.next() else {
        panic!("a start")
    };
    assert_eq!((first.members[0].0, second.members[0].0), (0, 2));
    schedule.reached(InstanceId(0));
    assert!(schedule.finished(first.pass).is_empty());
    schedule.reached(InstanceId(2));
    assert!(schedule.finished(second.pass).is_empty());
    assert_eq!((schedule.next(), schedule.running()), (None, 0));
}

#[test]
fn lost_bytes_are_made_again_before_their_consumer_runs() {
    let mut schedule = Schedule::new(vec![spec(0, &[]), spec(1, &[0])], 1, false);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    schedule.hit(InstanceId(0));
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(1))));
    schedule.miss(InstanceId(1), family("b"), 0, &[InstanceId(0)]);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    assert!(schedule.must_remake(InstanceId(0)));
    schedule.miss(InstanceId(0), family("a"), 0, &[]);
    let Some(Ask::Start(start)) = schedule.next() else {
        panic!("a start")
    };
    schedule.reached(InstanceId(0));
    schedule.finished(start.pass);
    // Considered anew: the bytes made again may differ, and so its key.
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(1))));
}

#[test]
fn after_a_failure_nothing_starts_unless_told_to_keep_going() {
    for (keep_going, expected) in [(false, vec![]), (true, vec![vec![1]])] {
        let mut schedule = Schedule::new(
            vec![spec(0, &[]), spec(1, &[]), spec(2, &[0])],
            1,
            keep_going,
        );
        let starts = start_all(&mut schedule);
        let first = &starts[0];
        assert_eq!(first.members, [InstanceId(0)]);
        assert_eq!(schedule.finished(first.pass), [InstanceId(0)]);
        let more = start_all(&mut schedule);
        assert_eq!(members(&more), expected);
        for start in &more {
            schedule.reached(start.members[0]);
            schedule.finished(start.pass);
        }
        let rest = schedule.skip_rest();
        let skipped: Vec<usize> = rest.iter().map(|(id, _)| id.0).collect();
        assert_eq!(skipped, if keep_going { vec![2] } else { vec![1, 2] });
        assert_eq!(
            rest.last().and_then(|(_, because)| *because),
            Some(InstanceId(0))
        );
    }
}
